import { blank, type Collector, type Entry, type Parser } from '../entry.ts'
import { fill, ignoreRest, isSet, namesOf, objectsOf, textOf, type Fields } from './fields.ts'
import { parentsFirst } from './hub-json.ts'
import { walkJson, type Node } from './json-walk.ts'

const KNOWN = new Set(['type', 'pinned', 'url', 'name', 'description', 'tags', 'createdAt', 'importDate',
  'id', 'collectionId', 'updatedAt', 'highlights'])
const SKIPPED = new Set(['textContent'])
const COLLECTION = new Set(['id', 'name', 'description', 'parentId', 'createdAt'])

/** Linkwarden's backup: collections, each with its links, and the collection that it is in by id. */
export function linkwardenParser (collector: Collector, now: number): Parser {
  const folders = new Map<Node, Entry>()
  const byId = new Map<string, Entry>()
  const parents = new Map<Entry, string>()
  const walk = walkJson({
    isList: (key) => key === 'collections' || key === 'links',
    keeps: (key, { key: at }) =>
      (at === 'links' && !SKIPPED.has(key)) || (at === 'collections' && COLLECTION.has(key)),
    begin (node) {
      if (node.key === 'collections') folders.set(node, collector.add(blank('folder', undefined)))
    },
    end (node) {
      if (node.key === 'collections') endCollection(folders.get(node)!, node.fields)
      else if (node.key === 'links') endLink(node)
    }
  })

  function endCollection (entry: Entry, { id, name, description, parentId, createdAt }: Fields): void {
    fill(entry, { title: textOf(name), texts: [textOf(description)], time: textOf(createdAt) }, now)
    if (textOf(id) !== undefined) byId.set(textOf(id)!, entry)
    if (textOf(parentId) !== undefined) parents.set(entry, textOf(parentId)!)
  }

  function endLink ({ parent, fields }: Node): void {
    const entry = blank('bookmark', parent === undefined ? undefined : folders.get(parent))
    const highlights = objectsOf(fields.highlights)
    fill(entry, {
      url: textOf(fields.url),
      title: textOf(fields.name),
      texts: [textOf(fields.description), ...highlights.map(({ comment }) => textOf(comment))],
      highlights: highlights.map(({ text }) => textOf(text)),
      tags: namesOf(fields.tags),
      time: textOf(fields.createdAt) ?? textOf(fields.importDate),
      isFavorite: isSet(fields.pinned)
    }, now)
    ignoreRest(collector, fields, KNOWN)
    collector.add(entry)
  }

  return {
    write: walk.write,
    end () {
      walk.end()
      for (const [entry, parentId] of parents) entry.parent = byId.get(parentId)
      return { ignored: collector.ignored, entries: parentsFirst(collector.entries) }
    }
  }
}
