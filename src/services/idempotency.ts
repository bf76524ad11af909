import { spaceName } from '../../entities/fields.ts'
import { Problem } from '../errors.ts'
import type { Context } from './context.ts'
import type { Outcome } from './space/change.ts'
import { readIdempotency } from './space/rows.ts'
import { idempotencyMismatch } from './space/plan.ts'

/**
 * Runs a write once per Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a repeated request gets the first
 * outcome, from which the route makes the same bytes. The row is written in the transaction of the effect, so there is
 * never one without the other. A request that had no effect (412, 507 ...) is not kept and may be repeated.
 * @throws Problem IDEMPOTENCY_MISMATCH for another request with the key, IDEMPOTENCY_IN_PROGRESS while the first runs here
 */
export async function once ({ store, space, idempotency, running, now }: Context, work: () => Promise<Outcome>): Promise<Outcome> {
  if (idempotency === undefined) return work()
  const name = `${spaceName(space)}#${idempotency.key}`
  if (running.has(name)) throw new Problem('IDEMPOTENCY_IN_PROGRESS', 'Wait for the first request, then repeat this one to get its answer.', { retryAfter: 1 })
  // Another process may have had the same request meanwhile, or a reply was lost: then the row knows better than the failure.
  const otherwise = async (failure: unknown) => {
    const earlier = await readIdempotency(store, space, idempotency.key, now()).catch(() => undefined)
    if (earlier?.requestHash === idempotency.requestHash) return earlier.outcome
    throw failure
  }
  running.add(name)
  try {
    const earlier = await readIdempotency(store, space, idempotency.key, now())
    if (earlier === undefined) return await work().catch(otherwise)
    if (earlier.requestHash !== idempotency.requestHash) throw idempotencyMismatch()
    return earlier.outcome
  } finally {
    running.delete(name)
  }
}
