import { setTimeout as pause } from 'node:timers/promises'
import { Problem } from '../errors.ts'
import { transact } from '../store/transact.ts'
import { Superseded, type Outcome, type SpaceHead, type Write } from './change.ts'
import { emptyHead, opening, outcomeUnderKey, plan, repeated, type SpaceRules } from './plan.ts'
import { readHead } from './rows.ts'
import { parseIdempotency } from './idempotency-rows.ts'
import type { StagedCommits } from './index.ts'

/**
 * How often a commit is refused before it gives up, and how long it waits for a staged batch: together some
 * 10 s.
 */
const MAX_TRIES = 40
const HELD_PAUSE_MS = 50
const HELD_MS = 10_000
const MAX_PAUSE_MS = 500

/**
 * Commits one change-set in each of several spaces, in one transaction: all of them or none. What lies
 * between two spaces (who belongs to a group) is so never half true, whoever dies.
 * @param writes of different spaces of one tenant, whose changes all say what they are based on, or that
 *   they are new;
 *   where one has an Idempotency-Key it is that of all, and its row keeps all results
 * @returns the number and time of the first, and all results
 * @throws as Writer.commit; Superseded where a record is not what a change is based on
 */
export async function commitAcross (
  writes: readonly Write[],
  staged: StagedCommits,
  rules: SpaceRules,
  now: () => number,
  committed: (write: Write, n: number) => void
): Promise<Outcome> {
  const { store } = writes[0]!
  const { space, idempotency } = writes.find(({ idempotency }) => idempotency !== undefined) ?? writes[0]!
  let heldFor = 0
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const heads = await Promise.all(writes.map((write) => readHead(store, write.space)))
    if (await isHeld(writes, heads, staged)) {
      // A large batch takes its time, and who ends a right waits for no longer than it.
      if ((heldFor += HELD_PAUSE_MS) < HELD_MS) tries--
      await pause(HELD_PAUSE_MS)
      continue
    }
    const parts = writes.map((write, index) => {
      const { head, puts, outcome } = plan(
        { ...write, idempotency: undefined },
        heads[index] ?? emptyHead(now()),
        write.changes.map(({ basedOn }) => basedOn),
        now(),
        rules
      )
      const first = opening(write.space, heads[index], head)
      // After HEAD, the directory and the log come the records.
      return {
        n: head.n,
        outcome,
        puts: [...first, ...puts],
        records: first.length + puts.length - write.changes.length
      }
    })
    const outcome: Outcome = {
      ...parts[0]!.outcome,
      results: parts.flatMap(({ outcome }) => outcome.results)
    }
    const key = idempotency === undefined ? [] : [outcomeUnderKey(space, idempotency, outcome, now())]
    const refusals = await transact(store, [...parts.flatMap(({ puts }) => puts), ...key])
    if (refusals === undefined) {
      writes.forEach((write, index) => {
        committed(write, parts[index]!.n)
      })
      return outcome
    }
    const row = key.length === 0 ? undefined : refusals.at(-1)?.row
    const earlier = row && parseIdempotency(row)
    if (earlier !== undefined) return repeated(idempotency!, earlier)
    let from = 0
    for (const { puts, records } of parts) {
      if (
        refusals.slice(from, from += puts.length).slice(records).some((refusal) =>
          refusal?.code === 'ConditionalCheckFailed'
        )
      ) throw new Superseded()
    }
    await pause(Math.random() * Math.min(MAX_PAUSE_MS, 5 * 2 ** Math.min(tries, 10)))
  }
  throw new Problem('CONTENTION', 'Others wrote to the spaces at every try; nothing was written.', {
    retryAfter: 1
  })
}

/** Whether someone's staged batch has one of the spaces, or had it just now. */
async function isHeld (
  writes: readonly Write[],
  heads: readonly (SpaceHead | undefined)[],
  staged: StagedCommits
): Promise<boolean> {
  const states = await Promise.all(
    writes.map(({ store, space }, index) => staged.settle(store, space, heads[index]))
  )
  return states.some((state) => state !== 'free')
}
