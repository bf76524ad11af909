import { blank, tagsOf, type Collector, type Entry, type Parser } from '../entry.ts'
import { fill, ignoreRest, objectsOf, textOf, type Fields } from './fields.ts'
import { walkJson, type Node } from './json-walk.ts'

const KNOWN = new Set(['guid', 'title', 'index', 'dateAdded', 'id', 'typeCode', 'type', 'root', 'uri', 'tags',
  'annos'])
/** The folder that holds all others. */
const TOP = 'placesRoot'
/** What Firefox calls its folders in English, where the file has their inner names. */
const NAMES: Readonly<Record<string, string>> = {
  menu: 'Bookmarks Menu',
  toolbar: 'Bookmarks Toolbar',
  unfiled: 'Other Bookmarks',
  mobile: 'Mobile Bookmarks'
}

/** Firefox's backup of all bookmarks, as it is in `.json` and within `.jsonlz4`. */
export function firefoxParser (collector: Collector, now: number): Parser {
  const entries = new Map<Node, Entry>()
  const dropped = new Set<Entry>()
  let top: Entry | undefined
  const walk = walkJson({
    isList: (key, parent) => key === 'children' && parent !== undefined,
    keeps: () => true,
    begin (node) {
      entries.set(node, collector.add(blank('folder', node.parent && entries.get(node.parent))))
    },
    end (node) {
      const entry = entries.get(node)!
      entries.delete(node)
      if (node.parent === undefined) top = entry
      read(entry, node.fields)
    }
  })

  function read (entry: Entry, fields: Fields): void {
    const { type, typeCode, uri, title, tags, dateAdded, annos } = fields
    if (type === 'text/x-moz-place-separator' || typeCode === 3) {
      dropped.add(entry)
      return collector.ignore('separator')
    }
    entry.kind = type === 'text/x-moz-place' || typeCode === 1 || uri !== undefined ? 'bookmark' : 'folder'
    const name = textOf(title)
    const descriptions = objectsOf(annos).filter((anno) => anno.name === 'bookmarkProperties/description')
    fill(entry, {
      url: textOf(uri),
      title: entry.kind === 'folder' && name !== undefined && entry.parent?.parent === undefined
        ? NAMES[name] ?? name
        : name,
      texts: descriptions.map(({ value }) => textOf(value)),
      tags: tagsOf(textOf(tags) ?? ''),
      time: textOf(dateAdded)
    }, now)
    ignoreRest(collector, fields, KNOWN)
  }

  return {
    write: walk.write,
    end () {
      walk.end()
      if (top?.kind === 'folder') dropped.add(top)
      const used = new Set(collector.entries.map(({ parent }) => parent))
      const kept = collector.entries.filter((entry) => {
        const isRoot = entry.parent === top && entry.kind === 'folder'
        return !dropped.has(entry) && !(isRoot && !used.has(entry))
      })
      for (const entry of kept) if (entry.parent === top) entry.parent = undefined
      return { ignored: collector.ignored, entries: kept }
    }
  }
}

/** Whether a backup of Firefox says that it is one. */
export const isFirefox = (head: string) => head.includes(`"${TOP}"`) || /"text\/x-moz-place/.test(head)
