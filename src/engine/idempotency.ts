import { setTimeout as pause } from 'node:timers/promises'
import { spaceName } from '../../entities/fields.ts'
import { Problem } from '../errors.ts'
import { transact } from '../store/transact.ts'
import type { Commits, SpaceContext } from './index.ts'
import { repeated } from './plan.ts'
import { checkIdempotency, parseIdempotency, readIdempotency } from './idempotency-rows.ts'

const MAX_TRIES = 8
const PAUSE_MS = 5

/**
 * Runs a write once per Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a repeated request gets
 * the first outcome, from which the route makes the same bytes. The row is written in the transaction of the
 * effect, so there is never one without the other. A request that had no effect (412, 507 ...) is not kept
 * and may be repeated.
 * @throws Problem IDEMPOTENCY_MISMATCH for another request with the key, IDEMPOTENCY_IN_PROGRESS while the
 *   first runs here
 */
export const once: Commits['once'] = async (context, work) => {
  const { store, space, idempotency, running, now } = context
  if (idempotency === undefined) return work()
  const name = `${spaceName(space)}#${idempotency.key}`
  if (running.has(name)) {
    throw new Problem(
      'IDEMPOTENCY_IN_PROGRESS',
      'Wait for the first request, then repeat this one to get its answer.',
      { retryAfter: 1 }
    )
  }
  running.add(name)
  try {
    const earlier = await readIdempotency(store, space, idempotency.key, now())
    if (earlier !== undefined) return repeated(idempotency, earlier)
    const tried = await work().then((outcome) => ({ outcome }), (failure: unknown) => ({ failure }))
    if ('outcome' in tried && tried.outcome.n > 0) return tried.outcome
    // What stands in the way, or is done already, may be the effect of this very request: of another process,
    // or of a
    // try whose reply was lost.
    const first = await settled(context, idempotency.key)
    if (first !== undefined) return repeated(idempotency, first)
    if ('failure' in tried) throw tried.failure
    return tried.outcome
  } finally {
    running.delete(name)
  }
}

/**
 * What is kept under a key, beyond doubt. Of a transaction that is just ending a read may see the records,
 * and not yet this row; another transaction comes before it or after it. 2 WCU.
 */
async function settled (
  { store, space, now }: SpaceContext,
  key: string
): Promise<ReturnType<typeof parseIdempotency>> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const refusals = await transact(store, [checkIdempotency(space, key, now())])
    if (refusals === undefined) return undefined
    const [refusal] = refusals
    if (refusal?.row !== undefined) return parseIdempotency(refusal.row)
    await pause(PAUSE_MS * 2 ** tries)
  }
  throw new Problem(
    'CONTENTION',
    'The store did not tell what became of an earlier request with this Idempotency-Key. Repeat this one.',
    { retryAfter: 1 }
  )
}
