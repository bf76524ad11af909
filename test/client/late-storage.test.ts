import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { createClient, storageStore, type Locks, type StorageLike } from '../../src/client/index.ts'
import { createLocks } from '../../src/client/locks.ts'
import { home } from '../harness/app-device.ts'

/** The processes of one browser: each has a copy of localStorage, and sees late what others write. */
function lateStorages (count: number): StorageLike[] {
  const copies = Array.from({ length: count }, () => new Map<string, string>())
  return copies.map((own, at) => {
    const write = (key: string, value: string | undefined) => {
      const apply = (rows: Map<string, string>) => {
        if (value === undefined) rows.delete(key)
        else rows.set(key, value)
      }
      apply(own)
      // In order, and a while after a lock that was let go has been given to another.
      setTimeout(() => {
        for (const [other, rows] of copies.entries()) if (other !== at) apply(rows)
      }, 15)
    }
    return {
      get length () {
        return own.size
      },
      key: (index) => [...own.keys()][index] ?? null,
      getItem: (key) => own.get(key) ?? null,
      setItem: write,
      removeItem: (key) => {
        write(key, undefined)
      }
    }
  })
}

/** Locks that can be asked which are held. */
function knownLocks (): Locks {
  const locks = createLocks()
  const held: { name: string }[] = []
  return {
    request: (name, options, work) =>
      locks.request(
        options.mode === 'shared' ? `${name} ${crypto.randomUUID()}` : name,
        options,
        async (lock) => {
          const entry = { name }
          held.push(entry)
          try {
            return await work(lock)
          } finally {
            held.splice(held.indexOf(entry), 1)
          }
        }
      ),
    query: async () => ({ held: [...held] })
  }
}

t.test('a tab waits until it can see what another has written, and writes over none of it', async (t) => {
  const locks = knownLocks()
  const clients = await Promise.all(
    lateStorages(2).map((storage) =>
      createClient({
        url: 'http://hub',
        token: '',
        store: storageStore(storage),
        tabs: { locks },
        fetch: async () => {
          throw new TypeError('offline')
        }
      })
    )
  )
  await Promise.all(clients.map(async ({ bookmarks }, at) => {
    for (let n = 0; n < 10; n++) await bookmarks.put(`${at}-${n}`, { ...home, title: `${n}` })
  }))
  await pause(0)
  for (const client of clients) {
    // A write of what is there already: it has seen all.
    await client.settings.put('last', { value: 1 })
    t.equal(client.bookmarks.list().length, 20)
    await client.close()
  }
})
