import type { SpaceKey } from '../../entities/fields.ts'
import { IdempotencyRow } from '../../entities/space.ts'
import type { Store } from '../store/store.ts'
import type { Outcome } from './change.ts'
import { MAX_APART_MS } from './time.ts'

/**
 * The outcome of an earlier request with this Idempotency-Key; undefined where there is none, or it has
 * expired. 1 RCU.
 */
export async function readIdempotency (
  store: Store,
  space: SpaceKey,
  key: string,
  now: number
): Promise<{ requestHash: string, outcome: Outcome } | undefined> {
  const { data } = await IdempotencyRow.get({ ...space, key }).go({ ...store, consistent: true })
  if (data === null || data.expiresAt <= now / 1000 || data.expiresAt > latestEnd(now)) return undefined
  return { requestHash: data.requestHash, outcome: JSON.parse(data.outcome) as Outcome }
}

/** An outcome under a key is kept this long, from the moment of the effect. */
export const IDEMPOTENCY_SECONDS = 24 * 3600
/** What is to be kept longer than that has its end from a clock that was wrong. */
const latestEnd = (now: number) => Math.floor((now + MAX_APART_MS) / 1000) + IDEMPOTENCY_SECONDS

/** The outcome under its Idempotency-Key; refused where an unexpired one exists. */
export function putIdempotency (
  space: SpaceKey,
  row: { key: string, requestHash: string, outcome: string, expiresAt: number },
  now: number
): object {
  return IdempotencyRow.put({ ...space, ...row }).where(isFree(now)).params({ table: '-' })
}

/** Refused where an unexpired outcome exists under an Idempotency-Key. */
export function checkIdempotency (space: SpaceKey, key: string, now: number): object {
  return IdempotencyRow.delete({ ...space, key }).where(isFree(now)).params({ table: '-' })
}

const isFree =
  (now: number): Parameters<ReturnType<typeof IdempotencyRow.create>['where']>[0] =>
  ({ requestHash, expiresAt }, { notExists, lte, gt }) =>
    `${notExists(requestHash)} OR ${lte(expiresAt, Math.floor(now / 1000))} OR ${
      gt(expiresAt, latestEnd(now))
    }`

/** The stored outcome of an idempotency row, as the store gives it in the refusal of a transaction. */
export function parseIdempotency (
  item: Record<string, unknown>
): { requestHash: string, outcome: Outcome } | undefined {
  const { data } = IdempotencyRow.parse({ Item: item })
  return data === null
    ? undefined
    : { requestHash: data.requestHash, outcome: JSON.parse(data.outcome) as Outcome }
}
