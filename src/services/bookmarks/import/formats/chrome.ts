import { blank, type Collector, type Entry, type Parser } from '../entry.ts'
import { fill, ignoreRest, textOf } from './fields.ts'
import { walkJson, type Node } from './json-walk.ts'

const KNOWN = new Set(['type', 'name', 'url', 'date_added', 'id', 'guid', 'children'])

/** The file `Bookmarks` in a profile of Chrome, Edge, Brave, Vivaldi or Opera. Children come before their name. */
export function chromeParser (collector: Collector, now: number): Parser {
  const entries = new Map<Node, Entry>()
  const walk = walkJson({
    isList: (key, parent) => key === 'children' && parent !== undefined,
    isNode: (key, { key: at, parent }) => (key === 'roots' && parent === undefined) || at === 'roots',
    keeps: (_, { key }) => key !== '' && key !== 'roots',
    begin (node) {
      if (node.key === '' || node.key === 'roots') return
      entries.set(node, collector.add(blank('folder', node.parent && entries.get(node.parent))))
    },
    end (node) {
      const entry = entries.get(node)
      if (entry === undefined) return
      const { fields } = node
      entry.kind = fields.type === 'folder' || fields.url === undefined ? 'folder' : 'bookmark'
      fill(
        entry,
        { url: textOf(fields.url), title: textOf(fields.name), time: textOf(fields.date_added) },
        now
      )
      ignoreRest(collector, fields, KNOWN)
      entries.delete(node)
    }
  })
  return {
    write: walk.write,
    end () {
      walk.end()
      // Each profile has its roots, whether anything is in them or not.
      const used = new Set(collector.entries.map(({ parent }) => parent))
      const kept = collector.entries.filter((entry) =>
        entry.parent !== undefined || entry.kind !== 'folder' || used.has(entry)
      )
      return { ignored: collector.ignored, entries: kept }
    }
  }
}
