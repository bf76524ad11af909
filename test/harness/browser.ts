import type { Channel, Locks, StorageLike, Tabs } from '../../src/client/index.ts'
import { createLocks } from '../../src/client/locks.ts'
import { into, problem } from './app-device.ts'
import type { Hub } from './hub.ts'

/** What the tabs of one browser share. */
export function createBrowser (hub: Hub) {
  const rows = new Map<string, string>()
  const locks = createLocks()
  const channels = new Map<string, Set<Channel>>()

  /** One tab: when it dies, nothing of it happens any more, and its locks are free. */
  function tab ({ hasLocks = true, dies = (): boolean => false } = {}) {
    let isDead = false
    const releases = new Set<() => void>()
    const kill = () => {
      isDead = true
      for (const release of releases) release()
    }
    const living = <T>(work: () => T): T => {
      if (!isDead && dies()) kill()
      if (isDead) throw new Error('the tab is gone')
      return work()
    }
    const storage: StorageLike = {
      get length () {
        return rows.size
      },
      key: (index) => living(() => [...rows.keys()][index] ?? null),
      getItem: (key) => living(() => rows.get(key) ?? null),
      setItem: (key, value) => living(() => void rows.set(key, value)),
      removeItem: (key) => living(() => void rows.delete(key))
    }
    const own: Locks = {
      request: (name, options, work) =>
        locks.request(
          name,
          options,
          (lock) =>
            Promise.race([isDead ? Promise.reject(new Error('the tab is gone')) : work(lock),
              new Promise<never>((_, reject) => {
                releases.add(() => {
                  reject(new Error('the tab is gone'))
                })
              })])
        )
    }
    const channel = (name: string): Channel => {
      const peers = channels.get(name) ?? new Set()
      channels.set(name, peers)
      const self: Channel = {
        onmessage: null,
        postMessage (data) {
          for (const peer of peers) {
            if (peer !== self) setImmediate(() => peer.onmessage?.({ data: structuredClone(data) }))
          }
        },
        close: () => void peers.delete(self)
      }
      peers.add(self)
      return self
    }
    const tabs: Tabs = { channel, ...hasLocks && { locks: own } }
    const fetch: typeof globalThis.fetch = async (...ask) => {
      if (isDead) throw new Error('the tab is gone')
      if ((ask[0] as string).includes('/live')) return problem(406, 'LIVE_UNAVAILABLE')
      const answer = await into(hub)(...ask)
      if (isDead) throw new Error('the tab is gone')
      return answer
    }
    return { storage, tabs, fetch, kill }
  }
  return { rows, tab }
}
