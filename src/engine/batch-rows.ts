import type { EntityItem } from 'electrodb'
import type { SpaceKey } from '../../entities/fields.ts'
import { Batch, BatchPart } from '../../entities/space.ts'
import type { Store } from '../store/store.ts'

export type BatchRow = EntityItem<typeof Batch>
/** A batch without the space that it is staged in. */
export type BatchFields = Omit<BatchRow, keyof SpaceKey>

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
