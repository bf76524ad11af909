import { setTimeout as pause } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { spaceName, type SpaceKey } from '../../entities/fields.ts'
import { Problem } from '../errors.ts'
import { transact, type Refusal } from '../store/transact.ts'
import { knownOf, type Outcome, type SpaceHead, type Write } from './change.ts'
import { forget, learnHead, load, recordKey, remember, type Memory } from './memory.ts'
import { emptyHead, opening, plan, repeated, type Planned, type SpaceRules } from './plan.ts'
import { parseRow, readHead } from './rows.ts'
import { parseIdempotency } from './idempotency-rows.ts'
import { commitAcross } from './commit-across.ts'
import { actionsOf, MAX_ACTIONS, takeBatch, type Pending } from './queue.ts'
import type { Writer } from './index.ts'
import { createStagedCommits } from './staged.ts'

const MAX_TRIES = 8
const PATIENCE_MS = 10_000
const HELD_PAUSE_MS = 50
/** Writes of one space that may wait in a process; more are turned away at once. */
const MAX_WAITING = 1000
/** Spaces that a process remembers. What it forgets costs a read, never correctness. */
const MAX_SPACES = 2000

interface SpaceState extends Memory {
  queue: Pending[]
  draining: boolean
  /** Ends with the transaction that is in flight. */
  turn: Promise<unknown>
}

/**
 * The write path of every space, with group commit: one transaction of a space is in flight at a time in this
 * process, and the writes that wait ride the next one together, each as a change-set of its own. Between
 * processes HEAD's condition decides who was first. What is remembered of a space only spares reads: every
 * transaction states what it was built on, so a memory that is out of date makes it fail, and is then
 * corrected from the refusal itself.
 * @param committed is told of each space that moved on, and its new change number
 */
export function createWriter (
  rules: SpaceRules,
  now: () => number = Date.now,
  committed: (space: SpaceKey, n: number) => void = () => {}
): Writer {
  const staged = createStagedCommits(rules, now, committed)
  const spaces = new LRUCache<string, SpaceState>({ max: MAX_SPACES })

  function stateOf (space: SpaceKey): SpaceState {
    const key = spaceName(space)
    let state = spaces.get(key)
    if (state === undefined) {
      spaces.set(
        key,
        state = { head: 'unread', known: new Map(), queue: [], draining: false, turn: Promise.resolve() }
      )
    }
    return state
  }

  async function drain (state: SpaceState): Promise<void> {
    state.draining = true
    while (state.queue.length > 0) {
      const batch = takeBatch(state)
      try {
        await inTurn(state, () => commitBatch(state, batch))
      } catch (error) {
        // The outcome is unknown: forget the space, so that the next write looks before it decides.
        forget(state)
        for (const pending of batch) if (!state.queue.includes(pending)) pending.reject(error)
      }
    }
    state.draining = false
  }

  async function commitBatch (state: SpaceState, batch: Pending[]): Promise<void> {
    await load(state, batch)
    if (await waitsForBatch(state, batch)) return
    if (state.head === undefined && actionsOf(batch) + FOUNDING > MAX_ACTIONS) {
      await createSpace(state, batch[0]!.write, now())
    }
    const before = state.head as SpaceHead | undefined
    let after = before ?? emptyHead(now())
    const planned: { pending: Pending, plan: Planned }[] = []
    const again: Pending[] = []
    for (const pending of batch) {
      try {
        const next = plan(
          pending.write,
          after,
          pending.write.changes.map((change) => state.known.get(recordKey(change))),
          now(),
          rules
        )
        after = next.head
        planned.push({ pending, plan: next })
      } catch (error) {
        // Refused only on what was read just now, and not on riders before it that may yet fail.
        if (pending.verify && planned.length === 0) pending.reject(error)
        else again.push(pending)
        pending.verify = true
      }
    }
    state.queue.unshift(...again)
    if (planned.length === 0) return
    const first = planned[0]!.pending.write
    const head = opening(first.space, before, after)
    const refusals = await transact(first.store, [...head, ...planned.flatMap(({ plan }) => plan.puts)])
    if (refusals === undefined) {
      state.head = after
      committed(first.space, after.n)
      for (const { pending, plan } of planned) {
        plan.outcome.results.forEach(({ row }, index) =>
          remember(
            state,
            pending.write.changes[index]!,
            knownOf(pending.write.changes[index]!.definition, row)
          )
        )
        pending.resolve(plan.outcome)
      }
      return
    }
    if (refusals[0] != null) learnHead(state, refusals[0])
    let from = head.length
    // A fight over HEAD, or a conflict, is everyone's; a failed condition of a record is only its own
    // writer's.
    const contended = refusals.some((refusal, index) =>
      refusal !== null && (index === 0 || refusal.code !== 'ConditionalCheckFailed')
    )
    const rest = planned.filter(({ pending, plan }) => {
      const own = refusals.slice(from, from += plan.puts.length)
      return !learn(state, pending, own) &&
        mayTryAgain(pending, contended || own.some((refusal) => refusal !== null))
    })
    state.queue.unshift(...rest.map(({ pending }) => pending))
    // Worth waiting for; a corrected memory can be used at once.
    if (contended) {
      await pause(
        Math.random() * Math.min(500, 5 * 2 ** Math.max(1, ...rest.map(({ pending }) => pending.tries)))
      )
    }
  }

  /**
   * Puts a batch of writes off while someone's staged batch has the space, and takes on a commit that stands
   * still.
   */
  async function waitsForBatch (state: SpaceState, batch: Pending[]): Promise<boolean> {
    const { store, space } = batch[0]!.write
    const lock = await staged.settle(store, space, state.head as SpaceHead | undefined)
    if (lock === 'free') return false
    if (lock === 'held') await pause(HELD_PAUSE_MS)
    state.head = 'unread'
    for (const pending of batch) pending.patience -= HELD_PAUSE_MS
    const [patient, weary] = [batch.filter(({ patience }) => patience > 0),
      batch.filter(({ patience }) => patience <= 0)]
    for (const { reject } of weary) {
      reject(
        new Problem('CONTENTION', 'A large batch is being written to the space; nothing of this was.', {
          retryAfter: 5
        })
      )
    }
    state.queue.unshift(...patient)
    return true
  }

  return {
    staged,
    withSpacesLocked (spaces, work) {
      // In the order of their names, so that no two wait for each other.
      const states = [...new Map(spaces.map((space) => [spaceName(space), stateOf(space)]))].sort((
        [one],
        [two]
      ) => one < two ? 1 : -1).map(([, state]) => state)
      return states.reduce((next, state) => () => inTurn(state, next), () => {
        // What is written there is not remembered: it is rare, and read again when it is asked for.
        states.forEach(forget)
        return work()
      })()
    },
    commitAcross: (writes) =>
      commitAcross(writes, staged, rules, now, ({ space }, n) => {
        committed(space, n)
      }),
    commit (write) {
      const { promise, resolve, reject } = withResolvers<Outcome>()
      const state = stateOf(write.space)
      if (state.queue.length >= MAX_WAITING) {
        reject(
          new Problem(
            'CONTENTION',
            `${MAX_WAITING} writes wait for this space already; nothing was written.`,
            { retryAfter: 1 }
          )
        )
        return promise
      }
      const keys = [...write.changes.map(recordKey),
        ...write.idempotency === undefined ? [] : [`key ${write.idempotency.key}`]]
      // An outcome under its key holds the record once more, escaped.
      const size = JSON.stringify(write.changes.map(({ content }) => content)).length *
        (write.idempotency === undefined ? 3 : 6)
      state.queue.push({ write, keys, size, resolve, reject, tries: 0, patience: PATIENCE_MS, verify: false })
      if (!state.draining) void drain(state)
      return promise
    }
  }
}

/** Runs work when what is in flight has ended. */
function inTurn<T> (state: SpaceState, work: () => Promise<T>): Promise<T> {
  const done = state.turn.then(work)
  state.turn = done.catch(() => {})
  return done
}

/**
 * A new space needs a row in the directory as well; where a full push leaves no room for it, the space is
 * made first.
 */
const FOUNDING = 1
async function createSpace (state: SpaceState, { store, space }: Write, now: number): Promise<void> {
  const empty = emptyHead(now)
  const refusals = await transact(store, opening(space, undefined, empty))
  state.head = refusals === undefined ? empty : await readHead(store, space)
}

/** Corrects the memory from the refusals of one write. @returns true where they settle it */
function learn (
  state: SpaceState,
  { write, resolve, reject }: Pending,
  [log, ...refusals]: (Refusal | null)[]
): boolean {
  if (log?.code === 'ConditionalCheckFailed') state.head = 'unread'
  write.changes.forEach((change, index) => {
    const refusal = refusals[index]
    if (refusal?.code !== 'ConditionalCheckFailed') return
    remember(
      state,
      change,
      refusal.row === undefined
        ? undefined
        : knownOf(change.definition, parseRow(change.definition.entity, write.space, refusal.row))
    )
  })
  const stored = refusals[write.changes.length]?.row
  if (stored === undefined) return false
  try {
    resolve(repeated(write.idempotency!, parseIdempotency(stored)!))
  } catch (error) {
    reject(error)
  }
  return true
}

function mayTryAgain (pending: Pending, refused: boolean): boolean {
  if (refused) pending.tries += 1
  if (pending.tries < MAX_TRIES) return true
  pending.reject(
    new Problem(
      'CONTENTION',
      `The store refused ${MAX_TRIES} times in a row, mostly because another writer was first; nothing was written.`,
      { retryAfter: 1 }
    )
  )
  return false
}

function withResolvers<T> () {
  let resolve!: (value: T) => void
  let reject!: (reason: unknown) => void
  const promise = new Promise<T>((...settle) => {
    ;[resolve, reject] = settle
  })
  return { promise, resolve, reject }
}
