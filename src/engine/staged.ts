import { setTimeout as pause } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { spaceKey, spaceName, type SpaceKey } from '../../entities/fields.ts'
import { Problem } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { transact } from '../store/transact.ts'
import {
  GUARDED_RECORDS,
  knownOf,
  PreconditionFailed,
  removal,
  Superseded,
  type Change,
  type Known,
  type Lock,
  type Precondition,
  type Row,
  type SpaceHead,
  type Write
} from './change.ts'
import { emptyHead, opening, plan, type Planned, type Rules } from './plan.ts'
import {
  definitionOf,
  nameOf,
  putBatch,
  putHead,
  readBatch,
  readBatchPart,
  readHead,
  readNamed,
  type BatchRow
} from './rows.ts'

/** A rehearsal shows a sign of life so often in each lease. */
const BEATS = 4
/** Locks of others that a process watches. */
const MAX_WATCHED = 1000
/** How long a commit tries to get hold of a space that others write to. */
const MAX_TRIES = 100
const PAUSE_MS = 50

/** One change of a batch as it is staged. */
export interface StagedChange {
  readonly type: string
  readonly id: string
  readonly act: 'put' | 'delete'
  /** Of a put. */
  readonly content?: Record<string, unknown>
  readonly precondition?: Precondition
  /** The revision, also of a tombstone, that the change was made from and holds only for. */
  readonly basedOn?: number
  /** Where it is not the time of the write. */
  readonly createdAt?: string
}

/**
 * Refuses a batch by the rows that it would make, by `nameOf`, when nobody else writes and the space is at
 * change `n`.
 */
export type Objection = (rows: ReadonlyMap<string, Row>, n: number) => Promise<void>

export interface StagedCommits {
  /**
   * Commits a staged batch: part after part, each a transaction and a change-set, while nobody else writes to
   * the space. All preconditions and the quota are checked before the first. What was begun is gone on with.
   * @param guarded refuse it where it would delete most of the space
   * @param object may refuse it by throwing, before anything is written
   * @throws PreconditionFailed, Superseded, Problem QUOTA_EXCEEDED, CONFIRMATION_REQUIRED, CONTENTION:
   *   nothing of it happened
   */
  commit(
    store: Store,
    space: SpaceKey,
    owner: SpaceKey,
    batch: BatchRow,
    guarded: boolean,
    object?: Objection
  ): Promise<void>
  /**
   * What of a lock is to be thought: `held` while its owner lives, `free` where there is none, or one that
   * has written nothing and died (the next change of HEAD drops it), `moved` where a commit had died half way
   * and was finished here.
   */
  settle(store: Store, space: SpaceKey, head: SpaceHead | undefined): Promise<'held' | 'free' | 'moved'>
}

export function createStagedCommits (
  rules: Rules,
  now: () => number,
  committed: (space: SpaceKey, n: number) => void
): StagedCommits {
  interface Job {
    readonly store: Store
    readonly space: SpaceKey
    readonly owner: SpaceKey
    readonly batch: BatchRow
    /**
     * Parts that were rehearsed here, and the records as they were: nobody else writes before they are
     * written, and each is used once.
     */
    readonly rehearsed?: Map<number, Loaded>
  }
  interface Loaded {
    readonly staged: readonly StagedChange[]
    readonly rows: ReadonlyMap<string, Row>
  }

  const leaseMs = rules.commitLeaseSeconds * 1000
  /**
   * Since when a lock looks as it does. By what this process sees, and not by its clock: clocks disagree by
   * minutes.
   */
  const watched = new LRUCache<string, { readonly mark: string, readonly since: number }>({
    max: MAX_WATCHED
  })

  function isAlive (space: SpaceKey, { batch, part, beat }: Lock): boolean {
    const name = spaceName(space)
    const mark = `${batch} ${part} ${beat}`
    const seen = watched.get(name)
    if (seen?.mark === mark) return performance.now() - seen.since < leaseMs
    watched.set(name, { mark, since: performance.now() })
    return true
  }

  /** HEAD with the lock of the batch on it. An empty change-set takes it, so that every writer notices. */
  async function lock (job: Job): Promise<SpaceHead> {
    const { store, space, owner, batch } = job
    const { id } = batch
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const head = await readHead(store, space)
      if (head?.lock?.batch === id) return head
      if (head === undefined) {
        await transact(store, opening(space, undefined, emptyHead(now())))
        continue
      }
      const state = await settle(store, space, head)
      if (state === 'held') await pause(PAUSE_MS)
      else if (state === 'free') {
        const { head: next, puts } = plan(
          { store, space, changes: [], sessionId: undefined },
          head,
          [],
          now(),
          rules
        )
        const locked = { ...next, lock: { batch: id, owner: owner.spaceId, part: 0, beat: 0 } }
        if (
          await transact(store, [putHead(space, head, locked), ...puts,
            putBatch(owner, batch, { ...batch, state: 'committing' })]) === undefined
        ) return locked
        if ((await readBatch(store, owner, id))?.bytes !== batch.bytes) {
          throw new Problem(
            'BATCH_STATE',
            'Changes were added to the batch meanwhile. Commit it again where that is all.'
          )
        }
        await pause(Math.random() * PAUSE_MS)
      }
    }
    throw new Problem(
      'CONTENTION',
      'Too many others write to the space; nothing was written. Try again later.',
      { retryAfter: 5 }
    )
  }

  async function loadPart (
    store: Store,
    space: SpaceKey,
    owner: SpaceKey,
    id: string,
    part: number
  ): Promise<Loaded> {
    const text = await readBatchPart(store, owner, id, part)
    if (text === undefined) throw new PartGone()
    const staged = JSON.parse(text) as StagedChange[]
    return { staged, rows: await readNamed(store, space, staged) }
  }

  /** What part `part` becomes after `head`, with the records as they are, or as `ahead` says they will be. */
  async function planPart (
    { store, space, owner, batch: { id, sizes }, rehearsed }: Job,
    part: number,
    head: SpaceHead,
    ahead?: Map<string, Row>
  ): Promise<Planned> {
    const { staged, rows: read } = rehearsed?.get(part) ?? await loadPart(store, space, owner, id, part)
    rehearsed?.delete(part)
    if (ahead !== undefined) rehearsed?.set(part, { staged, rows: read })
    const rows = { get: (name: string) => ahead?.get(name) ?? read.get(name) }
    // Once a part is written there is no way back: what the rehearsal has allowed is not asked again.
    const allowed = ahead === undefined
      ? staged.map(({ precondition: _, basedOn: __, ...change }) => change)
      : staged
    const changes = allowed.flatMap((change) => toChange(change, rows.get(nameOf(change))))
    const known = changes.map(({ definition, id }): Known | undefined => {
      const row = rows.get(nameOf({ type: definition.resource, id }))
      return row && knownOf(definition, row)
    })
    const write: Write = {
      store,
      space,
      changes,
      sessionId: undefined,
      batch: { id, part, parts: sizes.length }
    }
    return plan(
      write,
      head,
      known,
      now(),
      ahead === undefined ? { ...rules, limits: { spaceRecords: Infinity, spaceBytes: Infinity } } : rules
    )
  }

  /**
   * Plans all parts and writes none of them. @returns HEAD, whose lock may have gone on @throws what stands
   * in the way
   */
  async function rehearse (
    { store, space, ...job }: Job,
    given: SpaceHead,
    guarded: boolean,
    object?: Objection
  ): Promise<SpaceHead> {
    const ahead = new Map<string, Row>()
    let [locked, head, deleted, beatAt] = [given, given, 0, performance.now()]
    for (let part = 1; part <= job.batch.sizes.length; part++) {
      const planned = await planPart({ store, space, ...job }, part, head, ahead)
      for (const { resource, row } of planned.outcome.results) {
        ahead.set(nameOf({ type: resource, id: row.id }), row)
        if (row.deletedAt !== undefined) deleted++
      }
      head = planned.head
      if (performance.now() - beatAt < leaseMs / BEATS) continue
      const alive = { ...locked, lock: { ...locked.lock!, beat: locked.lock!.beat + 1 } }
      // Refused: another request commits the same batch, or the lock was taken for dead. Either way nothing
      // is to be rehearsed.
      if (await transact(store, [putHead(space, locked, alive)]) !== undefined) {
        return (await readHead(store, space))!
      }
      ;[locked, beatAt] = [alive, performance.now()]
    }
    if (guarded && locked.count > GUARDED_RECORDS && deleted * 2 > locked.count) {
      throw new Problem(
        'CONFIRMATION_REQUIRED',
        `This would delete ${deleted} of the ${locked.count} records of the space. If it is meant, send it again with "confirm": true.`,
        { limit: { name: 'unconfirmedDeletes', value: Math.floor(locked.count / 2), sent: deleted } }
      )
    }
    await object?.(ahead, given.n)
    return locked
  }

  /**
   * Writes the parts that are not yet written. Two who do so at once get in each other's way, never twice to
   * the same end.
   */
  async function finish (job: Job, locked: SpaceHead): Promise<void> {
    const { store, space, owner, batch } = job
    const parts = batch.sizes.length
    for (let [head, tries] = [locked, 0]; head.lock?.batch === batch.id;) {
      const part = head.lock.part + 1
      const planned = await planPart(job, part, head)
      const after = { ...planned.head, lock: part < parts ? { ...head.lock, part } : undefined }
      // The first part is where it can no longer be changed, or given up: whoever did either meanwhile has
      // moved its row.
      const before: BatchRow = { ...batch, state: part === 1 ? 'committing' : 'writing' }
      const moves = part === parts
        ? [
          putBatch(owner, before, { ...batch, state: 'committed', first: after.n - parts + 1, last: after.n })
        ]
        : part === 1
        ? [putBatch(owner, before, { ...batch, state: 'writing' })]
        : []
      if (await transact(store, [putHead(space, head, after), ...planned.puts, ...moves]) === undefined) {
        committed(space, after.n)
        head = after
      } else {
        if (++tries > MAX_TRIES) {
          throw new Problem(
            'CONTENTION',
            'The store refused parts of the batch again and again. Commit it again: it goes on where it stands.',
            { retryAfter: 5 }
          )
        }
        await pause(PAUSE_MS)
        head = (await readHead(store, space))!
      }
    }
  }

  async function settle (
    store: Store,
    space: SpaceKey,
    head: SpaceHead | undefined
  ): Promise<'held' | 'free' | 'moved'> {
    if (head?.lock === undefined) return 'free'
    if (isAlive(space, head.lock)) return 'held'
    if (head.lock.part === 0) return 'free'
    const owner = spaceKey(space.tenantId, 'USER', head.lock.owner)
    const batch = await readBatch(store, owner, head.lock.batch)
    try {
      if (batch === undefined) throw new PartGone()
      await finish({ store, space, owner, batch }, head)
    } catch (error) {
      // Swept, after a week in which nobody came: what is written of it stays, and the space goes on.
      if (!(error instanceof PartGone)) throw error
      await transact(store, release(store, space, head))
    }
    return 'moved'
  }

  /**
   * HEAD goes on by an empty change-set, without the lock: whoever still has the old HEAD in hand can write
   * nothing.
   */
  function release (store: Store, space: SpaceKey, head: SpaceHead): object[] {
    const { head: next, puts } = plan(
      { store, space, changes: [], sessionId: undefined },
      head,
      [],
      now(),
      rules
    )
    return [putHead(space, head, next), ...puts]
  }

  return {
    async commit (store, space, owner, batch, guarded, object) {
      const job = { store, space, owner, batch, rehearsed: new Map<number, Loaded>() }
      let locked = await lock(job)
      for (let attempt = 1; locked.lock?.part === 0; attempt++) {
        job.rehearsed.clear()
        try {
          locked = await rehearse(job, locked, guarded, object)
          break
        } catch (error) {
          // A record of the change before may not have been visible yet.
          if (attempt === 1 && (error instanceof PreconditionFailed || error instanceof Superseded)) {
            await pause(PAUSE_MS * 2)
            continue
          }
          // Where this is refused someone else has found the lock dead, and gone on without it.
          await transact(store, [...release(store, space, locked),
            putBatch(owner, { ...batch, state: 'committing' }, { ...batch, state: 'open' })])
          throw error
        }
      }
      await finish(job, locked)
      if ((await readBatch(store, owner, batch.id))?.state !== 'committed') throw tooSlow()
    },
    settle
  }
}

/** A part of a batch, or all of it, is no longer there. */
class PartGone extends Error {
  override readonly name = 'PartGone'
}

const tooSlow = () =>
  new Problem(
    'CONTENTION',
    'The commit took so long that others no longer waited for it; nothing of it was written. Try again.',
    { retryAfter: 1 }
  )

/** A staged change as the write path takes it: none where there is nothing to delete. @throws Superseded */
export function toChange (
  { type, id, act, content, precondition, basedOn, createdAt }: StagedChange,
  row: Row | undefined
): Change[] {
  const definition = definitionOf(type)
  const required = {
    ...precondition && { precondition },
    ...basedOn !== undefined && row !== undefined && { basedOn: knownOf(definition, row) }
  }
  if (basedOn !== undefined && row?.rev !== basedOn) throw new Superseded()
  if (act === 'put') {
    return [{
      definition,
      id,
      act,
      content: content!,
      ...createdAt !== undefined && { createdAt },
      ...required
    }]
  }
  if (row !== undefined && row.deletedAt === undefined) return [{ ...removal(definition, row), ...required }]
  return precondition?.ifMatch === undefined ? [] : [{ definition, id, act, content: {}, ...required }]
}
