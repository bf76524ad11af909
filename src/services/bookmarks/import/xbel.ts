import { SaxesParser } from 'saxes'
import { Problem } from '../../../errors.ts'
import { unpackExact } from '../exact.ts'
import { lineOf, setTime, type Collector, type Entry, type Parser } from './entry.ts'

/**
 * XBEL names metadata by a URI; that of the hub holds, percent-encoded behind the colon, what the format has
 * no place for.
 */
export const EXACT_OWNER = 'urn:sync-hub:bookmark:'
const KNOWN = new Set(['href', 'added', 'id', 'version'])

/**
 * XBEL 1.0 (http://pyxml.sourceforge.net/topics/xbel/). A SAX parser that knows no entities but XML's own:
 * what a document type declares is neither read nor fetched.
 * @param now milliseconds
 */
export function xbelParser (collector: Collector, now: number): Parser {
  /** The folders that are open; the root is undefined. */
  const folders: (Entry | undefined)[] = []
  /** The element that title, desc and metadata belong to. */
  let item: Entry | undefined
  let into: { field: 'title' | 'description', depth: number, text: string[] } | undefined
  let depth = 0
  const exact: [Entry, string][] = []
  const parser = new SaxesParser<{ xmlns: false }>({ xmlns: false })

  function malformed (detail: string): Problem {
    const at = `line ${parser.line}, column ${parser.column + 1}`
    return new Problem('MALFORMED_BODY', `${detail} (${at}).`, { errors: [{ pointer: at, detail }] })
  }

  function begin (kind: Entry['kind'], attributes: Readonly<Record<string, string>>): void {
    const entry: Entry = { kind, line: parser.line, parent: folders.at(-1), title: '', tags: [], remarks: [] }
    if (kind === 'bookmark') entry.url = attributes.href?.trim()
    setTime(entry, attributes.added, now)
    for (const name of Object.keys(attributes)) if (!KNOWN.has(name)) collector.ignore(name)
    collector.add(entry)
    item = entry
  }

  parser.on('error', (error) => {
    throw malformed(error.message.replace(/^\d+:\d+: /, ''))
  })
  parser.on('opentag', ({ name, attributes }) => {
    depth++
    if (depth === 1 && name !== 'xbel') {
      throw malformed('The document is not XBEL: its root is another element')
    }
    if (name === 'folder') {
      begin('folder', attributes)
      folders.push(item)
    } else if (name === 'bookmark') begin('bookmark', attributes)
    else if ((name === 'title' || name === 'desc') && into === undefined && item !== undefined) {
      into = { field: name === 'desc' ? 'description' : 'title', depth, text: [] }
    } else if (
      name === 'metadata' && item !== undefined && attributes.owner?.startsWith(EXACT_OWNER) === true
    ) exact.push([item, attributes.owner.slice(EXACT_OWNER.length)])
    else if (!['xbel', 'title', 'desc', 'info'].includes(name)) collector.ignore(name)
  })
  parser.on('closetag', ({ name }) => {
    if (into?.depth === depth) {
      const text = into.text.join('')
      if (into.field === 'title') item!.title = lineOf(text)
      else if (text.trim() !== '') item!.description = text.trim()
      into = undefined
    } else if (name === 'folder') {
      folders.pop()
      item = undefined
    } else if (name === 'bookmark') item = undefined
    depth--
  })
  const put = (text: string) => {
    into?.text.push(text)
  }
  parser.on('text', put)
  parser.on('cdata', put)
  return {
    write (piece) {
      parser.write(piece)
    },
    end () {
      parser.close()
      for (const [entry, packed] of exact) Object.assign(entry, unpackExact(decoded(packed)))
      return collector
    }
  }
}

function decoded (text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
