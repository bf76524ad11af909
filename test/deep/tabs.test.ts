import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { createClient, memoryStore, storageStore, type Client, type Options } from '../../src/client/index.ts'
import { createBrowser } from '../harness/browser.ts'
import { seeded } from '../harness/faults.ts'
import { devicesOf, home, newUser } from '../harness/app-device.ts'
import { startHub } from '../harness/hub.ts'

/** Several tabs on one store: no edit is lost, all show the same, one talks to the hub for all. */

const hub = await startHub(t)
const { device } = devicesOf(hub)
const browser = () => createBrowser(hub)

const sorted = (client: Client) => client.bookmarks.list().map(({ id, title }) => `${id} ${title}`).sort()
const byId = (one: { id: string }, other: { id: string }) => one.id.localeCompare(other.id)

for (const hasLocks of [true, false]) {
  const how = hasLocks ? 'under locks' : 'under leases in the store'
  t.test(`what one tab does the other shows, and no edit is lost, ${how}`, async (t) => {
    const { tab } = browser()
    const user = newUser()
    let isOffline = true
    const open = (given = tab({ hasLocks })) =>
      device(t, user, {
        store: storageStore(given.storage),
        tabs: given.tabs,
        fetch: (...ask) => isOffline ? Promise.reject(new TypeError('offline')) : given.fetch(...ask)
      })
    const [one, two] = [await open(), await open()]
    const changes: string[] = []
    two.subscribe((targets) => {
      for (const { id } of targets) changes.push(id)
    })
    for (const [client, id] of [[one, 'o1'], [two, 'o2'], [one, 'o3'], [two, 'o1']] as const) {
      await client.bookmarks.put(id, { ...home, title: `${id} by ${client === one ? 'one' : 'two'}` })
    }
    while (one.bookmarks.get('o1')?.title !== 'o1 by two') await pause(2)
    t.strictSame(sorted(one), ['o1 o1 by two', 'o2 o2 by two', 'o3 o3 by one'])
    t.strictSame(sorted(two), sorted(one))
    t.ok(changes.includes('o3'), 'the other tab is told')
    isOffline = false
    await two.sync()
    while (one.pending().length > 0) await pause(2)
    const later = await open()
    t.strictSame(sorted(later), sorted(one))
    t.strictSame((await (await hub.as(user)).get('/v1/bookmarks')).body.items.length, 3)
  })

  t.test(`one tab follows for all, and another when it is gone, ${how}`, { timeout: 60_000 }, async (t) => {
    const { tab } = browser()
    const user = newUser()
    const polls = [0, 0]
    let now = 0
    const options = (n: number): Partial<Options> & { kill(): void } => {
      const given = tab({ hasLocks })
      return {
        store: storageStore(given.storage),
        tabs: given.tabs,
        kill: given.kill,
        now: () => now,
        sleep: async (milliseconds) => {
          now += milliseconds / 8
          await pause(1)
        },
        fetch: async (...ask) => {
          if ((ask[0] as string).includes('wait=')) {
            polls[n]!++
            await pause(10)
          }
          return given.fetch((ask[0] as string).replace(/&wait=\d+/, ''), ask[1])
        }
      }
    }
    const [first, second] = [options(0), options(1)]
    const [one, two] = [await device(t, user, first), await device(t, user, second)]
    const leading = one.follow().catch(() => {})
    while (polls[0]! < 3) await pause(2)
    const following = two.follow()
    await two.bookmarks.put('b', home)
    while (two.pending().length > 0) await pause(2)
    t.equal(polls[1], 0, 'the leader sends what the other did')
    t.equal(one.bookmarks.get('b')?.title, 'Home')
    first.kill()
    now += 60_000
    while (polls[1]! < 3) await pause(2)
    await (await hub.as(user)).put('/v1/bookmarks/c', home)
    while (two.bookmarks.get('c') === undefined) await pause(2)
    await two.close()
    await following
    await one.close().catch(() => {})
    await leading
  })
}

t.test('a hundred times two tabs do anything, die anywhere, and lose nothing that was kept', {
  timeout: 300_000
}, async (t) => {
  let deaths = 0
  for (let seed = 0; seed < 100; seed++) {
    const random = seeded(seed)
    const { tab } = browser()
    const user = newUser()
    const hasLocks = seed % 4 !== 0
    // Within one process nothing tears a look and a write apart but a death: some steps before it, at random.
    const open = async () => {
      let steps = Math.floor(random() * 400)
      const given = tab({ hasLocks, dies: () => steps-- === 0 })
      const { token } = await hub.as(user)
      const client = await createClient({
        url: 'http://hub',
        token,
        random,
        sleep: () => pause(0),
        store: storageStore(given.storage),
        tabs: given.tabs,
        fetch: given.fetch
      }).catch(() => undefined)
      if (client === undefined) deaths++
      return client
    }
    /** What a tab was told is kept, in the order that it was told. */
    const done = new Map<string, string | undefined>()
    const unsure = new Set<string>()
    const tabs: (Client | undefined)[] = [await open(), await open()]
    for (let step = 0; step < 24; step++) {
      const at = Math.floor(random() * 2)
      tabs[at] ??= await open()
      const client = tabs[at]
      if (client === undefined) continue
      const id = `b${Math.floor(random() * 4)}`
      const title = `${step}`
      const act = random()
      const isEdit = act < 0.6
      if (isEdit) unsure.add(id)
      const work = async () => {
        if (act < 0.45) await client.bookmarks.put(id, { ...home, title })
        else if (isEdit) await client.bookmarks.delete(id)
        else await client.sync()
      }
      const isDone = await work().then(() => true, () => false)
      if (isDone && isEdit) {
        done.set(id, act < 0.45 ? title : undefined)
        unsure.delete(id)
      }
      if (!isDone) {
        deaths++
        tabs[at] = undefined
      }
    }
    const given = tab()
    const last = await device(t, user, {
      store: storageStore(given.storage),
      tabs: given.tabs,
      fetch: given.fetch
    })
    await last.sync()
    const { items } = (await (await hub.as(user)).get('/v1/bookmarks')).body
    t.strictSame(last.bookmarks.list().sort(byId), items, `seed ${seed}`)
    t.strictSame([last.pending(), last.rejected()], [[], []])
    for (const [id, title] of done) {
      if (unsure.has(id)) continue
      t.equal(items.find((item: { id: string }) => item.id === id)?.title, title, `seed ${seed}: ${id}`)
    }
    await last.close()
  }
  t.ok(deaths > 40, `${deaths} deaths`)
})

t.test('a store that cannot be shared refuses the second client, until the first is closed', async (t) => {
  const plain = (name?: string) => {
    const store = memoryStore()
    const [read, write] = [() => store.read(),
      (changes: ReadonlyMap<string, unknown>) => store.write(changes)]
    return { read, write, ...name !== undefined && { name } }
  }
  const store = plain()
  const one = await device(t, newUser(), { store })
  const second = createClient({ url: 'http://hub', token: '', store })
  await t.rejects(second, { name: 'StoreInUse' })
  await one.close()
  await device(t, newUser(), { store })

  // By its name it is found in another tab as well.
  const { tab } = browser()
  const [here, there] = [tab(), tab()]
  await device(t, newUser(), { store: plain('files'), tabs: here.tabs })
  const other = createClient({ url: 'http://hub', token: '', store: plain('files'), tabs: there.tabs })
  await t.rejects(other, { name: 'StoreInUse' })
  here.kill()
  await pause(5)
  await device(t, newUser(), { store: plain('files'), tabs: there.tabs })
})
