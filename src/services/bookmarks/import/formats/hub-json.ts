import { BOOKMARK_KINDS, RESERVED_IDS } from '../../../../../entities/bookmark.ts'
import { PLAIN_ID } from '../../../../../entities/fields.ts'
import { blank, type Collector, type Entry, type Parser } from '../entry.ts'
import { malformed } from '../not-bookmarks.ts'
import { setTime } from '../times.ts'
import type { Fields } from './fields.ts'
import { walkJson } from './json-walk.ts'

/** What the hub's own files say that they are. */
export const JSON_FORMAT = 'sync-hub-bookmarks'
export const JSON_VERSION = 1

const TEXTS = ['id', 'kind', 'url', 'address', 'title', 'description', 'folderId', 'position',
  'createdAt'] as const
const KNOWN = new Set<string>([...TEXTS, 'tags', 'favorite', 'updatedAt', 'rev'])

/** A record of which it is certain that what is there is of the right type. */
type Typed = { readonly [name in typeof TEXTS[number]]?: string } & {
  readonly tags?: readonly string[],
  readonly favorite?: boolean
}

/**
 * The hub's own JSON, as the export writes it: records as they travel. Order is of no matter.
 * @param now milliseconds
 */
export function hubJsonParser (collector: Collector, now: number): Parser {
  const folderIds = new Map<Entry, string>()
  let whole: Fields = {}
  let isList = false
  const walk = walkJson({
    isList: (key, parent) => {
      const is = key === 'bookmarks' && parent !== undefined && parent.parent === undefined
      isList ||= is
      return is
    },
    keeps: (key, { parent }) => parent !== undefined || key === 'format' || key === 'version',
    end ({ parent, fields }) {
      if (parent === undefined) whole = fields
      else read(fields)
    },
    stray () {
      collector.add({ ...blank('bookmark', undefined), refused: 'it is not an object' })
    }
  })

  function read (given: Fields): void {
    const entry: Entry = { ...blank('bookmark', undefined), isPlaced: true }
    collector.add(entry)
    for (const name of Object.keys(given)) if (!KNOWN.has(name)) collector.ignore(name)
    if (typeof given.title === 'string') entry.title = given.title
    if (typeof given.url === 'string') entry.url = given.url
    const refusal = refusalOf(given)
    if (refusal !== undefined) {
      entry.refused = refusal
      return
    }
    const {
      id,
      kind = 'bookmark',
      address,
      description,
      tags = [],
      folderId,
      position,
      favorite,
      createdAt
    } = given as Typed
    Object.assign(entry, { kind, address, description, tags: [...new Set(tags)], position, favorite })
    setTime(entry, createdAt, now)
    if (id !== undefined && PLAIN_ID.test(id) && !RESERVED_IDS.has(id)) entry.id = id
    else if (id !== undefined) entry.remarks.push('its id is not one that the hub takes: it gets another')
    if (folderId !== undefined && PLAIN_ID.test(folderId)) folderIds.set(entry, folderId)
    else if (folderId !== undefined) {
      entry.remarks.push('its folderId is not one that the hub takes: it is put at the root')
    }
  }

  return {
    write: walk.write,
    end () {
      walk.end()
      if (whole.format !== JSON_FORMAT || whole.version !== JSON_VERSION || !isList) {
        throw malformed(
          `It is not what the export writes: {"format":"${JSON_FORMAT}","version":${JSON_VERSION},"bookmarks":[...]}`
        )
      }
      for (const [entry, folderId] of folderIds) entry.folderId = folderId
      return { ignored: collector.ignored, entries: nested(collector.entries, folderIds) }
    }
  }
}

function refusalOf (given: Fields): string | undefined {
  const { kind, tags, favorite } = given
  const isTexts = (value: unknown) => Array.isArray(value) && value.every((one) => typeof one === 'string')
  const wrong = TEXTS.find((name) => given[name] !== undefined && typeof given[name] !== 'string') ??
    (favorite !== undefined && typeof favorite !== 'boolean' ? 'favorite' : undefined) ??
    (tags !== undefined && !isTexts(tags) ? 'tags' : undefined)
  if (wrong !== undefined) return `its "${wrong}" is of a wrong type`
  if (typeof kind !== 'string' || (BOOKMARK_KINDS as readonly string[]).includes(kind)) return undefined
  return `its kind "${kind.slice(0, 40)}" is not known`
}

/** Links entries to the folders of the file that they are in, and puts each folder before what is in it. */
function nested (entries: readonly Entry[], folderIds: ReadonlyMap<Entry, string>): Entry[] {
  const folders = new Map(
    entries.filter(({ kind, id }) => kind === 'folder' && id !== undefined).map((entry) => [entry.id!, entry])
  )
  for (const [entry, folderId] of folderIds) {
    const parent = folders.get(folderId)
    if (parent === undefined) continue
    entry.parent = parent
    entry.folderId = undefined
  }
  return parentsFirst(entries)
}

/** Puts each folder before what is in it; those that are in each other are refused. */
export function parentsFirst (entries: readonly Entry[]): Entry[] {
  const sorted: Entry[] = []
  const state = new Map<Entry, 'open' | 'done'>()
  for (const start of entries) {
    // From the entry up to what is sorted already, then down again: no recursion, however deep it is.
    const path: Entry[] = []
    for (
      let entry: Entry | undefined = start;
      entry !== undefined && state.get(entry) !== 'done';
      entry = entry.parent
    ) {
      if (state.get(entry) === 'open') {
        for (const circular of path.slice(path.indexOf(entry))) {
          circular.refused = 'the folders of the file are in each other, in a circle'
        }
        entry.parent = undefined
        break
      }
      state.set(entry, 'open')
      path.push(entry)
    }
    for (const entry of path.reverse()) {
      if (state.get(entry) !== 'done') sorted.push(entry)
      state.set(entry, 'done')
    }
  }
  return sorted
}
