import type { LRUCache } from 'lru-cache'
import type { Engine, SpaceContext } from '../engine/index.ts'
import type { HeavyWork } from './heavy-work.ts'
import type { ReadModels } from './bookmarks/read-model.ts'

/** What the features of a process keep. Everything in it is keyed by tenant. */
interface Kept {
  /** Bookmarks in memory, by tenant and space. */
  readonly readModels: ReadModels
  /** The turns of what takes much memory or time. */
  readonly heavy: HeavyWork
  /** When sessions were last seen, as this process has written: milliseconds, by tenant, user and session. */
  readonly seen: LRUCache<string, number>
}

/** What every service of the process shares. */
export type Shared = Engine & Kept

/** One request's view: one tenant's store, one space. */
export type Context = SpaceContext & Kept
