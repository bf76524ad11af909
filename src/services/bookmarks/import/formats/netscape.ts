import { unpackExact } from '../../exact.ts'
import { blank, lineOf, paragraphs, tagsOf, type Collector, type Entry, type Parser } from '../entry.ts'
import { notBookmarks } from '../not-bookmarks.ts'
import { setTime } from '../times.ts'
import { createTokens, type Tag, type TokenHandler } from './netscape-tokens.ts'

/** The attribute that holds what the format has no place for. */
export const EXACT_ATTRIBUTE = 'data-sync-hub'
/** Flags of services, which become tags. */
const FLAGS = ['private', 'toread']
/** Attributes that no page has on its links. */
const TIMES = ['add_date', 'time_added', 'last_visit', 'last_modified']
const KNOWN = new Set(['href', 'add_date', 'time_added', 'tags', 'description', 'note', 'data-important',
  EXACT_ATTRIBUTE, ...FLAGS])
/** Whose text is no one's. */
const SILENT = new Set(['title', 'script', 'style'])
const HEADINGS = new Set(['h1', 'h2', 'h4', 'h5', 'h6'])
const LISTS = new Set(['dl', 'ul', 'ol'])
/** What pages are full of, and bookmark files are not. */
const PAGE = new Set(['div', 'script', 'nav', 'link', 'form', 'table', 'svg', 'iframe'])
/** Lists within lists that are told apart: far more than folders may be nested. */
const MAX_LEVELS = 4096

/**
 * Netscape bookmark files, as browsers and services write them: DT, H3, A, DD and DL in any nesting, and
 * lists below a heading. What counts is the order of tags: the format is not well-formed HTML.
 * @param text all of it; `write` is told the same text piece by piece
 * @param now milliseconds
 */
export function netscapeParser (
  text: string,
  collector: Collector,
  now: number
): Parser & { steps(): number } {
  /** The folder of each list that is open, and how many more are. */
  const levels: (Entry | undefined)[] = [undefined]
  let deeper = 0
  /** The folder whose list is to come, and the heading that is a folder if a list comes. */
  let pending: Entry | undefined
  let heading: Entry | undefined
  /** What a description belongs to, and where text goes. */
  let item: Entry | undefined
  let into: string[] = []
  let silent: string | undefined
  /** Links in a description: their address, and where their text begins. */
  let link: { href: string, from: number } | undefined
  /** Signs of a bookmark file, and of a page. */
  let [isOurs, pageTags] = [false, 0]
  const exact = new Map<Entry, string>()
  let told = 0

  const handler: TokenHandler & { field: 'title' | 'description' | undefined } = {
    field: undefined,
    declaration (declared) {
      if (/^!doctype\s+netscape-bookmark/i.test(declared)) isOurs = true
      else if (/^!doctype\s+html/i.test(declared)) pageTags++
    },
    open (tag) {
      if (PAGE.has(tag.name)) pageTags++
      if (handler.field === 'description' && inDescription(tag)) return
      if (LISTS.has(tag.name)) openList(tag.name)
      else if (tag.name === 'a' || tag.name === 'h3') openItem(tag)
      else if (tag.name === 'dt') {
        finishField()
        item = pending = undefined
      } else if (tag.name === 'dd') openDescription()
      else if (HEADINGS.has(tag.name)) openHeading(tag)
      else openOther(tag.name)
    },
    close (name) {
      if (name === silent) silent = undefined
      if (name === 'a' && link !== undefined) closeLink()
      else if ((name === 'a' || name === 'h3' || HEADINGS.has(name)) && handler.field === 'title') {
        finishField()
      } else if (LISTS.has(name) && !(name !== 'dl' && handler.field === 'description')) closeList(name)
      else if (name === 'html' || name === 'body') finishField()
    },
    text (piece) {
      if (handler.field !== undefined) into.push(piece)
      else if (silent === undefined && piece.trim() !== '') collector.ignore('TEXT')
    }
  }
  const tokens = createTokens(text, KNOWN, handler)
  const { scanner } = tokens

  function begin (kind: Entry['kind'], { attributes, at, isCut }: Tag): Entry {
    finishField()
    pending = heading = undefined
    const entry = blank(kind, levels.at(-1), scanner.lineAt(at))
    const flags = FLAGS.filter((flag) => attributes.get(flag) === '1' || attributes.get(flag) === 'true')
    entry.tags = [...new Set([...tagsOf(attributes.get('tags') ?? ''), ...flags])]
    if (/^(?:1|true)$/i.test(attributes.get('data-important') ?? '')) entry.favorite = true
    entry.description = paragraphs(attributes.get('description'), attributes.get('note'))
    setTime(entry, attributes.get('add_date') ?? attributes.get('time_added'), now)
    if (kind === 'bookmark') entry.url = attributes.get('href')?.trim()
    if (isCut) entry.refused = 'the file ends within it'
    const packed = attributes.get(EXACT_ATTRIBUTE)
    if (packed !== undefined) exact.set(entry, packed)
    isOurs ||= packed !== undefined || attributes.has('tags') || TIMES.some((name) => attributes.has(name))
    ;[handler.field, into] = ['title', []]
    return entry
  }

  function ignoreOf ({ attributes }: Tag): void {
    for (const name of attributes.keys()) {
      if (!KNOWN.has(name) && name !== '') collector.ignore(name.toUpperCase())
    }
  }

  function openItem (tag: Tag): void {
    item = collector.add(begin(tag.name === 'a' ? 'bookmark' : 'folder', tag))
    ignoreOf(tag)
    if (tag.name === 'h3') pending = item
  }

  function openHeading (tag: Tag): void {
    collector.count()
    heading = begin('folder', { ...tag, attributes: new Map() })
    item = undefined
  }

  function openList (name: string): void {
    if (name === 'dl' || heading !== undefined) finishField()
    // A first heading above a DL names the whole; above a plain list (Pocket) it is a folder.
    if (heading !== undefined && (name !== 'dl' || (pending === undefined && levels.length > 1))) {
      pending = collector.add(heading)
    }
    if (levels.length < MAX_LEVELS) levels.push(pending ?? levels.at(-1))
    else deeper++
    if (name === 'dl' || pending !== undefined) item = undefined
    pending = heading = undefined
  }

  function closeList (name: string): void {
    if (name === 'dl') {
      finishField()
      item = pending = undefined
    }
    if (deeper > 0) deeper--
    else if (levels.length > 1) levels.pop()
  }

  function openDescription (): void {
    finishField()
    if (item === undefined) collector.ignore('DD')
    else [handler.field, into] = ['description', []]
  }

  function openOther (name: string): void {
    if (SILENT.has(name)) silent = name
    else if (name === 'hr') collector.ignore('HR')
    else if (name === 'br' || name === 'div' || (name === 'p' && handler.field === 'description')) {
      into.push('\n')
    }
  }

  /** @returns whether a tag in a description is part of it: not where it begins the next item or list */
  function inDescription ({ name, attributes, at }: Tag): boolean {
    const isDated = TIMES.some((time) => attributes.has(time))
    if (name === 'a') {
      if (isDated) return false
      closeLink()
      link = { href: attributes.get('href') ?? '', from: into.length }
      return true
    }
    if (name === 'dt' || name === 'dl') {
      // Somebody wrote "<dt>", where no tag follows.
      const isText = /^[^<]*[^<\s]/.test(text.slice(scanner.at, scanner.at + 100))
      if (isText && name === 'dt') into.push(text.slice(at, scanner.at))
      return isText && name === 'dt'
    }
    if (name === 'dd' && /[^\n>]/.test(text[at - 1] ?? '\n')) {
      into.push(text.slice(at, scanner.at))
      return true
    }
    if (name === 'dd' || name === 'hr' || (name === 'h3' && isDated)) return false
    into.push('\n')
    return true
  }

  /** A link in a description is text: what it is called, and where it leads to unless that is the same. */
  function closeLink (): void {
    if (link === undefined) return
    const [{ href, from }, called] = [link, into.slice(link.from).join('').trim()]
    if (href !== '' && href !== called) {
      into.splice(from, Infinity, called, called === '' ? href : ` (${href})`)
    }
    link = undefined
  }

  function finishField (): void {
    closeLink()
    const { field } = handler
    if (field === 'title') (item ?? heading)!.title = lineOf(into.join(''))
    else if (field === 'description') item!.description = paragraphs(item!.description, into.join(''))
    ;[handler.field, into] = [undefined, []]
  }

  return {
    steps: () => scanner.steps,
    write (piece) {
      tokens.readTo(told += piece.length)
    },
    end () {
      tokens.readTo(text.length)
      finishField()
      if (!isOurs && pageTags > 0) throw notBookmarks('a web page')
      for (const [entry, packed] of exact) restore(entry, packed, now)
      return collector
    }
  }
}

/** What the hub itself wrote into a file; a date is held against the same bounds as any. */
export function restore (entry: Entry, packed: string, now: number): void {
  const { createdAt, ...rest } = unpackExact(packed)
  Object.assign(entry, rest)
  if (createdAt !== undefined) setTime(entry, createdAt, now)
}
