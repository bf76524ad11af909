import type { LRUCache } from 'lru-cache'
import type { SpaceKey } from '../../entities/fields.ts'
import type { Config } from '../config.ts'
import type { Store } from '../store/store.ts'
import type { Shelves } from './bookmarks/shelf.ts'
import type { Sealer } from './cursor.ts'
import type { Writer } from './space/writer.ts'
import type { Waiters } from './sync/waiters.ts'

/**
 * What every service of the process shares. Holds no tenant's data but the writer's memory and the shelves,
 * which are keyed by space.
 */
export interface Shared {
  readonly config: Pick<Config, 'limits' | 'secret' | 'retentionDays'>
  readonly writer: Writer
  readonly sealer: Sealer
  readonly waiters: Waiters
  /** Bookmarks in memory, keyed by tenant and space. */
  readonly shelves: Shelves
  /**
   * Since when this process waits for what is missing in a log, by space and change number:
   * `performance.now()`.
   */
  readonly holes: LRUCache<string, number>
  readonly now: () => number
  /** When sessions were last seen, as this process has written: milliseconds, by tenant, user and session. */
  readonly seen: LRUCache<string, number>
  /** Idempotency keys whose first request is still running in this process. */
  readonly running: Set<string>
}

/** One request's view: one tenant's store, one space. */
export interface Context extends Shared {
  readonly store: Store
  readonly space: SpaceKey
  /** Who asks; what cursors are bound to. */
  readonly userId: string
  readonly sessionId: string | undefined
  readonly idempotency: { readonly key: string, readonly requestHash: string } | undefined
}
