import { blank, type Collector, type Entry, type Parser } from '../entry.ts'
import { ignoreRest, type Fields } from './fields.ts'
import { walkJson } from './json-walk.ts'

/** How a service's JSON lists what it keeps. */
export interface Records {
  /** The key of the list; '' where the file is one. */
  readonly list: string
  /** Members that come along; all others are counted. */
  readonly known: ReadonlySet<string>
  /** Members that are too long to be kept until the record ends: contents of pages. */
  readonly skipped?: ReadonlySet<string>
  readonly fill: (entry: Entry, fields: Fields) => void
}

/** JSON that is a list of records, each a bookmark. */
export function recordsParser (collector: Collector, { list, known, skipped, fill }: Records): Parser {
  const walk = walkJson({
    isList: (key, parent) =>
      key === list && (list === '' ? parent === undefined : parent?.parent === undefined),
    keeps (key, { key: at, parent }) {
      const isRecord = list === '' || parent !== undefined
      if (skipped?.has(key) === true && isRecord) collector.ignore(key)
      return isRecord && at === list && skipped?.has(key) !== true
    },
    begin () {},
    end ({ key, fields, parent }) {
      if (key !== list || (list !== '' && parent === undefined)) return
      const entry = blank('bookmark', undefined)
      fill(entry, fields)
      ignoreRest(collector, fields, known)
      collector.add(entry)
    },
    stray () {
      collector.add({ ...blank('bookmark', undefined), refused: 'it is not an object' })
    }
  })
  return {
    write: walk.write,
    end () {
      walk.end()
      return collector
    }
  }
}
