import type { EntityItem } from 'electrodb'
import type { SpaceKey } from '../../entities/fields.ts'
import { Batch, BatchPart, StagedBatches } from '../../entities/batch.ts'
import type { Store } from '../store/store.ts'

export type BatchRow = EntityItem<typeof Batch>
/** A batch without the space that it is staged in. */
export type BatchFields = Omit<BatchRow, keyof SpaceKey>
/** What a user has staged. */
export type Ledger = EntityItem<typeof StagedBatches>
export type LedgerEntry = Ledger['batches'][number]

/** A batch from one state to the next; refused where its parts or its state are others by now. */
export function putBatch (space: SpaceKey, before: BatchRow | undefined, after: BatchFields): object {
  if (before === undefined) return Batch.create({ ...space, ...after }).params({ table: '-' })
  return Batch.put({ ...space, ...after }).where(({ state, bytes }, { eq }) =>
    `${eq(state, before.state)} AND ${eq(bytes, before.bytes)}`
  ).params({ table: '-' })
}

/** Changes of a batch. */
export function putBatchPart (
  space: SpaceKey,
  part: { id: string, part: number, changes: string, expiresAt: number }
): object {
  return BatchPart.create({ ...space, ...part }).params({ table: '-' })
}

/** A batch, also one that has ended; undefined where there is none. 1 RCU per 4 KB. */
export async function readBatch (store: Store, space: SpaceKey, id: string): Promise<BatchRow | undefined> {
  const { data } = await Batch.get({ ...space, id }).go({ ...store, consistent: true })
  return data ?? undefined
}

/** The changes of one part, as JSON text; undefined where it is gone. */
export async function readBatchPart (
  store: Store,
  space: SpaceKey,
  id: string,
  part: number
): Promise<string | undefined> {
  const { data } = await BatchPart.get({ ...space, id, part }).go({ ...store, consistent: true })
  return data?.changes
}

/** Deletes parts of a batch. What the store puts off is left to the sweep. 1 WCU per KB of them. */
export async function deleteBatchParts (
  store: Store,
  space: SpaceKey,
  id: string,
  parts: number
): Promise<void> {
  const keys = Array.from({ length: parts }, (_, index) => ({ ...space, id, part: index + 1 }))
  if (keys.length > 0) await BatchPart.delete(keys).go(store)
}

/** What a user has staged; undefined where that is nothing yet. 1 RCU, or half of one for a glance. */
export async function readLedger (
  store: Store,
  space: SpaceKey,
  consistent = true
): Promise<Ledger | undefined> {
  const { data } = await StagedBatches.get(space).go({ ...store, consistent })
  return data ?? undefined
}

/** What a user has staged from one state to the next; refused where it is another by now. */
export function putLedger (
  space: SpaceKey,
  before: Ledger | undefined,
  after: Pick<Ledger, 'batches' | 'expiresAt'>
): object {
  const row = { ...space, ...after, version: (before?.version ?? 0) + 1 }
  if (before === undefined) return StagedBatches.create(row).params({ table: '-' })
  return StagedBatches.put(row).where(({ version }, { eq }) => eq(version, before.version)).params({
    table: '-'
  })
}
