import { promisify } from 'node:util'
import { inflateRaw } from 'node:zlib'
import { malformed } from '../not-bookmarks.ts'

const inflate = promisify(inflateRaw)

const END = 0x06054b50
const ENTRY = 0x02014b50
/** Lengths of the fixed parts: of the end, of an entry of the directory, and of the head of a file. */
const END_LENGTH = 22
const ENTRY_LENGTH = 46
const HEAD_LENGTH = 30
const MAX_COMMENT = 65_535
/** Files of an archive that are looked at. */
const MAX_FILES = 10_000

/** A file in an archive. */
export interface Packed {
  readonly name: string
  /** As the archive says: `read` holds it against what comes. */
  readonly size: number
  /** @param most bytes; one more is an error @throws Problem MALFORMED_BODY */
  read(most: number): Promise<Buffer>
}

export const isZip = (bytes: Buffer) => bytes.length > END_LENGTH && bytes.readUInt32LE(0) === 0x04034b50

/**
 * The files of a zip archive, by its directory. Stored and deflated ones, as all that exports bookmarks
 * writes; no ZIP64, no encryption. Unpacked by Node's zlib, which stops at a number of bytes.
 * @throws Problem MALFORMED_BODY
 */
export function filesOf (bytes: Buffer): Packed[] {
  const end = endOf(bytes)
  const count = Math.min(bytes.readUInt16LE(end + 10), MAX_FILES)
  const files: Packed[] = []
  let at = bytes.readUInt32LE(end + 16)
  for (let index = 0; index < count; index++) {
    if (at + ENTRY_LENGTH > bytes.length || bytes.readUInt32LE(at) !== ENTRY) throw broken()
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) =>
      bytes.readUInt16LE(at + offset)
    ) as [number, number, number]
    const from = at + ENTRY_LENGTH
    const entry = bytes.subarray(at, from)
    files.push({
      name: bytes.toString('utf8', from, from + nameLength),
      size: entry.readUInt32LE(24),
      read: (most) => read(bytes, entry, most)
    })
    at = from + nameLength + extraLength + commentLength
  }
  return files
}

function endOf (bytes: Buffer): number {
  const first = Math.max(0, bytes.length - END_LENGTH - MAX_COMMENT)
  for (let at = bytes.length - END_LENGTH; at >= first; at--) if (bytes.readUInt32LE(at) === END) return at
  throw broken()
}

async function read (bytes: Buffer, entry: Buffer, most: number): Promise<Buffer> {
  const [flags, method, packedSize, head] = [entry.readUInt16LE(8), entry.readUInt16LE(10),
    entry.readUInt32LE(20), entry.readUInt32LE(42)]
  if ((flags & 1) === 1) throw malformed('The archive is encrypted: send what is in it')
  if (head + HEAD_LENGTH > bytes.length) throw broken()
  const from = head + HEAD_LENGTH + bytes.readUInt16LE(head + 26) + bytes.readUInt16LE(head + 28)
  const packed = bytes.subarray(from, from + packedSize)
  if (packed.length < packedSize || (method !== 0 && method !== 8)) throw broken()
  if (method === 0) {
    if (packed.length > most) throw new RangeError('more than was allowed')
    return packed
  }
  try {
    return await inflate(packed, { maxOutputLength: Math.max(1, most) })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new RangeError('more than was allowed', { cause: error })
    }
    throw broken(error)
  }
}

const broken = (cause?: unknown) =>
  malformed('The zip archive is broken, cut, or packed in a way that is not read here', '', cause)
