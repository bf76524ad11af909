import type { SpaceKey } from '../../entities/fields.ts'
import type { Limits } from '../limits.ts'
import { Problem } from '../errors.ts'
import {
  bytesOf,
  GUARDED_RECORDS,
  PreconditionFailed,
  Superseded,
  type Change,
  type Known,
  type Outcome,
  type Precondition,
  type Result,
  type Row,
  type SpaceHead,
  type Write
} from './change.ts'
import { timeAfter } from './time.ts'
import { closed } from './closed.ts'
import { TRANSACTION_BYTES } from './weight.ts'
import { checkRow, putDirectory, putHead, putLog, putRow } from './rows.ts'
import { IDEMPOTENCY_SECONDS, putIdempotency } from './idempotency-rows.ts'

const DAY_SECONDS = 24 * 3600
const FEW = 20

export interface SpaceRules {
  readonly limits: Pick<Limits, 'spaceRecords' | 'spaceBytes'>
  readonly retentionDays: number
  readonly commitLeaseSeconds: number
}

/** What one write becomes at one place in the log. */
export interface Planned {
  readonly head: SpaceHead
  readonly puts: object[]
  readonly outcome: Outcome
}

/**
 * The state of a space that nobody has written to. The epoch is its birth, so that a space made anew has a
 * higher one.
 */
export function emptyHead (now: number): SpaceHead {
  return { n: 0, at: new Date(now).toISOString(), epoch: now, floor: 0, bytes: 0, count: 0 }
}

/**
 * Decides what a write becomes when it is next in line after `head`. Pure: the same input gives the same
 * plan.
 * @param known what is known of each change's record: undefined where it does not exist
 * @throws PreconditionFailed, Superseded, or Problem QUOTA_EXCEEDED; nothing of the write may then happen
 */
export function plan (
  write: Write,
  head: SpaceHead,
  known: readonly (Known | undefined)[],
  now: number,
  rules: SpaceRules
): Planned {
  const n = head.n + 1
  const at = timeAfter(head, now)
  const expiresAt = Math.floor(Date.parse(at) / 1000) + rules.retentionDays * DAY_SECONDS
  const next = { ...head, n, at, lock: undefined, ...closed(write, head, at, expiresAt + DAY_SECONDS) }
  checkAll(write, known, head)
  const results = write.changes.filter(({ act }) => act !== 'check').map((change, index): Result => {
    const before = known[index]
    const row = stamp(write, change, before, n, at, expiresAt)
    next.bytes += bytesOf(change.definition, row) - (before?.bytes ?? 0)
    if (change.definition.pushable) next.count += (change.act === 'put' ? 1 : 0) - (isLive(before) ? 1 : 0)
    return { resource: change.definition.resource, row, created: change.act === 'put' && !isLive(before) }
  })
  assertQuota(head, next, rules.limits)
  assertTransaction(results)
  const outcome: Outcome = { n, at, results }
  const puts = [putLog(write.space, {
    n,
    at,
    sessionId: write.sessionId,
    batch: write.batch,
    expiresAt,
    ops: results.map(({ resource, row: { id, deletedAt }, created }) => ({
      type: resource,
      id,
      act: created ? 'create' : deletedAt === undefined ? 'put' : 'delete'
    }))
  }), ...write.changes.map(({ definition, id, basedOn }, index) => {
    const result = results[index]
    return result === undefined
      ? checkRow(definition.entity, write.space, id, basedOn?.rev)
      : putRow(definition.entity, result.row, known[index]?.rev)
  })]
  if (write.idempotency !== undefined) {
    puts.push(
      outcomeUnderKey(write.space, write.idempotency, kept(outcome, write.brief), now)
    )
  }
  return { head: next, puts, outcome }
}

/** The row that answers the request when it is sent again. */
export function outcomeUnderKey (
  space: SpaceKey,
  idempotency: NonNullable<Write['idempotency']>,
  outcome: object,
  now: number
): object {
  return putIdempotency(space, {
    ...idempotency,
    outcome: JSON.stringify(outcome),
    expiresAt: Math.floor(now / 1000) + IDEMPOTENCY_SECONDS
  }, now)
}

/**
 * The outcome that is kept under the key of a request. @throws Problem IDEMPOTENCY_MISMATCH where it is
 * another request's
 */
export function repeated (
  { requestHash }: NonNullable<Write['idempotency']>,
  earlier: { readonly requestHash: string, readonly outcome: Outcome }
): Outcome {
  if (earlier.requestHash !== requestHash) {
    throw new Problem(
      'IDEMPOTENCY_MISMATCH',
      'This Idempotency-Key was used for a request with another method, path or body. Use a new key for a new request.'
    )
  }
  return earlier.outcome
}

/** The puts that open a transaction: HEAD to its last state, and the directory row where a space begins or ends. */
export function opening (space: SpaceKey, before: SpaceHead | undefined, after: SpaceHead): object[] {
  const head = putHead(space, before, after)
  if (before === undefined) return [head, putDirectory(space, after.at)]
  if (after.expiresAt === before.expiresAt) return [head]
  return [head, putDirectory(space, new Date(after.epoch).toISOString(), after.expiresAt)]
}

const isLive = (known: Known | undefined): known is Known => known !== undefined && !known.deleted

function checkAll (
  { changes, guarded = false }: Write,
  known: readonly (Known | undefined)[],
  { count }: SpaceHead
): void {
  const failed = changes.filter(({ precondition }, index) => !holds(precondition, known[index]))
  if (failed.length > 0) throw new PreconditionFailed(failed)
  if (
    changes.some(({ act, basedOn }, index) =>
      basedOn === undefined ? act === 'check' && isLive(known[index]) : known[index]?.rev !== basedOn.rev
    )
  ) throw new Superseded()
  const deleted = changes.filter(({ act }, index) => act === 'delete' && isLive(known[index])).length
  if (guarded && count > GUARDED_RECORDS && deleted * 2 > count) {
    throw tooManyDeletes(deleted, count)
  }
}

/** What would delete most of a space says that it means to. */
export const tooManyDeletes = (deleted: number, count: number) =>
  new Problem(
    'CONFIRMATION_REQUIRED',
    `This would delete ${deleted} of the ${count} records of the space. If it is meant, send it again with "confirm": true.`,
    { limit: { name: 'unconfirmedDeletes', value: Math.floor(count / 2), sent: deleted } }
  )

function holds ({ ifMatch, ifNoneMatch }: Precondition = {}, before: Known | undefined): boolean {
  const live = isLive(before) ? before : undefined
  if (ifNoneMatch === true && live !== undefined) return false
  return ifMatch === undefined || (live !== undefined && (ifMatch === '*' || ifMatch.includes(live.rev)))
}

/** What is enough to answer a request again. */
function kept (outcome: Outcome, brief: Write['brief'] = false): object {
  if (brief === false) return outcome
  const whole = brief === true ? undefined : brief.but
  return {
    ...outcome,
    results: outcome.results.map(({ row, ...result }) => ({
      ...result,
      row: row.id === whole ? row : { id: row.id, rev: row.rev, deletedAt: row.deletedAt }
    }))
  }
}

function stamp (
  write: Write,
  { id, act, content, createdAt }: Change,
  before: Known | undefined,
  n: number,
  at: string,
  expiresAt: number
): Row {
  const row: Row = {
    ...write.space,
    id,
    ...content,
    rev: n,
    createdAt: createdAt ?? (isLive(before) ? before.createdAt : at),
    updatedAt: at
  }
  // A tombstone outlives its log entry: who still reads the entry must find what became of the record.
  return act === 'put' ? row : { ...row, deletedAt: at, purgeAt: expiresAt + DAY_SECONDS }
}

/**
 * A tombstone keeps its content, so that many deletes can be more than a transaction takes. Few records never
 * are.
 */
function assertTransaction (results: readonly Result[]): void {
  if (results.length <= FEW) return
  const bytes = results.reduce((sum, { row }) => sum + Buffer.byteLength(JSON.stringify(row)), 0)
  if (bytes > TRANSACTION_BYTES) {
    throw new Problem(
      'VALIDATION_FAILED',
      `These ${results.length} changes write ${bytes} bytes at once; ${TRANSACTION_BYTES} fit. Send fewer of them in a request.`,
      {
        errors: [{ pointer: '/changes', detail: 'are too large together' }],
        limit: { name: 'transactionBytes', value: TRANSACTION_BYTES, sent: bytes }
      }
    )
  }
}

function assertQuota (
  before: SpaceHead,
  after: SpaceHead,
  { spaceRecords, spaceBytes }: SpaceRules['limits']
): void {
  // What shrinks a space is always allowed, also in one that is over a limit that was lowered since.
  if (after.count > spaceRecords && after.count > before.count) {
    throw new Problem(
      'QUOTA_EXCEEDED',
      `The space would hold ${after.count} records; it may hold ${spaceRecords}. Delete some first.`,
      { limit: { name: 'spaceRecords', value: spaceRecords, sent: after.count } }
    )
  }
  if (after.bytes > spaceBytes && after.bytes > before.bytes) {
    throw new Problem(
      'QUOTA_EXCEEDED',
      `The space would hold ${after.bytes} bytes; it may hold ${spaceBytes}. Delete some records first.`,
      { limit: { name: 'spaceBytes', value: spaceBytes, sent: after.bytes } }
    )
  }
}
