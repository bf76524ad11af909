import { Problem } from '../../../errors.ts'
import { notBookmarks } from './not-bookmarks.ts'
import { isMozLz4, lengthOfMozLz4, unpackMozLz4 } from './unpack/lz4.ts'
import { filesOf, isZip, type Packed } from './unpack/zip.ts'

/** A file, or what of an archive is one of bookmarks. */
export interface Contents {
  readonly parts: readonly Buffer[]
  /** Of an archive: what else is in it, by name. */
  readonly left: readonly string[]
}

/** Files of an archive, those that are wanted most first: all that fit the first of these that any fits. */
const WANTED = [/^(?:.*\/)?metadata_[\w-]+\.json$/i, /bookmark[^/]*\.html?$/i, /^(?:.*\/)?part_\d+\.csv$/i,
  /(?:^|\/)(?:bookmarks|[^/]*\.(?:html?|xbel|csv|jsonlz4|json|plist|txt))$/i]
const MAX_PARTS = 1000

/**
 * What is in a file, unpacked where it is an archive that services and browsers make.
 * @param most bytes of what is unpacked, all together
 * @throws Problem NOT_BOOKMARKS, MALFORMED_BODY, BODY_TOO_LARGE naming importBytes
 */
export async function contentsOf (bytes: Buffer, most: number): Promise<Contents> {
  if (!isZip(bytes)) return { parts: [unpacked(bytes, most)], left: [] }
  const files = filesOf(bytes).filter(({ name }) =>
    !name.endsWith('/') && !/(?:^|\/)(?:__MACOSX\/|\._)/.test(name)
  )
  const fitting = WANTED.map((pattern) => files.filter(({ name }) => pattern.test(name))).find(({ length }) =>
    length > 0
  )
  if (fitting === undefined || fitting.length > MAX_PARTS) {
    throw notBookmarks(
      `a zip archive of other things (${files.slice(0, 5).map(({ name }) => name.slice(0, 60)).join(', ')})`
    )
  }
  const wanted = new Set(fitting)
  const parts: Buffer[] = []
  let left = most
  for (const file of fitting) {
    const part = await read(file, left, most)
    left -= part.length
    parts.push(unpacked(part, left))
  }
  return { parts, left: files.filter((file) => !wanted.has(file)).map(({ name }) => name.split('/', 1)[0]!) }
}

async function read (file: Packed, left: number, most: number): Promise<Buffer> {
  try {
    if (file.size > left) throw new RangeError('more than was allowed')
    return await file.read(left)
  } catch (error) {
    throw error instanceof RangeError ? tooLarge(most) : error
  }
}

function unpacked (bytes: Buffer, most: number): Buffer {
  if (!isMozLz4(bytes)) return bytes
  if (lengthOfMozLz4(bytes) > most) throw tooLarge(most, lengthOfMozLz4(bytes))
  return unpackMozLz4(bytes)
}

const tooLarge = (most: number, sent?: number) =>
  new Problem('BODY_TOO_LARGE', `Unpacked, the file has more than ${most} bytes. Import it in pieces.`, {
    limit: { name: 'importBytes', value: most, ...sent !== undefined && { sent } }
  })
