import type { Problem } from '../../../errors.ts'

/** A bookmark, folder or note as a file has it, before it is held against what the hub keeps. */
export interface Entry {
  kind: 'bookmark' | 'folder' | 'note'
  /** Where it begins in the file, where that is known. */
  readonly line?: number | undefined
  /** The folder of the file that it is in. */
  parent: Entry | undefined
  title: string
  url?: string | undefined
  /** Of a note: what is in place of a URL. */
  address?: string | undefined
  description?: string | undefined
  tags: string[]
  /** RFC 3339, UTC. */
  createdAt?: string | undefined
  favorite?: boolean | undefined
  position?: string | undefined
  id?: string | undefined
  /** A folder that is not in the file. */
  folderId?: string | undefined
  /** The order of the file says nothing of its place. */
  readonly isPlaced?: boolean | undefined
  /** Why it can't be kept at all. */
  refused?: string
  /** What of it can't be kept as it is. */
  readonly remarks: string[]
}

/** What a file holds. */
export interface Parsed {
  /** In the order of the file, a folder before what is in it. */
  readonly entries: readonly Entry[]
  /** What the hub has no place for (icons, visits ...), by name: how often it occurs. */
  readonly ignored: Readonly<Record<string, number>>
}

/** A parser that is told a text piece by piece. */
export interface Parser {
  /** @throws Problem MALFORMED_BODY, NOT_BOOKMARKS */
  write(piece: string): void
  /** @throws Problem MALFORMED_BODY, NOT_BOOKMARKS */
  end(): Parsed
}

/** What parsers share: it counts entries, and what is ignored. */
export interface Collector extends Parsed {
  readonly entries: Entry[]
  readonly ignored: Record<string, number>
  /** @throws Problem VALIDATION_FAILED naming importEntries */
  add(entry: Entry): Entry
  /** Counts what may become an entry. @throws as add */
  count(): void
  ignore(name: string): void
}

/** Names of what is ignored that are told apart. A file may make up any number. */
const MAX_NAMES = 100

/** @param tooMany what is thrown for one entry more than `most`, and for one heading more */
export function createCollector (most: number, tooMany: () => Problem): Collector {
  const entries: Entry[] = []
  const ignored = Object.create(null) as Record<string, number>
  let [names, counted] = [0, 0]
  return {
    entries,
    ignored,
    add (entry) {
      if (entries.length === most) throw tooMany()
      entries.push(entry)
      return entry
    },
    count () {
      if (counted === most) throw tooMany()
      counted++
    },
    ignore (given) {
      const name = given in ignored || names < MAX_NAMES ? given.slice(0, 64) : 'OTHER'
      if (!(name in ignored)) names++
      ignored[name] = (ignored[name] ?? 0) + 1
    }
  }
}

/** An entry of which nothing is known yet. */
export const blank = (kind: Entry['kind'], parent: Entry | undefined, line?: number): Entry => ({
  kind,
  line,
  parent,
  title: '',
  tags: [],
  remarks: []
})

/** Tags as attributes have them: with commas between. Each once. */
export const tagsOf = (text: string, separator: string | RegExp = ',') =>
  [...new Set(text.split(separator).map((tag) => tag.trim()))].filter((tag) => tag !== '')

/** A line of text as HTML shows it: white space is one space each. */
export const lineOf = (text: string) => text.split(/[ \t\r\n\f]+/).filter((word) => word !== '').join(' ')

/** Texts below each other: those that there are. */
export function paragraphs (...texts: (string | undefined)[]): string | undefined {
  const all = texts.map((text) => text?.replace(/\r\n?/g, '\n').trim()).filter((text) =>
    text !== undefined && text !== ''
  )
  return all.length === 0 ? undefined : [...new Set(all)].join('\n')
}

/** Tag of what somebody meant to read, as Pinboard and others call it. */
export const TO_READ = 'toread'
