import { setImmediate as turn } from 'node:timers/promises'
import { Problem } from '../../../errors.ts'
import type { Contents } from './contents.ts'
import { decode } from './decoding.ts'
import { createCollector, type Entry, type Parsed } from './entry.ts'
import { READERS, type Format } from './formats/index.ts'
import { noEntries } from './not-bookmarks.ts'
import { assertText, formatOf } from './recognise.ts'

/** Characters that are parsed between two turns of the event loop: some milliseconds. */
const PIECE = 32_768

export interface Parsing {
  /** Entries in all parts. */
  readonly most: number
  /** Milliseconds. */
  readonly now: number
  /** Is told how many entries were read. */
  readonly progress: (read: number) => void
}

/** What was read, and what it was. */
export interface ParsedFile extends Parsed {
  readonly format: Format
  readonly encoding: string
}

/**
 * Reads the parts of a file, piece by piece, whatever each says that it is.
 * @param charset that the request names
 * @throws Problem MALFORMED_BODY, VALIDATION_FAILED naming importEntries, and NOT_BOOKMARKS, also where
 *   nothing is in it
 */
export async function parseParts (
  { parts, left }: Contents,
  charset: string | undefined,
  { most, now, progress }: Parsing
): Promise<ParsedFile> {
  const all: Entry[] = []
  const ignored: Record<string, number> = Object.create(null) as Record<string, number>
  const tooMany = tooManyOf(most)
  let first: Pick<ParsedFile, 'format' | 'encoding'> | undefined
  for (const bytes of parts) {
    const isMarked = bytes[0] === 0xff || bytes[0] === 0xfe
    assertText(bytes)
    const { text, encoding, spoilt } = decode(bytes, isMarked ? undefined : charset)
    const format = formatOf(text)
    first ??= { format, encoding }
    const collector = createCollector(most - all.length, tooMany)
    const parser = READERS[format].parser(text, collector, now)
    for (let at = 0; at < text.length; at += PIECE) {
      const before = collector.entries.length
      parser.write(text.slice(at, at + PIECE))
      if (collector.entries.length > before) progress(all.length + collector.entries.length)
      await turn()
    }
    const parsed = parser.end()
    for (const entry of parsed.entries) {
      if (spoilt) tellSpoilt(entry, encoding)
      all.push(entry)
    }
    for (const [name, count] of Object.entries(parsed.ignored)) ignored[name] = (ignored[name] ?? 0) + count
  }
  if (all.length === 0) throw noEntries(READERS[first!.format].called)
  for (const name of left) ignored[name] = (ignored[name] ?? 0) + 1
  return { ...first!, entries: all, ignored }
}

function tooManyOf (most: number): () => Problem {
  const detail = `holds more than ${most} bookmarks and folders`
  return () =>
    new Problem('VALIDATION_FAILED', `The file ${detail}; nothing of it was written. Import it in pieces.`, {
      errors: [{ pointer: '', detail }],
      limit: { name: 'importEntries', value: most }
    })
}

/** Bytes that are none of the encoding spoil the entry that they are in, and no other. */
function tellSpoilt ({ title, url = '', description = '', tags, remarks }: Entry, encoding: string): void {
  if ([title, url, description, ...tags].some((text) => text.includes('\ufffd'))) {
    remarks.push(`it holds bytes that are not ${encoding}: each is kept as U+FFFD`)
  }
}
