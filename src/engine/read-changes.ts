import { setTimeout as pause } from 'node:timers/promises'
import { spaceName, type SpaceKey } from '../../entities/fields.ts'
import type { Resource } from '../../entities/index.ts'
import type { Store } from '../store/store.ts'
import type { Row, SpaceHead } from './change.ts'
import { definitionOf, nameOf, readHead, readLog, readNamed, type Entry } from './rows.ts'
import type { Reads } from './index.ts'
import type { Reach } from './walk.ts'
import type { ChangeSet, Op } from './change-set.ts'

/**
 * A change that is committed may become visible item by item: the store's queries and batches are only
 * read-committed against transactions. What is missing is waited for this often, with a pause that doubles,
 * and then the caller is told to come again; what is missing for longer than YOUNG_MS or WAITED_MS was swept.
 */
const TRIES = 5
const PAUSE_MS = 15
const YOUNG_MS = 60_000
/**
 * Also what this process has waited for so long: by the clocks of others, which are minutes off, it may stay
 * young for long.
 */
const WAITED_MS = 2000

/** The log does not reach back to the position: only a snapshot helps. */
export class Expired extends Error {
  override readonly name = 'Expired'
}

/**
 * The change-sets after a position, whole and without a hole: it stops before the first that can't be seen
 * entirely.
 * @throws Expired
 */
export const readChanges: Reads['readChanges'] = async (
  { store, now, writer, holes },
  { space, name, position, reach }
) => {
  for (let attempt = 1;; attempt++) {
    const head = await readHead(store, space)
    const idle = { changes: [], position, more: false, bytes: 0 }
    if (head === undefined) {
      if (position.epoch !== 0) throw new Expired()
      return idle
    }
    if ((position.epoch !== 0 && position.epoch !== head.epoch) || position.n < head.floor) {
      throw new Expired()
    }
    // A staged batch is told of once it is whole. One whose process died is finished here: nobody may be
    // writing.
    const lock = await writer.staged.settle(store, space, head)
    if (lock === 'moved') continue
    // An older HEAD than what was delivered: it is not visible yet.
    if (position.n >= head.n) return { ...idle, position: { ...position, epoch: head.epoch } }
    const found = await look(store, space, name, position.n, head, reach, now())
    if (found.changes.length > 0 || found.missing === undefined) {
      return {
        changes: found.changes,
        position: { epoch: head.epoch, n: found.n },
        more: found.n < head.n,
        bytes: found.bytes
      }
    }
    if (attempt < TRIES) await pause(PAUSE_MS * 2 ** attempt)
    else if (lock === 'held') return { ...idle, more: true }
    else {
      const hole = `${spaceName(space)} ${found.n}`
      const since = holes.get(hole) ?? performance.now()
      holes.set(hole, since)
      if (now() - Date.parse(found.missing) > YOUNG_MS || performance.now() - since > WAITED_MS) {
        throw new Expired()
      }
      return { ...idle, more: true }
    }
  }
}

interface Found {
  readonly changes: ChangeSet[]
  readonly n: number
  readonly bytes: number
  /**
   * Set where it stopped before something that can't be seen: a time at which that was committed, or a later
   * one.
   */
  readonly missing?: string
}

/** One look at the log: what follows `after` without a hole. */
async function look (
  store: Store,
  space: SpaceKey,
  name: string,
  after: number,
  head: SpaceHead,
  { limit, maxBytes, isNews = () => true }: Reach,
  now: number
): Promise<Found> {
  const entries: Entry[] = []
  let ops = 0
  let missing: string | undefined
  for (const logged of await readLog(store, space, after + 1, head.n, limit)) {
    const entry = { ...logged, ops: logged.ops.filter((op) => isNews(op, logged.n)) }
    if (ops > 0 && ops + entry.ops.length > limit) break
    const expired = entry.expiresAt * 1000 <= now
    if (expired && entries.length === 0) throw new Expired()
    const unfinished = entry.batch !== undefined && entry.batch.id === head.lock?.batch
    if (expired || unfinished || entry.n !== after + 1 + entries.length) {
      missing = entry.at
      break
    }
    entries.push(entry)
    ops += entry.ops.length
  }
  if (entries.length === 0) missing ??= head.at
  const rows = await readNamed(store, space, entries.flatMap(({ ops }) => ops))
  const last = new Map(entries.flatMap(({ n, ops }) => ops.map((op) => [nameOf(op), n])))
  const changes: ChangeSet[] = []
  let bytes = 0
  let n = after
  for (const entry of entries) {
    const delivered = deliver(entry, rows, last)
    if (delivered === undefined) return { changes, n, bytes, missing: entry.at }
    const size = Buffer.byteLength(JSON.stringify(delivered))
    if (bytes > 0 && bytes + size > maxBytes) break
    bytes += size
    n = entry.n
    // Also one without operations that are still to be told of: n goes on.
    changes.push({
      space: name,
      n,
      at: entry.at,
      ...entry.sessionId !== undefined && { sessionId: entry.sessionId },
      ...entry.batch !== undefined && { batch: entry.batch },
      ops: delivered
    })
  }
  return { changes, n, bytes, ...missing !== undefined && { missing } }
}

/**
 * What an entry has to tell, with the records as they are now, or undefined where a record is not yet what
 * the entry made of it.
 */
function deliver (
  { n, ops }: Entry,
  rows: ReadonlyMap<string, Row>,
  last: ReadonlyMap<string, number>
): Op[] | undefined {
  const delivered: Op[] = []
  for (const { type, id, act } of ops) {
    const key = nameOf({ type, id })
    const row = rows.get(key)
    if (row === undefined ? act !== 'delete' : row.rev < n) return undefined
    // What was changed again is told with its later change, where that is on this page.
    if (row !== undefined && row.rev > n && last.get(key)! > n) continue
    delivered.push(
      row === undefined ? { type: type as Resource, id, act: actsOf(type).delete, rev: n } : opOf(type, row)
    )
  }
  return delivered
}

/** A record, or its tombstone, as a device is told of it. */
export function opOf (type: string, row: Row): Op {
  const { id, rev, deletedAt } = row
  return {
    type: type as Resource,
    id,
    rev,
    ...deletedAt === undefined
      ? { act: actsOf(type).put, record: definitionOf(type).present(row) }
      : { act: actsOf(type).delete }
  }
}

const actsOf = (type: string) => definitionOf(type).acts ?? { put: 'put', delete: 'delete' } as const
