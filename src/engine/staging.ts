import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { spaceKey, type SpaceKey } from '../../entities/fields.ts'
import { Problem } from '../errors.ts'
import type { Limits } from '../limits.ts'
import { transact } from '../store/transact.ts'
import { KEPT_SECONDS, type Part } from './batch-parts.ts'
import {
  putBatch,
  putBatchPart,
  putLedger,
  readLedger,
  type BatchFields,
  type BatchRow,
  type LedgerEntry
} from './batch-rows.ts'
import type { SpaceContext } from './index.ts'
import { discard, discardEnded, sweptAt } from './ledger.ts'
import { inLine } from './line.ts'

/** How often others may stage, or discard, before a request that stages. */
const MAX_TRIES = 20
const PAUSE_MS = 20

/** What one request adds to a batch. */
export interface Staged {
  readonly parts: readonly Part[]
  /** What is written with them, by the batch as it is then. */
  readonly further?: (batch: BatchFields) => object[]
}

/** Where the batches of a user are staged, for whatever space they are. */
export const ownerOf = ({ space, userId }: Pick<SpaceContext, 'space' | 'userId'>): SpaceKey =>
  spaceKey(space.tenantId, 'USER', userId)

/** A batch with nothing in it, which is not written yet. @param openSeconds how long it can be committed */
export function newBatch (target: string, at: number, openSeconds: number): BatchFields {
  return {
    id: randomUUID(),
    state: 'open',
    target,
    sizes: [],
    bytes: 0,
    createdAt: new Date(at).toISOString(),
    expiresAt: Math.floor(at / 1000) + openSeconds + KEPT_SECONDS
  }
}

/**
 * Writes parts, the batch that counts them, and the ledger that counts all batches of the user, in one transaction.
 * @param before the batch as it is stored; undefined where this begins it
 * @param after what it is to be, without the parts
 * @param staged as many parts as a transaction takes, and what else is written with them
 * @returns the batch, as it is stored then
 * @throws Problem QUOTA_EXCEEDED naming stagedBatches or stagedBytes, BATCH_STATE where the batch moved on,
 *   CONTENTION
 */
export async function stage (
  context: SpaceContext,
  before: BatchRow | undefined,
  after: BatchFields,
  { parts, further = () => [] }: Staged
): Promise<BatchRow> {
  const { store, now, lines, config: { limits } } = context
  const owner = ownerOf(context)
  const batch = {
    ...after,
    sizes: [...after.sizes, ...parts.map(({ size }) => size)],
    bytes: after.bytes + bytesOf(parts)
  }
  const { id, expiresAt } = batch
  const puts = [putBatch(owner, before, batch), ...further(batch),
    ...parts.map(({ text }, index) =>
      putBatchPart(owner, { id, part: after.sizes.length + index + 1, changes: text, expiresAt })
    )]
  const entry: LedgerEntry = {
    id,
    parts: batch.sizes.length,
    bytes: batch.bytes,
    ends: expiresAt - KEPT_SECONDS
  }
  return inLine({ lines, space: owner }, 'staged', async () => {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const seconds = now() / 1000
      const ledger = await readLedger(store, owner)
      const others = (ledger?.batches ?? []).filter((other) => other.id !== id)
      const batches = [...others, entry].sort((one, other) => one.ends - other.ends)
      const objection = objectionTo(batches, limits)
      // Looked at are those whose time is over, and all where there is no room.
      const ended = objection === undefined ? others.filter(({ ends }) => ends <= seconds) : others
      if (tries === 0 && ended.length > 0) {
        await discardEnded(store, owner, ended, seconds).catch(() => {})
        continue
      }
      if (objection !== undefined) throw objection
      const next = { batches, expiresAt: sweptAt(batches, ledger) }
      const refusals = await transact(store, [putLedger(owner, ledger, next), ...puts])
      if (refusals === undefined) return { ...owner, ...batch }
      const [ofLedger, ...own] = refusals
      if (ofLedger == null && own.some((refusal) => refusal?.code === 'ConditionalCheckFailed')) {
        throw new Problem(
          'BATCH_STATE',
          'Another request changed the batch meanwhile. Ask for its state and go on from there.'
        )
      }
      await pause(Math.random() * PAUSE_MS)
    }
    throw new Problem(
      'CONTENTION',
      'The user stages too much at once; nothing of this was staged. Try again.',
      { retryAfter: 1 }
    )
  })
}

/**
 * Gives up a batch that is open, and what is staged of it.
 * @returns whether it did: not where its commit has begun
 */
export async function abandon (context: SpaceContext, batch: BatchRow): Promise<boolean> {
  const { store } = context
  const owner = ownerOf(context)
  if (await transact(store, [putBatch(owner, batch, { ...batch, state: 'abandoned' })]) !== undefined) {
    return false
  }
  await discard(store, owner, batch)
  return true
}

/** What a user has staged that can still be committed, or is being committed: 0.5 RCU, and a moment old. */
export async function stagedBy (context: SpaceContext): Promise<{ batches: number, bytes: number }> {
  const ledger = await readLedger(context.store, ownerOf(context), false)
  const live = (ledger?.batches ?? []).filter(({ ends }) => ends > context.now() / 1000)
  return { batches: live.length, bytes: sumOf(live) }
}

function objectionTo (
  batches: readonly LedgerEntry[],
  { stagedBatches, stagedBytes }: Pick<Limits, 'stagedBatches' | 'stagedBytes'>
): Problem | undefined {
  const [count, bytes] = [batches.length, sumOf(batches)]
  const advice = `Commit or abandon one of them first; the oldest is ${batches[0]!.id}.`
  if (count > stagedBatches) {
    return new Problem(
      'QUOTA_EXCEEDED',
      `${count - 1} batches are staged; a user may have ${stagedBatches} at once. ${advice}`,
      { limit: { name: 'stagedBatches', value: stagedBatches, sent: count } }
    )
  }
  if (bytes > stagedBytes) {
    return new Problem(
      'QUOTA_EXCEEDED',
      `The batches of the user would hold ${bytes} bytes; they may hold ${stagedBytes}. ${advice}`,
      { limit: { name: 'stagedBytes', value: stagedBytes, sent: bytes } }
    )
  }
  return undefined
}

const bytesOf = (parts: readonly Part[]) =>
  parts.reduce((total, { text }) => total + Buffer.byteLength(text), 0)
const sumOf = (batches: readonly LedgerEntry[]) => batches.reduce((total, { bytes }) => total + bytes, 0)
