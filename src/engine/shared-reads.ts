import { LRUCache } from 'lru-cache'
import { spaceName } from '../../entities/fields.ts'
import type { Definition } from '../../entities/definition.ts'
import type { Store } from '../store/store.ts'
import type { Row } from './change.ts'
import type { RowPlace, SharedReads } from './index.ts'
import type { Walked } from './walk.ts'
import { readChanges } from './read-changes.ts'
import { readAcross } from './rows.ts'

/** Change-sets that are kept for whoever stands at the same place, in a process. */
const KEPT_BYTES = 33_554_432
const KEPT_MS = 10_000
/** What an entry takes beside its records. */
const ENTRY_BYTES = 1000

export function createSharedReads (): SharedReads {
  return { changes: shareChanges(), rows: gatherRows() }
}

function shareChanges (): SharedReads['changes'] {
  const underWay = new Map<string, Promise<Walked>>()
  const kept = new LRUCache<string, Walked>({
    maxSize: KEPT_BYTES,
    sizeCalculation: ({ bytes, changes }) => bytes + ENTRY_BYTES * (1 + changes.length),
    ttl: KEPT_MS
  })
  return async (context, walk) => {
    const { space, position, reach, known } = walk
    const key = JSON.stringify([spaceName(space), position.epoch, position.n, reach.limit, reach.maxBytes])
    const read = async () => {
      const walked = await readChanges(context, walk)
      kept.set(key, walked)
      return walked
    }
    if (known === undefined) return read()
    const reaches = (walked: Walked) =>
      walked.position.n >= known || (walked.more && walked.changes.length > 0)
    const earlier = kept.get(key)
    if (earlier !== undefined && reaches(earlier)) return earlier
    // What began before the change that is known may not have seen it: then there is another, also shared.
    for (let other = underWay.get(key); other !== undefined; other = underWay.get(key)) {
      const walked = await other
      if (reaches(walked)) return walked
    }
    const own = read().finally(() => underWay.delete(key))
    underWay.set(key, own)
    return own
  }
}

function gatherRows (): SharedReads['rows'] {
  interface Gathered {
    readonly places: Map<string, RowPlace>
    readonly rows: Promise<Map<string, Row>>
  }
  const nameOf = (place: RowPlace) => `${spaceName(place)} ${place.id}`
  const open = new Map<string, Gathered>()

  function gather (key: string, store: Store, definition: Definition): Gathered {
    const places = new Map<string, RowPlace>()
    const rows = new Promise<void>((resolve) => {
      setImmediate(resolve)
    }).then(async () => {
      open.delete(key)
      const found = await readAcross(store, definition, [...places.values()])
      return new Map(found.map((row) => [nameOf(row), row]))
    })
    const gathered = { places, rows }
    open.set(key, gathered)
    return gathered
  }

  return async (store, definition, places) => {
    if (places.length === 0) return []
    const key = `${places[0]!.tenantId} ${definition.resource}`
    const gathered = open.get(key) ?? gather(key, store, definition)
    for (const place of places) gathered.places.set(nameOf(place), place)
    const rows = await gathered.rows
    // Each is handed what they asked for, and nothing that another asked for.
    return places.flatMap((place) => rows.get(nameOf(place)) ?? [])
  }
}
