import { setTimeout as pause } from 'node:timers/promises'
import { spaceName, type SpaceKey } from '../../../entities/fields.ts'
import type { Context } from '../context.ts'
import { GROUP, ME } from '../../engine/change-set.ts'
import { memberships } from '../memberships.ts'
import { batches } from './batches.ts'
import { positionsOf, pull, type Pulled } from './pull.ts'
import { push, type Push, type Pushed } from './push.ts'

/** Between two looks for something that is known to be there. */
const FRUITLESS_MS = 20

export interface PullQuery {
  /** Of the last answer; without one a snapshot begins. */
  readonly cursor?: string | undefined
  /** Operations in an answer. */
  readonly limit: number
  /** Milliseconds to wait for a change where there is none. */
  readonly wait?: number
  /** Ends the wait early: the client is gone, or the hub is about to be. */
  readonly signal?: AbortSignal
  /** Goes around the time in which it only waits: others may use what it holds. */
  readonly outside?: <T>(wait: () => Promise<T>) => Promise<T>
}

/** Sync of everything that one user may read. */
export function sync (context: Context) {
  const { store, space, watchers } = context
  const groups = memberships(context)

  /**
   * The spaces of a cursor with the last change seen of each. A snapshot under way has nothing to wait for.
   */
  function spacesOf (cursor: string): Map<SpaceKey, number> {
    return new Map(
      [...positionsOf(context, cursor)].map((
        [name, { n }]
      ) => [name === ME ? space : groups.spaceOf(name.slice(GROUP.length)), n])
    )
  }

  /** @param isFollowing whether the caller has been told of all that was committed before it last asked */
  async function pullWhenChanged (
    { cursor, limit, wait = 0, signal = new AbortController().signal, outside = (wait) => wait() }: PullQuery,
    isFollowing = false
  ): Promise<Pulled> {
    const until = Date.now() + wait
    let woken = false
    for (let from = cursor;;) {
      const subscription = watchers.subscribe(
        store,
        from === undefined || wait === 0 ? [] : [...spacesOf(from).keys()]
      )
      try {
        const pulled = await pull(context, from, limit, isFollowing || woken)
        const nothing = pulled.changes.length === 0 && !pulled.more && pulled.reset === undefined
        if (!nothing || wait === 0 || from === undefined) return pulled
        const seen = new Map([...spacesOf(pulled.cursor)].map(([key, n]) => [spaceName(key), n]))
        const isBeyond = () => subscription.beyond(seen, until - Date.now(), signal)
        if (!await outside(isBeyond)) return pulled
        if (Date.now() >= until) return pulled
        // What woke it before may not be visible yet, and would wake it again at once.
        if (woken) await pause(FRUITLESS_MS)
        woken = true
        from = pulled.cursor
      } finally {
        subscription.end()
      }
    }
  }

  /**
   * Counts a connection that waits for changes. @returns what ends it @throws Problem TOO_MANY_CONNECTIONS, OVERLOADED
   */
  const enter = () => watchers.enter(groups.own)

  return {
    enter,
    /**
     * Changes after the cursor of an earlier answer on the same connection; waits for `wait` milliseconds where
     * there is nothing. @throws as `pull`
     */
    follow: (query: PullQuery) => pullWhenChanged(query, true),
    /**
     * As `follow`, as a connection of its own. @throws as `pull`, and Problem TOO_MANY_CONNECTIONS where it
     * waits
     */
    async pull (query: PullQuery): Promise<Pulled> {
      if ((query.wait ?? 0) === 0) return pull(context, query.cursor, query.limit)
      const leave = enter()
      try {
        return await pullWhenChanged(query)
      } finally {
        leave()
      }
    },
    batches: batches(context),
    push: (changes: Push): Promise<Pushed> => push(context, changes)
  }
}
