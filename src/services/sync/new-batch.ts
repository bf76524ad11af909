import { OPEN_SECONDS } from '../../engine/batch-parts.ts'
import type { Outcome, Row } from '../../engine/change.ts'
import type { BatchFields } from '../../engine/batch-rows.ts'

/** How far a staged batch is. */
export interface BatchStatus {
  readonly id: string
  readonly state: 'open' | 'committing' | 'committed' | 'stopped'
  readonly space: string
  /** Changes that are staged. */
  readonly changes: number
  readonly bytes: number
  /** Changes of it that are committed. */
  readonly committed: number
  readonly createdAt: string
  /** An open batch is abandoned then. */
  readonly expiresAt: string
  /** Once committed: the change-sets of its first and last part. */
  readonly first?: number
  readonly last?: number
}

/** Until when a batch stays open, in milliseconds. */
export const endOf = ({ createdAt }: Pick<BatchFields, 'createdAt'>): number =>
  Date.parse(createdAt) + OPEN_SECONDS * 1000

/** What has become of a request that began a batch: its state then, as it is kept under an Idempotency-Key. */
export function begun (batch: BatchFields): Outcome {
  const { id, target, sizes, bytes, createdAt } = batch
  const status: BatchStatus = {
    id,
    state: 'open',
    space: target,
    changes: sizes.reduce((sum, size) => sum + size, 0),
    bytes,
    committed: 0,
    createdAt,
    expiresAt: new Date(endOf(batch)).toISOString()
  }
  return {
    n: 1,
    at: createdAt,
    results: [{ resource: 'batch', row: status as unknown as Row, created: true }]
  }
}
