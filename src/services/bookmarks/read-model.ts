import { bookmark, type BookmarkRecord } from '../../../entities/bookmark.ts'
import { spaceName } from '../../../entities/fields.ts'
import type { SpaceContext } from '../../engine/index.ts'
import { MAX_PAGE_BYTES, recordsAfter } from '../../engine/list.ts'
import { beginSnapshot } from '../../engine/snapshot.ts'
import { Expired, readChanges } from '../../engine/read-changes.ts'
import type { Reach } from '../../engine/walk.ts'
import { createPace } from '../../turns.ts'
import { onlyOnce, overloaded, type HeavyWork } from '../heavy-work.ts'
import { createModelCache } from './model-cache.ts'
import { emptyModel, put, remove, sizeOf, type Filled, type ReadModel, type View } from './model.ts'
import { createIndex, type SearchIndex } from './search-index.ts'

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
/** A record is measured, and its URL taken apart. */
const STEPS_A_RECORD = 10
/** A space of more records waits for its turn before all of it is read, or indexed. */
const FEW = PAGE

export interface ReadModels {
  /**
   * The model of the context's space, as it is now: what was committed before the call is on it.
   * @param indexed whether its search index is needed
   * @throws a failure of the store; Problem OVERLOADED where a large space would have to be read and too many
   *   wait for that
   */
  open(context: SpaceContext, indexed?: boolean): Promise<ReadModel>
  /**
   * A view for a reader that may be slow: what it keeps in memory is counted.
   * @returns it, and what ends that, once or more often
   * @throws as `open`; Problem OVERLOADED where readers keep too much
   */
  hold(context: SpaceContext): Promise<{ readonly view: View, readonly release: () => void }>
}

export type { ReadModel, View }

interface Flight {
  running?: Promise<ReadModel>
  next?: Promise<ReadModel>
  indexed: boolean
}
interface Held {
  readonly bytes: number
  readers: number
}

/**
 * The read models of a process, the least recently used of which are forgotten.
 * @param maxBytes of memory, about, for all that is kept or in use; a space that is larger alone is read for
 *   each use, and all who wait for it share it
 */
export function createReadModels (maxBytes: number, heavy: HeavyWork): ReadModels {
  const models = createModelCache<Filled>(maxBytes)
  const flights = new Map<string, Flight>()
  const held = new Map<View, Held>()
  let heldBytes = 0

  async function follow (context: SpaceContext, name: string, indexed: boolean): Promise<ReadModel> {
    for (let attempt = 1;; attempt++) {
      const known = models.get(name)
      const model = known ?? await fill(context)
      try {
        await advance(context, model, known !== undefined)
        await model.index?.settle()
      } catch (error) {
        models.delete(name)
        if (!(error instanceof Expired) || attempt === TRIES) throw error
        continue
      }
      if (indexed && model.index === undefined) model.index = await indexOf(context, model)
      keep(name, model)
      return model
    }
  }

  /** What a reader holds of a model is counted there. */
  function keep (name: string, model: Filled): void {
    models.set(
      name,
      model,
      sizeOf(model) - (model.current === undefined ? 0 : held.get(model.current)?.bytes ?? 0)
    )
  }

  /** Does what is long for large spaces when its turn comes, and counts what it takes meanwhile. */
  const inTurn = <T>({ space }: SpaceContext, work: () => Promise<T>): Promise<T> =>
    heavy.run('fill', space.tenantId, work)

  function indexOf (context: SpaceContext, { records }: Filled): Promise<SearchIndex> {
    const make = () => createIndex(records.values())
    return records.size > FEW ? inTurn(context, make) : make()
  }

  /** Reads all bookmarks of a space, page by page: about 1 RCU for each 4 KB. The first page waits for nobody. */
  async function fill (context: SpaceContext): Promise<Filled> {
    const { snapshot: _, ...position } = await beginSnapshot(context.store, context.space, context.now())
    const model = emptyModel(position)
    const last = await readPage(context, model, undefined)
    if (last !== undefined) await inTurn(context, () => readOn(context, model, last))
    return model
  }

  async function readOn (context: SpaceContext, model: Filled, last: string): Promise<void> {
    let counted = 0
    try {
      for (let after: string | undefined = last; after !== undefined;) {
        after = await readPage(context, model, after)
        const grown = sizeOf(model) - counted
        models.hold(grown)
        counted += grown
      }
    } finally {
      models.release(counted)
    }
  }

  function open (context: SpaceContext, indexed = false): Promise<ReadModel> {
    const name = nameOf(context)
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

  return {
    open,
    async hold (context) {
      const name = nameOf(context)
      const model = await open(context) as Filled
      const { view } = model
      const one = held.get(view) ?? { bytes: sizeOf({ ...model, index: undefined }), readers: 0 }
      if (one.readers === 0) {
        if (held.size > 0 && heldBytes + one.bytes > maxBytes) {
          throw overloaded('Readers of exports keep too much in memory.')
        }
        held.set(view, one)
        heldBytes += one.bytes
        keep(name, model)
        models.hold(one.bytes)
      }
      one.readers++
      return {
        view,
        release: onlyOnce(() => {
          if (--one.readers > 0) return
          held.delete(view)
          heldBytes -= one.bytes
          models.release(one.bytes)
          if (models.get(name) === model) keep(name, model)
        })
      }
    }
  }
}

/** @returns the last id where there may be more */
async function readPage (
  context: SpaceContext,
  model: Filled,
  after: string | undefined
): Promise<string | undefined> {
  const { rows, last } = await recordsAfter(context, bookmark as never, after, PAGE)
  const pace = createPace()
  for (const row of rows) {
    put(model, bookmark.present(row as unknown as Parameters<typeof bookmark.present>[0]))
    if (pace.due(STEPS_A_RECORD)) await pace.turn()
  }
  await pace.turn()
  return last
}

/** Brings a model up to what can be seen of the log. @throws Expired where it has to be filled anew */
async function advance (context: SpaceContext, model: Filled, mayBeFar: boolean): Promise<void> {
  // A deletion is news even of what is not on the model: what put it there may be told of in the same look.
  const isNews: Reach['isNews'] = ({ type, id, act }, n) =>
    type === bookmark.resource && (act === 'delete' || (model.records.get(id)?.rev ?? 0) < n)
  const pace = createPace()
  for (let seen = 0;;) {
    const { changes, position, more } = await readChanges(context, {
      space: context.space,
      name: '',
      position: model.position,
      reach: { limit: LOOK, maxBytes: MAX_PAGE_BYTES, isNews }
    })
    for (const { id, act, rev, record } of changes.flatMap(({ ops }) => ops)) {
      seen++
      if (act === 'put') put(model, record as BookmarkRecord)
      else if ((model.records.get(id)?.rev ?? 0) <= rev) remove(model, id)
      if (pace.due(STEPS_A_RECORD)) await pace.turn()
    }
    const moved = position.n > model.position.n
    model.position = position
    if (!more || !moved) return
    if (mayBeFar && seen > Math.max(FAR, model.records.size)) throw new Expired()
    await pace.turn()
  }
}

/** Nothing of one space is shown in another. */
const nameOf = (context: SpaceContext) => spaceName(context.space)
