import type { Problem } from '../../../errors.ts'

/** A bookmark or folder as a file has it, before it is held against what the hub keeps. */
export interface Entry {
  readonly kind: 'bookmark' | 'folder'
  /** Where it begins in the file; JSON has none. */
  readonly line?: number
  /** The folder of the file that it is in. */
  parent: Entry | undefined
  title: string
  url?: string | undefined
  description?: string | undefined
  tags: string[]
  /** RFC 3339, UTC. */
  createdAt?: string | undefined
  favorite?: boolean | undefined
  position?: string | undefined
  id?: string | undefined
  /** A folder that is not in the file. */
  folderId?: string | undefined
  /** Why it can't be kept at all. */
  refused?: string
  /** What of it can't be kept as it is. */
  readonly remarks: string[]
}

/** What a file holds. */
export interface Parsed {
  /** In the order of the file, a folder before what is in it. */
  readonly entries: Entry[]
  /** What the hub has no place for (icons, visits ...), by name: how often it occurs. */
  readonly ignored: Record<string, number>
}

/** A parser that is fed a text piece by piece. */
export interface Parser {
  /** @throws Problem MALFORMED_BODY */
  write(piece: string): void
  /** @throws Problem MALFORMED_BODY */
  end(): Parsed
}

/** What parsers share: it counts entries, and what is ignored. */
export interface Collector extends Parsed {
  /** @throws Problem VALIDATION_FAILED naming importEntries */
  add(entry: Entry): void
  ignore(name: string): void
}

/** Names of what is ignored that are told apart. A file may make up any number. */
const MAX_NAMES = 100

/** @param tooMany what is thrown for one entry more than `most` */
export function createCollector (most: number, tooMany: () => Problem): Collector {
  const entries: Entry[] = []
  const ignored = Object.create(null) as Record<string, number>
  let names = 0
  return {
    entries,
    ignored,
    add (entry) {
      if (entries.length === most) throw tooMany()
      entries.push(entry)
    },
    ignore (given) {
      const name = given in ignored || names < MAX_NAMES ? given.slice(0, 64) : 'OTHER'
      if (!(name in ignored)) names++
      ignored[name] = (ignored[name] ?? 0) + 1
    }
  }
}

/** Microseconds from 1601, where the clock of Windows and WebKit begins, to 1970. */
const WEBKIT_EPOCH = 11_644_473_600_000_000
const DAY_MS = 86_400_000

/**
 * A time as files have it: seconds, milliseconds or microseconds since 1970, told apart by their size;
 * microseconds since 1601; or RFC 3339 text.
 * @param now milliseconds; a bookmark is not from the future
 * @returns RFC 3339 in UTC, undefined where there is no time (empty, or 0), null where it can't be read
 */
export function timeOf (text: string | undefined, now: number): string | undefined | null {
  const given = text?.trim() ?? ''
  const number = Number(given)
  if (given === '' || number === 0) return undefined
  const ms = Number.isNaN(number)
    ? Date.parse(given)
    : number < 1e11
    ? number * 1000
    : number < 1e14
    ? number
    : number / 1000 > now + DAY_MS
    ? (number - WEBKIT_EPOCH) / 1000
    : number / 1000
  return ms >= 0 && ms <= now + DAY_MS ? new Date(Math.floor(ms)).toISOString() : null
}

/** Puts a time into an entry, or a remark where it can't be read. */
export function setTime (entry: Entry, text: string | undefined, now: number): void {
  const time = timeOf(text, now)
  if (time === null) {
    entry.remarks.push(`its date "${text!.slice(0, 40)}" can't be read: it counts as made now`)
  } else if (time !== undefined) entry.createdAt = time
}

/** Tags as attributes have them: with commas between. */
export const tagsOf = (text: string) => text.split(',').map((tag) => tag.trim()).filter((tag) => tag !== '')

/** A line of text as HTML shows it: white space is one space each. */
export const lineOf = (text: string) => text.split(/[ \t\r\n\f]+/).filter((word) => word !== '').join(' ')
