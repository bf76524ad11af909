import { IDBFactory, IDBKeyRange } from 'fake-indexeddb'
import t from 'tap'
import { createClient, indexedDbStore } from '../../src/client/index.ts'
import { home } from '../harness/app-device.ts'

/** IndexedDB by the rules of the standard, without a browser; test/browser/ has a real one. */

const here = () => ({ factory: new IDBFactory() as never, keyRange: IDBKeyRange as never })

t.test('what is written is read again, in pages, and only on top of what was seen', async (t) => {
  const given = here()
  const [one, two] = [indexedDbStore('a', given), indexedDbStore('a', given)]
  const rows = new Map(Array.from({ length: 2_500 }, (_, n) => [`k${n}`, { n }] as const))
  await one.write(rows)
  t.strictSame(new Map([...await two.read()].sort()), new Map([...rows].sort()))
  const { version } = await two.shared!.since(undefined)
  t.equal(
    await one.shared!.writeAfter(version, new Map<string, unknown>([['k1', undefined], ['k2', 2]])),
    true
  )
  t.equal(await two.shared!.writeAfter(version, new Map([['k3', 3]])), false, 'another was faster')
  t.strictSame(await two.shared!.since(version), {
    version: version + 1,
    rows: new Map<string, unknown>([['k1', undefined], ['k2', 2]]),
    isAll: false
  })
  t.strictSame((await two.shared!.since(version + 1)).rows, new Map())
  for (let n = 0; n < 101; n++) await one.write(new Map([['k', n]]))
  t.match(await two.shared!.since(version), { isAll: true }, 'what was long ago is not known any more')
  t.equal((await two.read()).get('k3') !== undefined && !(await two.read()).has('k1'), true)
})

t.test('a write that fails leaves nothing behind', async (t) => {
  const store = indexedDbStore('a', here())
  await store.write(new Map([['a', 1]]))
  // A function is nothing that IndexedDB can keep.
  await t.rejects(store.write(new Map<string, unknown>([['b', 2], ['c', () => {}]])))
  t.strictSame(await store.read(), new Map([['a', 1]]))
})

t.test('two clients on one database show the same', async (t) => {
  const given = here()
  const open = () =>
    createClient({
      url: 'http://hub',
      token: '',
      store: indexedDbStore('alice', given),
      fetch: async () => {
        throw new TypeError('offline')
      }
    })
  const [one, two] = [await open(), await open()]
  await Promise.all([one, two].map(async ({ bookmarks }, at) => {
    for (let n = 0; n < 10; n++) await bookmarks.put(`${at}-${n}`, { ...home, title: `${n}` })
  }))
  for (const client of [one, two]) {
    await client.settings.put('last', { value: 1 })
    t.equal(client.bookmarks.list().length, 20)
    await client.close()
  }
})
