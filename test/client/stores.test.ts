import t from 'tap'
import { memoryStore, storageStore } from '../../src/client/index.ts'
import { devicesOf, home, newUser } from '../harness/app-device.ts'
import { startHub } from '../harness/hub.ts'

const hub = await startHub(t)
const { device } = devicesOf(hub)

t.test('a store in localStorage holds all of a write, or nothing', async (t) => {
  const rows = new Map<string, string>()
  let left = Infinity
  const storage = {
    get length () {
      return rows.size
    },
    key: (index: number) => [...rows.keys()][index] ?? null,
    getItem: (key: string) => rows.get(key) ?? null,
    setItem (key: string, value: string) {
      if (left-- <= 0) throw new Error('QuotaExceededError')
      rows.set(key, value)
    },
    removeItem: (key: string) => {
      rows.delete(key)
    }
  }
  rows.set('foreign', 'kept')
  await storageStore(storage, 'alice').write(new Map<string, unknown>([['a', 1], ['b', { x: null }]]))
  await storageStore(storage, 'bob').write(new Map([['a', 2]]))
  const held = new Map<string, unknown>([['a', 1], ['b', { x: null }]])
  for (const fits of [0, 1, 2]) {
    left = fits
    const failed = storageStore(storage, 'alice').write(
      new Map<string, unknown>([['b', undefined], ['a', 3], ['c', 4]])
    )
    left = fits
    await t.rejects(failed.finally(() => {
      left = Infinity
    }))
    t.strictSame(await storageStore(storage, 'alice').read(), held, `${fits} writes fit`)
  }
  const cut = storageStore({
    ...storage,
    get length () {
      return rows.size
    },
    removeItem (key) {
      if (!key.endsWith('journal')) storage.removeItem(key)
    }
  }, 'alice')
  await cut.write(new Map<string, unknown>([['a', 3], ['c', 4]]))
  t.strictSame(
    await storageStore(storage, 'alice').read(),
    new Map<string, unknown>([['b', { x: null }], ['a', 3], ['c', 4]]),
    'a write whose end was not seen'
  )
  t.equal(rows.get('foreign'), 'kept')

  const user = newUser()
  const one = await device(t, user, { store: storageStore(storage, 'carol') })
  await one.bookmarks.put('b', home)
  const again = await device(t, user, { store: storageStore(storage, 'carol') })
  await again.sync()
  t.match((await (await hub.as(user)).get('/v1/bookmarks/b')).body, home)
})

t.test('a write that the store refuses has not happened, and what is no JSON is refused', async (t) => {
  let full = false
  const store = memoryStore()
  const one = await device(t, newUser(), {
    store: {
      read: () => store.read(),
      write: async (changes) => full ? Promise.reject(new Error('full')) : store.write(changes)
    }
  })
  full = true
  await t.rejects(one.bookmarks.put('b', home), { message: 'full' })
  t.strictSame([one.bookmarks.list(), one.pending()], [[], []])
  full = false
  await t.rejects(one.settings.put('s', { value: new Date() }), TypeError)
  await t.rejects(one.settings.put('s', { value: { n: NaN } }), TypeError)
  await t.rejects(one.settings.put('a b', { value: 1 }), TypeError)
  await t.rejects(one.settings.update('s', { value: 1 }), RangeError)
  await one.settings.put('s', { value: { list: [1] } })
  t.throws(
    () => {
      ;(one.settings.get('s')!.value as { list: number[] }).list.push(2)
    },
    TypeError,
    "what is handed out can't be changed"
  )
})
