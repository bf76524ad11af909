import { Problem } from '../errors.ts'
import type { SpaceHead } from './change.ts'
import { putBatch, type BatchRow } from './batch-rows.ts'
import type { Locks } from './staged-lock.ts'
import type { Job } from './index.ts'
import { stepsOf } from './staged-steps.ts'

/** Why whoever commits a batch may no longer; undefined where they may. @throws what keeps it from being known */
export async function endOfRight ({ assertAllowed }: Job): Promise<Problem | undefined> {
  try {
    await assertAllowed?.()
  } catch (error) {
    if (!(error instanceof Problem) || error.status >= 500) throw error
    return error
  }
}

/** What lets the space go, and says in the batch which of its steps were written. */
export function stopping (
  locks: Pick<Locks, 'release'>,
  { store, space, owner, batch }: Job,
  head: SpaceHead
) {
  const to: BatchRow = {
    ...batch,
    state: 'stopped',
    first: head.n - head.lock!.part + 1,
    last: head.n
  }
  return {
    after: { ...head, n: head.n + 1 },
    puts: [...locks.release(store, space, head), putBatch(owner, { ...batch, state: 'writing' }, to)]
  }
}

/** What whoever commits it is told. */
export function stopped ({ batch }: Job, { n, lock }: SpaceHead, reason: Problem): Problem {
  const steps = stepsOf(batch)
  const changes = steps.slice(0, lock!.part).reduce((sum, { count }) => sum + count, 0)
  return endedEarly(reason, [{ n, changes }])
}

/** That something long ended before its end, and what it has done until then. */
export function endedEarly (
  { errorType, message, extras }: Problem,
  written: readonly { readonly n: number, readonly changes: number }[]
): Problem {
  const all = [...written, ...extras.written ?? []]
  if (all.length === 0) return new Problem(errorType, message, extras)
  const changes = all.reduce((sum, one) => sum + one.changes, 0)
  const said = extras.written === undefined ? message : message.slice(0, message.indexOf(WRITTEN))
  return new Problem(
    errorType,
    `${said}${WRITTEN}${changes} changes were written before; a revert of each change-set of "written" undoes them.`,
    { ...extras, written: all }
  )
}

const WRITTEN = ' It ended early: '
