import { setTimeout as pause } from 'node:timers/promises'
import type { SpaceKey } from '../../entities/fields.ts'
import type { Store } from '../store/store.ts'
import { transact } from '../store/transact.ts'
import { KEPT_SECONDS } from './batch-parts.ts'
import {
  deleteBatchParts,
  putBatch,
  putLedger,
  readBatch,
  readLedger,
  type BatchRow,
  type LedgerEntry
} from './batch-rows.ts'

/** Who stages at the same time changes the ledger too. */
const MAX_TRIES = 8
const PAUSE_MS = 20
/** A commit that began in time has ended, or has written its first part, long before. */
const REHEARSED_SECONDS = 3600

/**
 * Deletes what was staged of a batch that has ended, and counts it no longer. Parts go first: what
 * is not counted is not there. Where this fails, the next batch that the user begins does it.
 */
export async function discard (
  store: Store,
  owner: SpaceKey,
  { id, sizes }: Pick<BatchRow, 'id' | 'sizes'>
): Promise<void> {
  try {
    await deleteBatchParts(store, owner, id, sizes.length)
    await unlist(store, owner, new Set([id]))
  } catch {
    // Nothing depends on it.
  }
}

/**
 * Discards of some batches those that have ended: committed, stopped, abandoned, or open for too long. One that is being
 * committed stays, however old it is.
 * @param now epoch seconds
 */
export async function discardEnded (
  store: Store,
  owner: SpaceKey,
  entries: readonly LedgerEntry[],
  now: number
): Promise<void> {
  const gone = new Set<string>()
  for (const entry of entries) {
    if (!await hasEnded(store, owner, entry, now)) continue
    await deleteBatchParts(store, owner, entry.id, entry.parts)
    gone.add(entry.id)
  }
  if (gone.size > 0) await unlist(store, owner, gone)
}

async function hasEnded (
  store: Store,
  owner: SpaceKey,
  { id, ends }: LedgerEntry,
  now: number
): Promise<boolean> {
  const batch = await readBatch(store, owner, id)
  // One that was just staged may not be visible yet.
  if (batch === undefined) return ends <= now
  if (['committed', 'stopped', 'abandoned'].includes(batch.state)) return true
  if (batch.state === 'writing') return batch.expiresAt <= now
  const last = batch.state === 'open' ? ends : ends + REHEARSED_SECONDS
  // Refused where someone begins to commit it.
  return last <= now &&
    await transact(store, [putBatch(owner, batch, { ...batch, state: 'abandoned' })]) === undefined
}

async function unlist (store: Store, owner: SpaceKey, ids: ReadonlySet<string>): Promise<void> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const ledger = await readLedger(store, owner)
    if (ledger?.batches.some(({ id }) => ids.has(id)) !== true) return
    const batches = ledger.batches.filter(({ id }) => !ids.has(id))
    if (
      await transact(store, [putLedger(owner, ledger, { batches, expiresAt: sweptAt(batches, ledger) })]) ===
        undefined
    ) {
      return
    }
    await pause(Math.random() * PAUSE_MS)
  }
}

/** When the sweep may take the ledger: no earlier than what it lists. */
export const sweptAt = (batches: readonly LedgerEntry[], before?: { readonly expiresAt: number }): number =>
  Math.max(before?.expiresAt ?? 0, ...batches.map(({ ends }) => ends + KEPT_SECONDS))
