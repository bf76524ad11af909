import { setTimeout as pause } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { spaceName, type SpaceKey } from '../../entities/fields.ts'
import { Problem } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { transact } from '../store/transact.ts'
import type { Lock, SpaceHead } from './change.ts'
import { emptyHead, opening, plan, type SpaceRules } from './plan.ts'
import { putHead, readHead } from './rows.ts'
import { putBatch, readBatch } from './batch-rows.ts'
import type { Job, LockState } from './index.ts'

/** Locks of others that a process watches. */
const MAX_WATCHED = 1000
/** How long a commit tries to get hold of a space that others write to. */
const MAX_TRIES = 100
const PAUSE_MS = 50

/** The lock that a batch has on its space while it is committed: it stands in HEAD. */
export interface Locks {
  isAlive(space: SpaceKey, lock: Lock): boolean
  /**
   * HEAD with the lock of the batch on it. An empty change-set takes it, so that every writer notices.
   * @param settle what becomes of another's lock
   * @throws Problem CONTENTION, BATCH_STATE
   */
  take(job: Job, settle: (head: SpaceHead) => Promise<LockState>): Promise<SpaceHead>
  /**
   * HEAD goes on by an empty change-set, without the lock: whoever still has the old HEAD in hand can write
   * nothing.
   */
  release(store: Store, space: SpaceKey, head: SpaceHead): object[]
}

export function createLocks (rules: SpaceRules, now: () => number): Locks {
  const leaseMs = rules.commitLeaseSeconds * 1000
  /**
   * Since when a lock looks as it does. By what this process sees, and not by its clock: clocks disagree by
   * minutes.
   */
  const watched = new LRUCache<string, { readonly mark: string, readonly since: number }>({
    max: MAX_WATCHED
  })
  const onwards = (store: Store, space: SpaceKey, head: SpaceHead) =>
    plan({ store, space, changes: [], sessionId: undefined }, head, [], now(), rules)

  return {
    isAlive (space, { batch, part, beat }) {
      const name = spaceName(space)
      const mark = `${batch} ${part} ${beat}`
      const seen = watched.get(name)
      if (seen?.mark === mark) return performance.now() - seen.since < leaseMs
      watched.set(name, { mark, since: performance.now() })
      return true
    },
    async take ({ store, space, owner, batch }, settle) {
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const head = await readHead(store, space)
        if (head?.lock?.batch === batch.id) return head
        if (head === undefined) {
          // Refused where another was first, whose HEAD may not be visible yet.
          const refused = await transact(store, opening(space, undefined, emptyHead(now())))
          if (refused !== undefined) await pause(PAUSE_MS)
          continue
        }
        const state = await settle(head)
        if (state === 'held') await pause(PAUSE_MS)
        if (state !== 'free') continue
        const { head: next, puts } = onwards(store, space, head)
        const locked = { ...next, lock: { batch: batch.id, owner: owner.spaceId, part: 0, beat: 0 } }
        const refused = await transact(store, [putHead(space, head, locked), ...puts,
          putBatch(owner, batch, { ...batch, state: 'committing' })])
        if (refused === undefined) return locked
        if ((await readBatch(store, owner, batch.id))?.bytes !== batch.bytes) {
          throw new Problem(
            'BATCH_STATE',
            'Changes were added to the batch meanwhile. Commit it again where that is all.'
          )
        }
        await pause(Math.random() * PAUSE_MS)
      }
      throw new Problem(
        'CONTENTION',
        'Too many others write to the space; nothing was written. Try again later.',
        { retryAfter: 5 }
      )
    },
    release (store, space, head) {
      const { head: next, puts } = onwards(store, space, head)
      return [putHead(space, head, next), ...puts]
    }
  }
}
