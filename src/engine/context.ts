import type { LRUCache } from 'lru-cache'
import type { SpaceKey } from '../../entities/fields.ts'
import type { Config } from '../config.ts'
import type { Store } from '../store/store.ts'
import type { Change, Row } from './change.ts'
import type { Lines } from './line.ts'
import type { Sealer } from './cursor.ts'
import type { SharedReads } from './walk.ts'
import type { Watchers } from './watch.ts'
import type { Writer } from './writer.ts'

/**
 * What a feature asks of every commit beyond the shape of its records, such as that folders stay a tree. It is
 * handed in where the app is put together; the engine knows no feature.
 */
export interface CommitRules {
  /**
   * What has to hold beside the changes.
   * @param pointerOf where in the request a change stands, for errors
   * @returns checks, for the same transaction
   * @throws Problem where the changes can't be kept
   */
  conditionsOf(
    context: SpaceContext,
    changes: readonly Change[],
    pointerOf: (change: Change) => string
  ): Promise<Change[]>
  /**
   * Refuses a staged batch that can't be kept. Nobody else writes to the space meanwhile.
   * @param rows of the batch as they will be, by `nameOf`
   * @param n the number of the last change before the batch
   * @throws Problem
   */
  assertBatch(context: SpaceContext, rows: ReadonlyMap<string, Row>, n: number): Promise<void>
}

/** The parts of the engine that all requests of a process share. Everything in them is keyed by tenant and space. */
export interface Engine {
  readonly config: Pick<Config, 'limits' | 'secret' | 'retentionDays'>
  readonly writer: Writer
  readonly sealer: Sealer
  readonly watchers: Watchers
  readonly reads: SharedReads
  readonly rules: CommitRules
  /**
   * Since when this process waits for what is missing in a log, by space and change number:
   * `performance.now()`.
   */
  readonly holes: LRUCache<string, number>
  readonly now: () => number
  /** Idempotency keys whose first request is still running in this process. */
  readonly running: Set<string>
  readonly lines: Lines
}

/** One request's view of one space, through one tenant's store. */
export interface SpaceContext extends Engine {
  readonly store: Store
  readonly space: SpaceKey
  /** Who asks; what cursors are bound to. */
  readonly userId: string
  readonly sessionId: string | undefined
  readonly idempotency: { readonly key: string, readonly requestHash: string } | undefined
  /**
   * Asks once more whether the user may still do this, as the tenant, the device and the membership are at
   * this moment: before each transaction of what takes long. @throws Problem why not
   */
  readonly assertAllowed: () => Promise<void>
}
