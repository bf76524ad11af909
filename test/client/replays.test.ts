import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { memoryStore, type Client } from '../../src/client/index.ts'
import {
  devicesOf,
  home,
  into,
  isPush,
  never,
  newUser,
  pagesOf,
  problem,
  put
} from '../harness/app-device.ts'
import { startHub } from '../harness/hub.ts'

const hub = await startHub(t)
const { device } = devicesOf(hub)

t.test('a lost reply, or a process that ends between send and answer, writes nothing twice', async (t) => {
  const user = newUser()
  const keys: (string | undefined)[] = []
  const losing: typeof fetch = async (...ask) => {
    const answer = await into(hub)(...ask)
    if (!isPush(ask[1])) return answer
    keys.push((ask[1]!.headers as Record<string, string>)['idempotency-key'])
    if (keys.length < 3) throw new TypeError('fetch failed')
    return answer
  }
  const one = await device(t, user, { fetch: losing })
  await one.bookmarks.put('b', home)
  await one.sync()
  t.equal(new Set(keys).size, 1, 'the same key each time')
  t.equal(one.bookmarks.get('b')!.rev, 1)

  const store = memoryStore()
  const killed = await device(t, user, {
    // The store of a process: no other one hears of it.
    store: { read: () => store.read(), write: (changes) => store.write(changes) },
    fetch: async (...ask) => {
      const answer = await into(hub)(...ask)
      return isPush(ask[1]) ? never(ask[1]) : answer
    }
  })
  await killed.pull()
  await killed.bookmarks.update('b', { title: 'Second' })
  killed.push().catch(() => {})
  const person = await hub.as(user)
  while ((await person.get('/v1/bookmarks/b')).body.rev !== 2) await pause(5)
  const again = await device(t, user, { store })
  t.equal(again.bookmarks.get('b')!.title, 'Second')
  t.equal(again.pending().length, 1)
  await again.bookmarks.update('b', { favorite: true })
  await again.sync()
  t.match(again.bookmarks.get('b'), { rev: 3, title: 'Second', favorite: true })
  t.strictSame(again.pending(), [])
})

t.test('a replay that the hub has forgotten the key of writes nothing twice', async (t) => {
  const user = newUser()
  let fetch: typeof globalThis.fetch = async (...ask) => {
    // As after more than a day: the effect is there, the key is not.
    const [input, init] = ask
    if (!isPush(init)) return into(hub)(...ask)
    await into(hub)(input, {
      ...init,
      headers: { ...init!.headers as Record<string, string>, 'idempotency-key': 'another' }
    })
    throw new TypeError('fetch failed')
  }
  const one = await device(t, user, { fetch: (...ask) => fetch(...ask) })
  await one.bookmarks.put('b', home)
  await t.rejects(one.push(), { name: 'HubProblem', message: /reached/ })
  fetch = into(hub)
  await one.sync()
  t.match(one.bookmarks.get('b'), { ...home, rev: 1 })
  t.strictSame(one.pending(), [])
})

t.test('what was done on top of an edit that is on its way is not lost, however that ends', async (t) => {
  for (const ends of ['applied', 'conflict', 'refused'] as const) {
    const user = newUser()
    let during: (() => Promise<void>) | undefined
    const one = await device(t, user, {
      fetch: async (...ask) => {
        const [work] = isPush(ask[1]) ? [during] : []
        if (work !== undefined) during = undefined
        await work?.()
        if (work !== undefined && ends === 'refused') {
          return problem(400, 'VALIDATION_FAILED', {
            errors: [{ pointer: '/changes/0/record/title', detail: 'no' }]
          })
        }
        return into(hub)(...ask)
      }
    })
    await one.bookmarks.put('b', home)
    await one.sync()
    await one.bookmarks.update('b', { title: 'First' })
    during = async () => {
      await one.bookmarks.update('b', { description: 'second' })
      if (ends === 'conflict') await (await hub.as(user)).patch('/v1/bookmarks/b', { favorite: true })
    }
    await one.sync()
    t.match(one.bookmarks.get('b'), {
      title: 'First',
      description: 'second',
      ...ends === 'conflict' && { favorite: true }
    }, ends)
    t.strictSame(one.pending(), [])
    t.equal(one.rejected().length, ends === 'refused' ? 1 : 0)
  }
})

t.test('an answer that comes late does not bring back what is gone', async (t) => {
  const user = newUser()
  const one: Client = await device(t, user, {
    fetch: async (...ask) => {
      const answer = await into(hub)(...ask)
      if (!isPush(ask[1])) return answer
      await (await hub.as(user)).delete('/v1/bookmarks/b')
      await one.pull()
      return answer
    }
  })
  await one.bookmarks.put('b', home)
  await one.push()
  t.strictSame([one.bookmarks.list(), one.pending()], [[], []])
})

t.test('edits without an answer are compared with a snapshot, and not just sent again', async (t) => {
  const keys = new Set<string>()
  let answers = false
  const pull = pagesOf({ reset: true, more: false }, {
    reset: true,
    more: false,
    changes: [{ space: 'me', ops: [put('b', 7, 'Theirs')] }]
  })
  let lost = false
  const one = await device(t, newUser(), {
    fetch: async (...ask) => {
      if (!isPush(ask[1])) {
        if (lost) {
          lost = false
          return problem(410, 'CURSOR_EXPIRED')
        }
        return pull(...ask)
      }
      keys.add((ask[1]!.headers as Record<string, string>)['idempotency-key']!)
      if (!answers) throw new TypeError('fetch failed')
      t.match(JSON.parse(ask[1]!.body as string), { changes: [{ ifMatch: 7 }] })
      return Response.json({ n: 8, results: [{ type: 'bookmark', id: 'b', status: 200, rev: 8 }] })
    }
  })
  await one.bookmarks.put('b', home)
  await one.push().catch(() => {})
  ;[answers, lost] = [true, true]
  await one.pull()
  t.equal(one.pending().length, 1)
  await one.push()
  t.equal(keys.size, 2)
  t.match(one.bookmarks.get('b'), { title: 'Home', rev: 8 })
})
