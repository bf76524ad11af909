import { spaceName, type SpaceKey } from '../../entities/fields.ts'
import type { Limits } from '../config.ts'
import { Problem } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { readHead } from './rows.ts'

/**
 * How often a space that someone waits for is looked at, for what other processes write: half an RCU each
 * time.
 */
const POLL_MS = 1000

type ConnectionLimits = Pick<Limits, 'connectionsPerUser' | 'connectionsPerTenant' | 'connectionsWaiting'>

/** Someone who waits for changes of some spaces. */
export interface Subscription {
  /**
   * Waits until a space is known to have gone beyond the given change number.
   * @param seen change numbers by `spaceName`
   * @returns false where time was up, or the signal came, first
   */
  beyond(seen: ReadonlyMap<string, number>, milliseconds: number, signal: AbortSignal): Promise<boolean>
  end(): void
}

export interface Watchers {
  /** A space has gone on, as a writer of this process knows. */
  readonly wake: (space: SpaceKey, n: number) => void
  /** From now on nothing that happens in the spaces is missed: subscribe, then look, then wait. */
  subscribe(store: Store, spaces: readonly SpaceKey[]): Subscription
  /**
   * Counts a connection that waits for changes. @returns what ends it
   * @throws Problem TOO_MANY_CONNECTIONS, and OVERLOADED where they are too many in all
   */
  enter(user: SpaceKey): () => void
}

interface Active {
  /** The highest change number that is known. */
  n: number
  readonly listeners: Set<() => void>
  readonly stop: () => void
}

/**
 * Wakes who waits: at once for what this process commits, within about a second for what others do. However
 * many wait for a space, it is looked at once a second; nobody waits, nothing is read.
 */
export function createWatchers (limits: ConnectionLimits): Watchers {
  const active = new Map<string, Active>()

  function advance (name: string, n: number): void {
    const space = active.get(name)
    if (space === undefined || n <= space.n) return
    space.n = n
    for (const listener of space.listeners) listener()
  }

  function activate (store: Store, key: SpaceKey): Active {
    const name = spaceName(key)
    let looking = false
    const timer = setInterval(() => {
      if (looking) return
      looking = true
      // A look that fails is made up for by the next one, and by the pull at the end of the wait.
      readHead(store, key, false).then((head) => {
        advance(name, head?.n ?? 0)
      }, () => {}).finally(() => {
        looking = false
      })
    }, POLL_MS)
    return {
      n: 0,
      listeners: new Set(),
      stop: () => {
        clearInterval(timer)
        active.delete(name)
      }
    }
  }

  return {
    wake: (space, n) => {
      advance(spaceName(space), n)
    },

    subscribe (store, spaces) {
      let notify = () => {}
      const listener = () => {
        notify()
      }
      for (const key of spaces) {
        const space = active.get(spaceName(key)) ?? activate(store, key)
        active.set(spaceName(key), space)
        space.listeners.add(listener)
      }
      return {
        beyond: (seen, milliseconds, signal) =>
          new Promise((resolve) => {
            const isBeyond = () => [...seen].some(([name, n]) => (active.get(name)?.n ?? 0) > n)
            const settle = (result: boolean) => {
              clearTimeout(timer)
              signal.removeEventListener('abort', stopped)
              notify = () => {}
              resolve(result)
            }
            const stopped = () => {
              settle(false)
            }
            const timer = setTimeout(stopped, milliseconds)
            signal.addEventListener('abort', stopped)
            notify = () => {
              if (isBeyond()) settle(true)
            }
            if (signal.aborted) stopped()
            else notify()
          }),
        end () {
          for (const key of spaces) {
            const space = active.get(spaceName(key))
            space?.listeners.delete(listener)
            if (space?.listeners.size === 0) space.stop()
          }
        }
      }
    },

    enter: countConnections(limits)
  }
}

function countConnections (limits: ConnectionLimits): Watchers['enter'] {
  const open = new Map<string, number>()
  const count = (name: string, by: 1 | -1) => {
    const left = (open.get(name) ?? 0) + by
    if (left === 0) open.delete(name)
    else open.set(name, left)
  }
  return (user) => {
    const counted = [['connectionsPerUser', spaceName(user)], ['connectionsPerTenant', user.tenantId], [
      'connectionsWaiting',
      ''
    ]] as const
    for (const [limit, name] of counted) {
      const [value, sent] = [limits[limit], (open.get(name) ?? 0) + 1]
      if (sent <= value) continue
      throw new Problem(
        limit === 'connectionsWaiting' ? 'OVERLOADED' : 'TOO_MANY_CONNECTIONS',
        `${value} connections wait here already. Close one, or wait for changes once a device.`,
        { retryAfter: 1, limit: { name: limit, value, sent } }
      )
    }
    for (const [, name] of counted) count(name, 1)
    return () => {
      for (const [, name] of counted) count(name, -1)
    }
  }
}
