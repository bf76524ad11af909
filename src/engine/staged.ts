import { setTimeout as pause } from 'node:timers/promises'
import { spaceKey, type SpaceKey } from '../../entities/fields.ts'
import { Problem } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { transact } from '../store/transact.ts'
import { PreconditionFailed, Superseded, type SpaceHead } from './change.ts'
import type { SpaceRules } from './plan.ts'
import { headOfJob, rehearse, type Rehearsed } from './rehearsal.ts'
import { putHead } from './rows.ts'
import { putBatch, readBatch, type BatchRow } from './batch-rows.ts'
import { discard } from './ledger.ts'
import type { StagedChange } from './staged-change.ts'
import type { Job, LockState, Objection, StagedCommits } from './index.ts'
import { createLocks, type Locks } from './staged-lock.ts'
import { endOfRight, stopped, stopping } from './stopped.ts'
import {
  changesOf,
  committedOf,
  lastSeen,
  loadStep,
  moveBatch,
  PartGone,
  planStep,
  renewed,
  stepsOf,
  type Loaded
} from './staged-steps.ts'

/** How often the store may refuse a step. */
const MAX_TRIES = 100
const PAUSE_MS = 50

/** What commits of staged batches share. */
interface Shared {
  readonly rules: SpaceRules
  readonly now: () => number
  readonly locks: Locks
  readonly committed: (space: SpaceKey, n: number) => void
}

export function createStagedCommits (
  rules: SpaceRules,
  now: () => number,
  committed: (space: SpaceKey, n: number) => void
): StagedCommits {
  const shared: Shared = { rules, now, committed, locks: createLocks(rules, now) }
  const settle: StagedCommits['settle'] = async (store, space, head) => settleLock(shared, store, space, head)
  return {
    settle,
    async commit (given, guarded, object) {
      const { store, space } = given
      const locked = await shared.locks.take(given, (head) => settle(store, space, head))
      let rehearsed: Rehearsed | undefined
      let written: BatchRow | undefined
      try {
        if (locked.lock!.part === 0) rehearsed = await prepare(shared, given, locked, guarded, object)
        written = await (rehearsed === undefined
          ? finish(shared, await renewed(given), await headOfJob(given))
          : finish(shared, withSteps(given, rehearsed), rehearsed.locked, rehearsed.loaded))
      } catch (error) {
        // Also where another has written the last of it, and discarded the parts.
        if (!(error instanceof PartGone)) throw error
      }
      const done = written ?? await lastSeen(given)
      if (done?.state === 'committed') return { batch: done, results: rehearsed?.results ?? [] }
      throw tooSlow()
    }
  }
}

/** Rehearses a batch and asks for objections; where it can't be written the space is let go. */
async function prepare (
  { rules, now, locks }: Shared,
  job: Job,
  locked: SpaceHead,
  guarded: boolean,
  object?: Objection
): Promise<Rehearsed | undefined> {
  const { store, space, owner, batch } = job
  for (let attempt = 1;; attempt++) {
    try {
      const rehearsed = await rehearse(job, locked, guarded, { rules, now })
      if (rehearsed !== undefined) await object?.(rehearsed.ahead, locked.n)
      await job.assertAllowed?.()
      return rehearsed
    } catch (error) {
      // A record of the change before may not have been visible yet.
      if (attempt === 1 && (error instanceof PreconditionFailed || error instanceof Superseded)) {
        await pause(PAUSE_MS * 2)
        continue
      }
      // Where this is refused someone else has found the lock dead, and gone on without it.
      await transact(store, [...locks.release(store, space, locked),
        putBatch(owner, { ...batch, state: 'committing' }, { ...batch, state: 'open' })])
      throw error
    }
  }
}

const withSteps = (job: Job, { steps }: Rehearsed): Job => ({
  ...job,
  // A step for each part goes without saying.
  batch: steps.length === job.batch.sizes.length ? job.batch : { ...job.batch, steps: [...steps] }
})

/**
 * Writes the steps that are not yet written. Two who do so at once get in each other's way, never twice to the
 * same end.
 * @returns the batch, where its last step was written here: what is read of it may still be what was before
 */
async function finish (
  shared: Shared,
  given: Job,
  locked: SpaceHead,
  loaded = new Map<number, Loaded>()
): Promise<BatchRow | undefined> {
  const { store, space } = given
  for (let [job, head, tries] = [given, locked, 0]; head.lock?.batch === job.batch.id;) {
    const number = head.lock.part + 1
    const last = stepsOf(job.batch).length
    const ended = number === 1 ? undefined : await endOfRight(job)
    const { after, puts } = ended === undefined
      ? await nextStep(shared, job, head, loaded)
      : stopping(shared.locks, job, head)
    if (await transact(store, puts) === undefined) {
      shared.committed(space, after.n)
      if (ended !== undefined || number === last) await discard(store, job.owner, job.batch)
      if (ended !== undefined) throw stopped(job, head, ended)
      if (number === last) return committedOf(job, after.n)
      head = after
      continue
    }
    if (++tries > MAX_TRIES) throw refusedAgain()
    await pause(PAUSE_MS)
    const seen = await headOfJob(job)
    // What was just written may not be visible yet: an older HEAD is no news.
    if (seen.n >= head.n) head = seen
    if (head.lock?.batch === job.batch.id && head.lock.part > 0) job = await renewed(job)
  }
}

/** What writes the next step, and HEAD after it. */
async function nextStep (shared: Shared, job: Job, head: SpaceHead, loaded: Map<number, Loaded>) {
  const [number, last] = [head.lock!.part + 1, stepsOf(job.batch).length]
  const planned = await planAllowed(shared, job, head, loaded.get(number))
  loaded.delete(number)
  const after = { ...planned.head, lock: number < last ? { ...head.lock!, part: number } : undefined }
  return {
    after,
    puts: [putHead(job.space, head, after), ...planned.puts, ...moveBatch(job, number, last, after.n)]
  }
}

/**
 * The next step after `head`. Once a step is written there is no way back: what the rehearsal has allowed is
 * not asked again.
 */
async function planAllowed ({ rules, now }: Shared, job: Job, head: SpaceHead, loaded?: Loaded) {
  const steps = stepsOf(job.batch)
  const number = head.lock!.part + 1
  const { staged, rows } = loaded ?? await loadStep(job, steps[number - 1]!)
  const rowOf = (name: string) => rows.get(name)
  const allowed = staged.map(({ precondition: _, basedOn: __, ...change }): StagedChange => change)
  return planStep(job, changesOf(allowed, rowOf), {
    rowOf,
    head,
    number,
    of: steps.length,
    now: now(),
    rules: { ...rules, limits: { spaceRecords: Infinity, spaceBytes: Infinity } }
  })
}

async function settleLock (
  shared: Shared,
  store: Store,
  space: SpaceKey,
  head: SpaceHead | undefined
): Promise<LockState> {
  if (head?.lock === undefined) return 'free'
  if (shared.locks.isAlive(space, head.lock)) return 'held'
  if (head.lock.part === 0) return 'free'
  const owner = spaceKey(space.tenantId, 'USER', head.lock.owner)
  const batch = await readBatch(store, owner, head.lock.batch)
  try {
    if (batch === undefined) throw new PartGone()
    await finish(shared, { store, space, owner, batch }, head)
  } catch (error) {
    // Swept, after a week in which nobody came: what is written of it stays, and the space goes on.
    if (!(error instanceof PartGone)) throw error
    await transact(store, shared.locks.release(store, space, head))
  }
  return 'moved'
}

const tooSlow = () =>
  new Problem(
    'CONTENTION',
    'The commit took so long that others no longer waited for it; nothing of it was written. Try again.',
    { retryAfter: 1 }
  )

const refusedAgain = () =>
  new Problem(
    'CONTENTION',
    'The store refused parts of the batch again and again. Commit it again: it goes on where it stands.',
    { retryAfter: 5 }
  )
