import type { BookmarkRecord } from '../../../entities/bookmark.ts'
import type { Position } from '../../engine/position.ts'
import type { SearchIndex } from './search-index.ts'
import { treeOf, type Tree } from './tree.ts'
import { pageOf } from './url.ts'

/**
 * What a copy takes in memory, and what a record takes in it beside its JSON: an object, its texts, and its
 * entries in the maps. Measured, `npm run bench:memory`.
 */
const COPY_BYTES = 1024
const RECORD_BYTES = 700
/**
 * The bookmarks of one space in memory, as of one number of its log: what search, tree, tags, duplicates,
 * import, export and the rules of folders read. It follows the log, so that a look costs 1 RCU where nothing
 * changed.
 */
export interface ReadModel {
  /** Bookmarks and folders by id. */
  readonly records: ReadonlyMap<string, BookmarkRecord>
  /** Ids of the folders among them. */
  readonly folders: ReadonlySet<string>
  /** Ids by what the URLs of one page have in common (`pageOf`): mostly one. */
  readonly pages: ReadonlyMap<string, string | ReadonlySet<string>>
  /** The change that it has seen last, and the epoch of the space. */
  readonly position: Position
  /** Present where it was asked for. */
  readonly index: SearchIndex | undefined
  /** All of it as it is now, and as the view stays: for what gives way while it reads. */
  readonly view: View
}

/** The records of a space at one moment. */
export interface View {
  readonly records: readonly BookmarkRecord[]
  /** Made when it is asked for first. */
  readonly tree: () => Promise<Tree>
}

/** A model as it is filled and kept up. */
export interface Filled extends ReadModel {
  readonly records: Map<string, BookmarkRecord>
  readonly folders: Set<string>
  readonly pages: Map<string, string | Set<string>>
  position: Position
  index: SearchIndex | undefined
  /** Of its records. */
  bytes: number
  /** The view of what it is now, where there is one. */
  current: View | undefined
}
/** Bytes of memory, about. */
export const sizeOf = ({ bytes, records, index }: Pick<Filled, 'bytes' | 'records' | 'index'>): number =>
  COPY_BYTES + bytes + records.size * RECORD_BYTES + (index?.bytes ?? 0)

export function emptyModel (position: Position): Filled {
  return {
    records: new Map(),
    folders: new Set(),
    pages: new Map(),
    position,
    index: undefined,
    bytes: 0,
    current: undefined,
    get view () {
      return this.current ??= viewOf([...this.records.values()])
    }
  }
}

function viewOf (records: readonly BookmarkRecord[]): View {
  let tree: Promise<Tree> | undefined
  return { records, tree: () => tree ??= treeOf(records) }
}

export function put (model: Filled, record: BookmarkRecord): void {
  const { id, kind, url, rev } = record
  if ((model.records.get(id)?.rev ?? 0) > rev) return
  remove(model, id)
  model.records.set(id, record)
  model.current = undefined
  model.bytes += bytesOf(record)
  if (kind === 'folder') model.folders.add(id)
  if (url !== undefined) addPage(model.pages, pageOf(url), id)
  model.index?.add(record)
}

export function remove (model: Filled, id: string): void {
  const record = model.records.get(id)
  if (record === undefined) return
  model.records.delete(id)
  model.folders.delete(id)
  model.current = undefined
  model.bytes -= bytesOf(record)
  if (record.url !== undefined) removePage(model.pages, pageOf(record.url), id)
  model.index?.remove(record)
}

/** What its texts take in memory: V8 keeps two bytes for each character of a text that is not of Latin letters. */
function bytesOf (record: BookmarkRecord): number {
  const json = JSON.stringify(record)
  return Buffer.byteLength(json) === json.length ? json.length : 2 * json.length
}

// A set for each page would take more than the page itself: it is for those that there are several of.

function addPage (pages: Map<string, string | Set<string>>, page: string, id: string): void {
  const ids = pages.get(page)
  if (ids === undefined) pages.set(page, id)
  else if (typeof ids === 'string') pages.set(page, new Set([ids, id]))
  else ids.add(id)
}

function removePage (pages: Map<string, string | Set<string>>, page: string, id: string): void {
  const ids = pages.get(page)
  if (typeof ids === 'object' && ids.size > 1) ids.delete(id)
  else pages.delete(page)
}
