import fc from 'fast-check'
import t from 'tap'
import { memoryStore, type Store } from '../../src/client/index.ts'
import { devicesOf, home, into, newUser } from '../harness/app-device.ts'
import { startHub } from '../harness/hub.ts'

const hub = await startHub(t)
const { device } = devicesOf(hub)

t.test('wherever a process is killed, the next one goes on: nothing is lost, nothing is done twice', async (t) => {
  const counted = { steps: 1, kills: 0 }
  for (let at = 1; at <= counted.steps; at++) {
    for (const when of ['before', 'after'] as const) {
      const user = newUser()
      const person = await hub.as(user)
      await person.put('/v1/bookmarks/b', home)
      const kept = memoryStore()
      let steps = 0
      // Whatever goes out of the process may be the last thing that it does; then it hangs.
      const mortal = async <T>(work: () => Promise<T>): Promise<T> => {
        steps++
        if (steps > at || (steps === at && when === 'before')) throw new Error('killed')
        const result = await work()
        if (steps >= at) throw new Error('killed')
        return result
      }
      const store: Store = { read: () => kept.read(), write: (changes) => mortal(() => kept.write(changes)) }
      // What the user was told is kept, and what may or may not be.
      const [done, begun] = [new Set<string>(), new Set<string>()]
      const edit = async (name: string, work: () => Promise<void>) => {
        begun.add(name)
        await work()
        done.add(name)
      }
      const one = await device(t, user, { store, fetch: (...ask) => mortal(() => into(hub)(...ask)) })
      const work = async () => {
        await one.pull()
        await edit('b', () => one.bookmarks.update('b', { title: 'Mine' }))
        await person.patch('/v1/bookmarks/b', { description: 'theirs' })
        await edit('c', () => one.bookmarks.put('c', home))
        await one.sync()
        await edit('not c', () => one.bookmarks.delete('c'))
        await one.sync()
      }
      if (!await work().then(() => true, () => false)) counted.kills++
      if (steps >= at) counted.steps = at + 1
      const next = await device(t, user, { store: kept })
      await next.sync()
      const { items } = (await person.get('/v1/bookmarks')).body
      t.strictSame(
        next.bookmarks.list().sort((one, other) => one.id.localeCompare(other.id)),
        items,
        `killed ${when} step ${at}`
      )
      const [b, c] = ['b', 'c'].map((id) => items.find((item: { id: string }) => item.id === id))
      if (done.has('b')) t.match(b, { title: 'Mine' })
      if (begun.has('c')) t.match(b, { description: 'theirs' })
      if (done.has('c') && !begun.has('not c')) t.ok(c)
      if (done.has('not c')) t.notOk(c)
      t.ok(b.rev <= 3, 'nothing twice')
    }
  }
  t.ok(counted.kills > 30, `${counted.kills} kills`)
})

t.test('devices that did anything, in any order, on a network that loses anything, agree in the end', async (t) => {
  const step = fc.record({
    device: fc.nat(2),
    act: fc.constantFrom('put', 'put', 'update', 'update', 'delete', 'sync', 'push', 'pull', 'restart'),
    id: fc.constantFrom('a', 'b', 'c'),
    lost: fc.constantFrom('no', 'no', 'request', 'answer')
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
      const user = newUser()
      let lost = 'no'
      const fetch: typeof globalThis.fetch = async (...ask) => {
        if (lost === 'request') throw new TypeError('fetch failed')
        const answer = await into(hub)(...ask)
        if (lost === 'answer') throw new TypeError('fetch failed')
        return answer
      }
      const stores = [memoryStore(), memoryStore(), memoryStore()]
      const devices = await Promise.all(stores.map((store) => device(t, user, { store, fetch })))
      for (const [n, { device: at, act, id, lost: loses }] of steps.entries()) {
        const { bookmarks } = devices[at]!
        lost = loses
        if (act === 'put') await bookmarks.put(id, { ...home, title: `${n}`, tags: [`${n}`] })
        else if (act === 'update') await bookmarks.update(id, { description: `${n}` }).catch(() => {})
        else if (act === 'delete') await bookmarks.delete(id)
        else if (act === 'restart') devices[at] = await device(t, user, { store: stores[at]!, fetch })
        else await devices[at]![act]().catch(() => {})
      }
      lost = 'no'
      for (const each of [...devices, ...devices]) await each.sync()
      const { items } = (await (await hub.as(user)).get('/v1/bookmarks')).body
      for (const each of devices) {
        t.strictSame(each.bookmarks.list().sort((one, other) => one.id.localeCompare(other.id)), items)
        t.strictSame([each.pending(), each.rejected()], [[], []])
      }
    }),
    { numRuns: 20 }
  )
})
