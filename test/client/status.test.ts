import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { memoryStore, type Status } from '../../src/client/index.ts'
import { devicesOf, home, into, newUser, problem } from '../harness/app-device.ts'
import { startHub } from '../harness/hub.ts'

/** What an app can show of how a device stands. */

const hub = await startHub(t)
const { device } = devicesOf(hub)

t.test('a device says how it stands, and since when edits wait', async (t) => {
  const told: Status[] = []
  let answer: (() => Response) | undefined
  const one = await device(t, newUser(), {
    now: () => Date.parse('2026-01-02T03:04:05Z'),
    onStatus: (status) => {
      told.push(status)
    },
    fetch: async (...ask) => answer?.() ?? into(hub)(...ask)
  })
  const states = async () => {
    await pause(5)
    return told.splice(0).map(({ state }) => state)
  }
  t.strictSame(one.status(), { state: 'waiting', edits: 0 }, 'nothing was pulled yet')
  await one.sync()
  t.strictSame(one.status(), { state: 'in-step', edits: 0 })
  t.strictSame((await states()).at(-1), 'in-step')

  await one.bookmarks.put('b', home)
  t.strictSame(one.status(), { state: 'waiting', edits: 1, since: '2026-01-02T03:04:05.000Z' })
  t.strictSame(await states(), ['waiting'])
  const syncing = one.sync()
  t.equal(one.status().state, 'syncing')
  await syncing
  t.equal((await states()).at(-1), 'in-step')

  for (
    const [state, response] of [['offline', () => {
      throw new TypeError('Failed to fetch')
    }], ['offline', () => problem(503, 'STORE_UNAVAILABLE')], ['signed-out',
      () => problem(401, 'UNAUTHENTICATED')], ['refused',
      () => problem(403, 'TENANT_SUSPENDED', { detail: 'The tenant is suspended.' })]] as const
  ) {
    answer = response
    await t.rejects(one.sync())
    t.match(one.status(), { state, edits: 0, problem: { status: Number } })
    t.equal((await states()).at(-1), state)
    answer = undefined
    await one.sync()
    t.equal(one.status().state, 'in-step', `${state} passes`)
    await states()
  }
})

t.test('an edit that was refused is told of until it is dismissed', async (t) => {
  const one = await device(t, newUser())
  await one.bookmarks.put('bad', { ...home, url: 'javascript:alert(1)' })
  await one.sync()
  t.match(one.status(), {
    state: 'refused',
    edits: 0,
    problem: { status: 400, errorType: 'URL_NOT_ALLOWED' }
  })
  await one.dismiss(one.rejected()[0]!.key)
  t.strictSame(one.status(), { state: 'in-step', edits: 0 })
})

t.test('a device that is full says so, keeps what it has, and goes on when there is room', async (t) => {
  const kept = memoryStore()
  let isFull = false
  const user = newUser()
  const one = await device(t, user, {
    fetch: async (...ask) =>
      (ask[0] as string).includes('/live') ? problem(406, 'LIVE_UNAVAILABLE') : into(hub)(...ask),
    store: {
      read: () => kept.read(),
      async write (changes) {
        if (isFull) throw Object.assign(new Error('no room'), { name: 'QuotaExceededError' })
        await kept.write(changes)
      }
    }
  })
  await one.bookmarks.put('b', home)
  await one.sync()
  const before = await kept.read()
  isFull = true
  await t.rejects(one.bookmarks.put('c', home), { name: 'StorageFull' })
  t.match(one.status(), { state: 'storage-full', problem: { name: 'StorageFull' } })
  await (await hub.as(user)).put('/v1/bookmarks/d', home)
  await t.rejects(one.sync(), { name: 'StorageFull' })
  await t.rejects(one.follow(), { name: 'StorageFull' })
  t.strictSame(await kept.read(), before)
  t.strictSame(one.bookmarks.list().map(({ id }) => id), ['b'])
  isFull = false
  await one.sync()
  t.equal(one.status().state, 'in-step')
  t.strictSame(one.bookmarks.list().map(({ id }) => id).sort(), ['b', 'd'])
})

t.test('while it follows, a device is in step between changes', async (t) => {
  const told: string[] = []
  const user = newUser()
  const url = await hub.app.listen({ port: 0, host: '127.0.0.1' })
  const one = await device(t, user, {
    url,
    fetch,
    onStatus: ({ state, edits }) => {
      told.push(`${state} ${edits}`)
    }
  })
  const followed = one.follow()
  const stands = async (state: string) => {
    while (one.status().state !== state) await pause(2)
  }
  await stands('in-step')
  await one.bookmarks.put('b', home)
  await stands('in-step')
  await pause(5)
  t.equal(told.at(-1), 'in-step 0')
  t.notOk(told.includes('in-step 1'))
  await one.close()
  await followed
})
