import type { SaxesTagPlain } from 'saxes'
import { blank, lineOf, paragraphs, tagsOf, type Collector, type Entry, type Parser } from '../entry.ts'
import { setTime } from '../times.ts'
import { restore } from './netscape.ts'
import { createXml } from './xml.ts'

/**
 * XBEL names metadata by a URI; that of the hub holds, percent-encoded behind the colon, what the format has
 * no place for.
 */
export const EXACT_OWNER = 'urn:sync-hub:bookmark:'
/** `TAGS` is buku's. */
const KNOWN = new Set(['href', 'added', 'id', 'version', 'tags'])
const FIELDS: Readonly<Record<string, 'title' | 'description' | 'time' | undefined>> = {
  title: 'title',
  desc: 'description',
  // KDE's, in its metadata.
  time_added: 'time'
}
const SHELLS = new Set(['xbel', 'info', 'metadata', ...Object.keys(FIELDS)])

/**
 * XBEL 1.0 (http://pyxml.sourceforge.net/topics/xbel/), with what KDE and buku add.
 * @param now milliseconds
 */
export function xbelParser (collector: Collector, now: number): Parser {
  /** The folders that are open; the root is undefined. */
  const folders: (Entry | undefined)[] = []
  /** The element that title, desc and metadata belong to. */
  let item: Entry | undefined
  let into: { field: 'title' | 'description' | 'time', depth: number, text: string[] } | undefined
  const exact: [Entry, string][] = []
  const xml = createXml({
    open (tag, depth) {
      if (depth === 1 && tag.name !== 'xbel') {
        throw xml.wrong('The document is not XBEL: its root is another element')
      }
      if (tag.name === 'folder') {
        begin('folder', tag)
        folders.push(item)
      } else if (tag.name === 'bookmark') begin('bookmark', tag)
      else openOther(tag, depth)
    },
    close (name, depth) {
      if (into?.depth === depth) finishField()
      else if (name === 'folder') {
        folders.pop()
        item = undefined
      } else if (name === 'bookmark') item = undefined
    },
    text (text) {
      into?.text.push(text)
    }
  })

  function begin (kind: Entry['kind'], { attributes }: SaxesTagPlain): void {
    const entry = blank(kind, folders.at(-1), xml.line)
    for (const [name, value] of Object.entries(attributes)) {
      if (name.toLowerCase() === 'tags') entry.tags = tagsOf(value)
      else if (!KNOWN.has(name)) collector.ignore(name)
    }
    if (kind === 'bookmark') entry.url = attributes.href?.trim()
    setTime(entry, attributes.added, now)
    item = collector.add(entry)
  }

  function openOther ({ name, attributes }: SaxesTagPlain, depth: number): void {
    const field = FIELDS[name]
    if (field !== undefined && into === undefined && item !== undefined) into = { field, depth, text: [] }
    else if (
      name === 'metadata' && item !== undefined && attributes.owner?.startsWith(EXACT_OWNER) === true
    ) {
      exact.push([item, attributes.owner.slice(EXACT_OWNER.length)])
    } else if (name === 'metadata' && attributes.owner !== 'http://www.kde.org') collector.ignore(name)
    else if (!SHELLS.has(name)) collector.ignore(name)
  }

  function finishField (): void {
    const text = into!.text.join('')
    if (into!.field === 'title') item!.title = lineOf(text)
    else if (into!.field === 'description') item!.description = paragraphs(text)
    else if (item!.createdAt === undefined) setTime(item!, text, now)
    into = undefined
  }

  return {
    write: xml.write,
    end () {
      xml.end()
      for (const [entry, packed] of exact) restore(entry, decoded(packed), now)
      return collector
    }
  }
}

function decoded (text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return ''
  }
}
