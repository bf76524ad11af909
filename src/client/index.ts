import { rejectedOf, type Client, type Options } from './client.ts'
import { sleep as sleepByClock } from './clock.ts'
import { keptIn, spaceOf } from './collections.ts'
import { openDevice } from './device.ts'
import { createLink } from './link.ts'
import { overlay } from './view.ts'

export { memoryStore, type SharedStore, type Store, type Written } from './store.ts'
export { type StorageLike, storageStore } from './storage-store.ts'
export { type IndexedDb, indexedDbStore } from './indexed-db-store.ts'
export { HubProblem, isTransient, StorageFull, StoreInUse } from './problem.ts'
export type { Content, Kept, Target } from './kinds.ts'
export type { Client, Listener, Options, Pending, Rejected } from './client.ts'
export type { Collection, Local, Space } from './collections.ts'
export type { Conflict } from './outbox.ts'
export type { Confirm, MassDelete } from './guard.ts'
export type { Status } from './status.ts'
export type { Channel, Tabs } from './tabs.ts'
export type { Locks } from './locks.ts'
export type { Sleep } from './clock.ts'
export type { Token } from './token.ts'

/** Opens a user's records on this device. @throws StoreInUse; what the store throws */
export async function createClient (options: Options): Promise<Client> {
  const { sleep = sleepByClock, now = Date.now } = options
  const clock = { sleep, now }
  const closing = new AbortController()
  const device = await openDevice(options, clock, closing.signal)
  const { medium, state, status, watch } = device
  const link = createLink(options, clock, device, closing.signal)
  const run = createRuns()

  return {
    ...spaceOf(state, now, 'me'),
    space: (name) => spaceOf(state, now, name),
    memberships: () => keptIn(state, 'me', 'membership'),
    invitations: () => keptIn(state, 'me', 'invitation'),
    sessions: () => keptIn(state, 'me', 'session'),
    pull: () => run(() => link.pull()),
    push: () => run(() => link.push()),
    sync: () => run(() => link.sync()),
    follow: (until) => run(() => link.follow(until)),
    status: status.get,
    subscribe (listener) {
      watch.listeners.add(listener)
      return () => {
        watch.listeners.delete(listener)
      }
    },
    subscribeStatus: status.listen,
    pending: () =>
      overlay(state).map(({ space, type, id, content }) => ({ space, type, id, record: content })),
    rejected: () => rejectedOf(state, state.entries('refused').map(([key]) => key)),
    dismiss: (key) =>
      state.change((draft) => {
        draft.set('refused', key, undefined)
      }),
    async close () {
      closing.abort()
      await run.ended()
      await state.change(() => {})
      medium.close()
    }
  }
}

/** @returns runs something; `ended` waits until nothing runs any more */
function createRuns (): (<T>(work: () => Promise<T>) => Promise<T>) & { ended(): Promise<unknown> } {
  const running = new Set<Promise<unknown>>()
  const run = <T>(work: () => Promise<T>) => {
    const promise = work()
    running.add(promise)
    promise.catch(() => {}).finally(() => running.delete(promise))
    return promise
  }
  return Object.assign(run, { ended: () => Promise.allSettled(running) })
}
