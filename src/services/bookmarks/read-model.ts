import { setImmediate as turn } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { bookmark, type BookmarkRecord } from '../../../entities/bookmark.ts'
import { spaceName } from '../../../entities/fields.ts'
import type { SpaceContext } from '../../engine/context.ts'
import { MAX_PAGE_BYTES, recordsAfter } from '../../engine/list.ts'
import type { Position } from '../../engine/position.ts'
import { beginSnapshot } from '../../engine/snapshot.ts'
import { Expired, readChanges, type Reach } from '../../engine/read-changes.ts'
import { createIndex, type SearchIndex } from './search-index.ts'
import { addTo, takeFrom } from './sets.ts'
import { pageOf } from './url.ts'

/** Rows of one read of the store while a model is filled. */
const PAGE = 500
/** Operations of one look at the log. */
const LOOK = 1000
/**
 * A delta reads record by record what a query reads by the page: after so many operations, or more than the
 * model has records, it is filled anew.
 */
const FAR = 20_000
const TRIES = 3
/**
 * What a record takes in memory, in bytes of its JSON: as an object with its entry in the maps, and in a
 * search index.
 */
const OBJECT_FACTOR = 3
const INDEX_FACTOR = 7

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
  /** Ids by what the URLs of one page have in common (`pageOf`). */
  readonly pages: ReadonlyMap<string, ReadonlySet<string>>
  /** The change that it has seen last, and the epoch of the space. */
  readonly position: Position
  /** Present where it was asked for. */
  readonly index: SearchIndex | undefined
}

export interface ReadModels {
  /**
   * The model of the context's space, as it is now: what was committed before the call is on it.
   * @param indexed whether its search index is needed
   * @throws a failure of the store
   */
  open(context: SpaceContext, indexed?: boolean): Promise<ReadModel>
}

interface Filled extends ReadModel {
  readonly records: Map<string, BookmarkRecord>
  readonly folders: Set<string>
  readonly pages: Map<string, Set<string>>
  position: Position
  index: SearchIndex | undefined
  /** Of the JSON of its records. */
  bytes: number
}
interface Flight {
  running?: Promise<ReadModel>
  next?: Promise<ReadModel>
  indexed: boolean
}

/**
 * The read models of a process, the least recently used of which are forgotten.
 * @param maxBytes of memory, about, for all of them; one that is larger alone is filled for each use
 */
export function createReadModels (maxBytes: number): ReadModels {
  const models = new LRUCache<string, Filled>({ maxSize: maxBytes })
  const flights = new Map<string, Flight>()

  async function follow (context: SpaceContext, name: string, indexed: boolean): Promise<ReadModel> {
    for (let attempt = 1;; attempt++) {
      const held = models.get(name)
      const model = held ?? await fill(context)
      try {
        await advance(context, model, held !== undefined)
        if (indexed && model.index === undefined) model.index = await createIndex(model.records.values())
        models.set(name, model, {
          size: 1 + model.bytes * (OBJECT_FACTOR + (model.index === undefined ? 0 : INDEX_FACTOR))
        })
        return model
      } catch (error) {
        models.delete(name)
        if (!(error instanceof Expired) || attempt === TRIES) throw error
      }
    }
  }

  return {
    open (context, indexed = false) {
      const name = spaceName(context.space)
      const flight = flights.get(name) ?? { indexed: false }
      flights.set(name, flight)
      flight.indexed ||= indexed
      // Whoever comes while a look is under way needs one that begins later; all who wait share it.
      return flight.next ??= (flight.running ?? Promise.resolve()).catch(() => {}).then(() => {
        const [running, wanted] = [flight.next!, flight.indexed]
        Object.assign(flight, { running, next: undefined, indexed: false })
        return follow(context, name, wanted).finally(() => {
          if (flight.next === undefined) flights.delete(name)
        })
      })
    }
  }
}

/** Reads all bookmarks of a space, page by page: about 1 RCU for each 4 KB. */
async function fill (context: SpaceContext): Promise<Filled> {
  const { snapshot: _, ...position } = await beginSnapshot(context.store, context.space, context.now())
  const model: Filled = {
    records: new Map(),
    folders: new Set(),
    pages: new Map(),
    position,
    index: undefined,
    bytes: 0
  }
  for (let after: string | undefined;;) {
    const { rows, last } = await recordsAfter(context, bookmark as never, after, PAGE)
    for (const row of rows) {
      put(model, bookmark.present(row as unknown as Parameters<typeof bookmark.present>[0]))
    }
    if (last === undefined) return model
    after = last
    await turn()
  }
}

/** Brings a model up to what can be seen of the log. @throws Expired where it has to be filled anew */
async function advance (context: SpaceContext, model: Filled, mayBeFar: boolean): Promise<void> {
  // A deletion is news even of what is not on the model: what put it there may be told of in the same look.
  const isNews: Reach['isNews'] = ({ type, id, act }, n) =>
    type === bookmark.resource && (act === 'delete' || (model.records.get(id)?.rev ?? 0) < n)
  for (let seen = 0;;) {
    const { changes, position, more } = await readChanges(context, context.space, '', model.position, {
      limit: LOOK,
      maxBytes: MAX_PAGE_BYTES,
      isNews
    })
    for (const { id, act, rev, record } of changes.flatMap(({ ops }) => ops)) {
      seen++
      if (act === 'put') put(model, record as BookmarkRecord)
      else if ((model.records.get(id)?.rev ?? 0) <= rev) remove(model, id)
    }
    const moved = position.n > model.position.n
    model.position = position
    if (!more || !moved) return
    if (mayBeFar && seen > Math.max(FAR, model.records.size)) throw new Expired()
    await turn()
  }
}

function put (model: Filled, record: BookmarkRecord): void {
  const { id, kind, url, rev } = record
  if ((model.records.get(id)?.rev ?? 0) > rev) return
  remove(model, id)
  model.records.set(id, record)
  model.bytes += Buffer.byteLength(JSON.stringify(record))
  if (kind === 'folder') model.folders.add(id)
  if (url !== undefined) addTo(model.pages, pageOf(url), id)
  model.index?.add(record)
}

function remove (model: Filled, id: string): void {
  const record = model.records.get(id)
  if (record === undefined) return
  model.records.delete(id)
  model.folders.delete(id)
  model.bytes -= Buffer.byteLength(JSON.stringify(record))
  if (record.url !== undefined) takeFrom(model.pages, pageOf(record.url), id)
  model.index?.remove(record)
}
