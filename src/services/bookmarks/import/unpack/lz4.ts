import { malformed } from '../not-bookmarks.ts'

/** How Mozilla begins its files; then there are four bytes of length, and one block. */
const MAGIC = 'mozLz40\0'
const HEADER = MAGIC.length + 4

export const isMozLz4 = (bytes: Buffer) => bytes.toString('latin1', 0, MAGIC.length) === MAGIC

/** The length that a file says to have when it is unpacked. */
export const lengthOfMozLz4 = (bytes: Buffer) => bytes.length < HEADER ? 0 : bytes.readUInt32LE(MAGIC.length)

/**
 * Unpacks one LZ4 block (https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md) as Firefox writes it.
 * Never more than the file says, which the caller has held against its limit.
 * @throws Problem MALFORMED_BODY
 */
export function unpackMozLz4 (bytes: Buffer): Buffer {
  const out = Buffer.alloc(lengthOfMozLz4(bytes))
  let [at, to] = [HEADER, 0]

  /** A length that goes on in further bytes while they are 255. */
  function lengthFrom (start: number): number {
    let length = start
    if (start !== 15) return length
    for (let byte = 255; byte === 255;) {
      if (at >= bytes.length) throw broken()
      byte = bytes[at++]!
      length += byte
    }
    return length
  }

  while (at < bytes.length) {
    const token = bytes[at++]!
    const literals = lengthFrom(token >> 4)
    if (at + literals > bytes.length || to + literals > out.length) throw broken()
    bytes.copy(out, to, at, at + literals)
    ;[at, to] = [at + literals, to + literals]
    if (at === bytes.length) break
    if (at + 2 > bytes.length) throw broken()
    const offset = bytes.readUInt16LE(at)
    at += 2
    const length = lengthFrom(token & 15) + 4
    if (offset === 0 || offset > to || to + length > out.length) throw broken()
    // What is copied may begin in itself: then it repeats.
    if (offset >= length) out.copy(out, to, to - offset, to - offset + length)
    else for (let index = to; index < to + length; index++) out[index] = out[index - offset]!
    to += length
  }
  if (to !== out.length) throw broken()
  return out
}

const broken = () => malformed('The file begins as a .jsonlz4 of Firefox, and is broken or cut')
