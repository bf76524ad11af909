import { Tokenizer } from 'htmlparser2'
import { unpackExact } from '../exact.ts'
import { lineOf, setTime, tagsOf, type Collector, type Entry, type Parser } from './entry.ts'

/** The attribute that holds what the format has no place for. */
export const EXACT_ATTRIBUTE = 'data-sync-hub'
/** Flags of services, which become tags. */
const FLAGS = new Set(['private', 'toread'])
const KNOWN = new Set(['href', 'add_date', 'time_added', 'tags', EXACT_ATTRIBUTE, ...FLAGS])
/** Whose text is no one's. */
const SILENT = new Set(['title', 'h1', 'h2', 'h4', 'h5', 'h6', 'script', 'style'])
const HEADINGS = new Set(['h1', 'h2', 'h4', 'h5', 'h6'])
const LISTS = new Set(['dl', 'ul', 'ol'])

/**
 * Netscape bookmark files, as browsers and services write them: DT, H3, A, DD and DL in any nesting, and
 * lists below a heading. Read from the tokens of htmlparser2 and not from its tree of elements, because the
 * format is not well-formed HTML: what counts is the order of tags. Time and memory are linear in the text,
 * however it is nested.
 * @param text all of it; `write` is told the same text piece by piece
 * @param now milliseconds
 */
export function netscapeParser (text: string, collector: Collector, now: number): Parser {
  /** The folder of each list that is open. */
  const levels: (Entry | undefined)[] = [undefined]
  /** The folder whose list is to come, and the heading that is a folder if a list comes. */
  let pending: Entry | undefined
  let heading: Entry | undefined
  /** What a description belongs to, and where text goes. */
  let item: Entry | undefined
  let into: string[] | undefined
  let field: 'title' | 'description' | undefined
  let silent: string | undefined
  let [name, attribute] = ['', '']
  let attributes = new Map<string, string>()
  let value: string[] = []
  let [line, counted] = [1, 0]
  const exact = new Map<Entry, string>()

  function lineAt (offset: number): number {
    for (
      let next = text.indexOf('\n', counted);
      next !== -1 && next < offset;
      next = text.indexOf('\n', counted)
    ) {
      line++
      counted = next + 1
    }
    return line
  }

  function finishField (): void {
    if (field === 'title') (item ?? heading)!.title = lineOf(into!.join(''))
    else if (field === 'description') {
      const description = into!.join('').replaceAll('\r\n', '\n').trim()
      if (description !== '') {
        item!.description = item!.description === undefined
          ? description
          : `${item!.description}\n${description}`
      }
    }
    field = into = undefined
  }

  function begin (kind: Entry['kind'], at: number): Entry {
    finishField()
    pending = heading = undefined
    const entry: Entry = { kind, line: lineAt(at), parent: levels.at(-1), title: '', tags: [], remarks: [] }
    for (const [name, given] of attributes) {
      if (FLAGS.has(name) && given === '1') entry.tags.push(name)
      else if (!KNOWN.has(name)) collector.ignore(name.toUpperCase())
    }
    entry.tags.unshift(...tagsOf(attributes.get('tags') ?? ''))
    setTime(entry, attributes.get('add_date') ?? attributes.get('time_added'), now)
    if (kind === 'bookmark') entry.url = attributes.get('href')?.trim()
    const packed = attributes.get(EXACT_ATTRIBUTE)
    if (packed !== undefined) exact.set(entry, packed)
    ;[field, into] = ['title', []]
    return entry
  }

  function open (at: number): void {
    if (LISTS.has(name)) {
      if (name === 'dl' || heading !== undefined) finishField()
      // A first heading above a DL names the whole; above a plain list (Pocket) it is a folder.
      if (
        heading !== undefined && (name !== 'dl' || pending === undefined) &&
        !(name === 'dl' && levels.length === 1)
      ) {
        collector.add(heading)
        pending = heading
      }
      levels.push(pending ?? levels.at(-1))
      if (name === 'dl' || pending !== undefined) item = undefined
      pending = heading = undefined
    } else if (name === 'a' || name === 'h3') {
      item = begin(name === 'a' ? 'bookmark' : 'folder', at)
      collector.add(item)
      if (name === 'h3') pending = item
    } else if (name === 'dt') {
      finishField()
      item = pending = undefined
    } else if (name === 'dd') {
      finishField()
      if (item === undefined) collector.ignore('DD')
      else [field, into] = ['description', []]
    } else if (name === 'br' || (name === 'p' && field === 'description')) into?.push('\n')
    else if (name === 'hr') collector.ignore('HR')
    if (HEADINGS.has(name) && field !== 'description') {
      attributes.clear()
      heading = begin('folder', at)
      item = undefined
    } else if (SILENT.has(name)) silent = name
  }

  function close (closed: string): void {
    if (closed === silent) silent = undefined
    if ((closed === 'a' || closed === 'h3' || HEADINGS.has(closed)) && field === 'title') finishField()
    else if (LISTS.has(closed)) {
      if (closed === 'dl') {
        finishField()
        item = pending = undefined
      }
      if (levels.length > 1) levels.pop()
    }
  }

  function put (piece: string): void {
    if (into !== undefined) into.push(piece)
    else if (silent === undefined && piece.trim() !== '') collector.ignore('TEXT')
  }

  let nameAt = 0
  const tokenizer = new Tokenizer({ decodeEntities: true }, {
    onopentagname (start, end) {
      name = text.slice(start, end).toLowerCase()
      nameAt = start
      attributes = new Map()
    },
    onattribname (start, end) {
      attribute = text.slice(start, end).toLowerCase()
      value = []
    },
    onattribdata (start, end) {
      value.push(text.slice(start, end))
    },
    onattribentity (code) {
      value.push(String.fromCodePoint(code))
    },
    onattribend () {
      if (!attributes.has(attribute)) attributes.set(attribute, value.join(''))
    },
    onopentagend () {
      open(nameAt)
    },
    onselfclosingtag () {
      open(nameAt)
    },
    onclosetag (start, end) {
      close(text.slice(start, end).toLowerCase())
    },
    ontext (start, end) {
      put(text.slice(start, end))
    },
    ontextentity (code) {
      put(String.fromCodePoint(code))
    },
    oncdata () {},
    oncomment () {},
    ondeclaration () {},
    onprocessinginstruction () {},
    onend () {}
  })
  return {
    write (piece) {
      tokenizer.write(piece)
    },
    end () {
      tokenizer.end()
      finishField()
      for (const [entry, packed] of exact) Object.assign(entry, unpackExact(packed))
      return collector
    }
  }
}
