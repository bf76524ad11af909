import { LRUCache } from 'lru-cache'
import { spaceName, type SpaceKey } from '../../entities/fields.ts'
import type { Limits } from '../limits.ts'
import { Problem } from '../errors.ts'
import type { Store } from '../store/store.ts'
import type { Watchers } from './index.ts'
import { readHeads } from './rows.ts'

/**
 * How often the spaces that someone waits for are looked at, for what other processes write: half an RCU each
 * time, and a call for each hundred of a tenant.
 */
const POLL_MS = 1000
/** Spaces whose last change is remembered. */
const MAX_KNOWN = 20_000

type ConnectionLimits = Pick<Limits, 'connectionsPerUser' | 'connectionsPerTenant' | 'connectionsWaiting'>

interface Active {
  readonly key: SpaceKey
  readonly listeners: Set<() => void>
}

/** The spaces of a tenant that someone waits for. */
interface Watched {
  readonly spaces: Map<string, Active>
  readonly stop: () => void
}

/**
 * Wakes who waits: at once for what this process commits, within about a second for what others do. However
 * many wait for a space, it is looked at once a second; nobody waits, nothing is read.
 */
export function createWatchers (limits: ConnectionLimits): Watchers {
  const tenants = new Map<string, Watched>()
  const latest = new LRUCache<string, number>({ max: MAX_KNOWN })
  const known = (name: string) => latest.get(name) ?? 0

  function advance (space: SpaceKey, n: number): void {
    const name = spaceName(space)
    if (n <= known(name)) return
    latest.set(name, n)
    for (const listener of tenants.get(space.tenantId)?.spaces.get(name)?.listeners ?? []) listener()
  }

  function watch (store: Store, tenantId: string): Watched {
    const spaces = new Map<string, Active>()
    let looking = false
    const timer = setInterval(() => {
      if (looking) return
      looking = true
      // A look that fails is made up for by the next one, and by the pull at the end of the wait.
      readHeads(store, Array.from(spaces.values(), ({ key }) => key)).then((heads) => {
        for (const head of heads) advance(head, head.n)
      }, () => {}).finally(() => {
        looking = false
      })
    }, POLL_MS)
    const watched = {
      spaces,
      stop: () => {
        clearInterval(timer)
        tenants.delete(tenantId)
      }
    }
    tenants.set(tenantId, watched)
    return watched
  }

  function listen (store: Store, key: SpaceKey, listener: () => void): void {
    const { spaces } = tenants.get(key.tenantId) ?? watch(store, key.tenantId)
    const name = spaceName(key)
    const space = spaces.get(name) ?? { key, listeners: new Set() }
    spaces.set(name, space)
    space.listeners.add(listener)
  }

  function leave (key: SpaceKey, listener: () => void): void {
    const watched = tenants.get(key.tenantId)
    const space = watched?.spaces.get(spaceName(key))
    space?.listeners.delete(listener)
    if (space?.listeners.size === 0) watched!.spaces.delete(spaceName(key))
    if (watched?.spaces.size === 0) watched.stop()
  }

  return {
    wake: advance,
    known: (space) => known(spaceName(space)),

    subscribe (store, spaces) {
      let notify = () => {}
      const listener = () => {
        notify()
      }
      for (const key of spaces) listen(store, key, listener)
      return {
        beyond: (seen, milliseconds, signal) =>
          new Promise((resolve) => {
            const isBeyond = () => [...seen].some(([name, n]) => known(name) > n)
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
          for (const key of spaces) leave(key, listener)
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
