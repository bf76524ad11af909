import type { Clock } from './clock.ts'
import { withLease } from './lease.ts'
import { createLocks, type Locks } from './locks.ts'
import { createMarks } from './marks.ts'
import { StoreInUse } from './problem.ts'
import type { SharedStore, Store, Written } from './store.ts'

/** What the client needs of a BroadcastChannel. */
export interface Channel {
  postMessage(message: unknown): void
  onmessage: ((event: { readonly data: unknown }) => void) | null
  close(): void
  unref?(): void
}

/** How the tabs of one browser find each other. */
export interface Tabs {
  /** `navigator.locks`. Without them, tabs go by leases in the store. */
  readonly locks?: Locks | undefined
  /** Opens a BroadcastChannel. Without it, tabs look into the store now and then. */
  readonly channel?: ((name: string) => Channel) | undefined
}

export function platformTabs (): Tabs {
  const globals = globalThis as unknown as {
    navigator?: { locks?: Locks },
    BroadcastChannel?: new(name: string) => Channel
  }
  const { navigator, BroadcastChannel } = globals
  return {
    locks: navigator?.locks,
    channel: BroadcastChannel && ((name) => new BroadcastChannel(name))
  }
}

/** A store as one of several clients uses it. */
export interface Medium {
  /** Whether others may write to it as well. */
  readonly isShared: boolean
  /** Undefined where leases in the store have to do. */
  readonly locks: Locks | undefined
  readonly name: string
  since(version: number | undefined): Promise<Written>
  /** @returns false where another has written since */
  writeAfter(version: number, changes: ReadonlyMap<string, unknown>): Promise<boolean>
  /** Tells the other clients something. */
  tell(message: object): void
  /** Called with what others tell, and undefined where all that is known is that something was written. */
  listen(listener: (message: unknown) => void): void
  close(): void
}

export interface MediumOptions extends Clock {
  readonly tabs: Tabs
}

/** @throws StoreInUse where another client has it, and it can't be shared */
export async function openMedium (store: Store, options: MediumOptions): Promise<Medium> {
  return store.shared === undefined
    ? alone(store, options)
    : sharedMedium(store, store.shared, options)
}

function sharedMedium (store: Store, shared: SharedStore, { tabs, sleep, now }: MediumOptions): Medium {
  const name = `sync-hub ${store.name ?? ''}`
  const { lease, local } = shared
  const locks = local?.locks ?? tabs.locks
  const channel = local === undefined ? tabs.channel?.(name) : undefined
  channel?.unref?.()
  const marks = lease === undefined || locks === undefined ? undefined : createMarks(locks, name, sleep)
  const ends: (() => void)[] = [() => channel?.close(), () => marks?.close()]

  /** Where a look and a write may be torn apart, nobody else does either meanwhile. */
  function exclusive<T> (work: () => Promise<T>): Promise<T> {
    if (lease === undefined) return work()
    if (locks !== undefined && marks !== undefined) {
      return locks.request(`${name} write`, {}, async () => {
        await marks.seen(() => lease.version())
        return work()
      })
    }
    return withLease(lease, { sleep, now }, work)
  }

  return {
    isShared: true,
    locks,
    name,
    since: (version) => exclusive(() => shared.since(version)),
    writeAfter: (version, changes) =>
      exclusive(async () => {
        const isWritten = await shared.writeAfter(version, changes)
        if (isWritten) await marks?.written(version + 1)
        return isWritten
      }),
    tell: (message) => channel?.postMessage(message),
    listen (listener) {
      if (channel !== undefined) {
        channel.onmessage = ({ data }) => {
          listener(data)
        }
      }
      if (local !== undefined) {
        ends.push(local.watch(() => {
          listener(undefined)
        }))
      }
    },
    close () {
      for (const end of ends) end()
    }
  }
}

/** Stores that can't be shared, in use in this process. */
const inUse = new WeakSet<Store>()

async function alone (store: Store, { tabs }: MediumOptions): Promise<Medium> {
  const name = `sync-hub ${store.name ?? ''}`
  if (inUse.has(store)) throw new StoreInUse(IN_USE)
  inUse.add(store)
  const hold = store.name === undefined ? undefined : tabs.locks
  const letGo = await holdForLife(hold, name).catch((error: unknown) => {
    inUse.delete(store)
    throw error
  })
  return {
    isShared: false,
    locks: createLocks(),
    name,
    since: async () => ({ version: 0, rows: await store.read(), isAll: true }),
    async writeAfter (_version, changes) {
      await store.write(changes)
      return true
    },
    tell () {},
    listen () {},
    close () {
      inUse.delete(store)
      letGo()
    }
  }
}

const IN_USE = "Another client uses this store, and it can't be shared. Close that one first."

/** @returns what lets go of the lock. @throws StoreInUse */
async function holdForLife (locks: Locks | undefined, name: string): Promise<() => void> {
  if (locks === undefined) return () => {}
  return new Promise((resolve, reject) => {
    locks.request(name, { ifAvailable: true }, async (lock) => {
      if (lock === null) throw new StoreInUse(IN_USE)
      await new Promise<void>((letGo) => {
        resolve(letGo)
      })
    }).catch(reject)
  })
}
