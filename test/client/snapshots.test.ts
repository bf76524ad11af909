import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { memoryStore, type Client } from '../../src/client/index.ts'
import type { ChangeSet, Page } from '../../src/client/wire.ts'
import { devicesOf, home, into, isPush, newUser, pagesOf, problem, put } from '../harness/app-device.ts'
import { startHub } from '../harness/hub.ts'

const hub = await startHub(t)
const { device } = devicesOf(hub)

t.test('a cursor that leads nowhere begins a snapshot; what was shown stays until it is complete, what was not pushed stays on top', async (t) => {
  const user = newUser()
  let lost: Response | undefined
  let pages = 0
  const shown: number[] = []
  const one: Client = await device(t, user, {
    fetch: async (...ask) => {
      const [input, init] = ask
      if (isPush(init)) return into(hub)(...ask)
      const answer = lost
      lost = undefined
      if (answer !== undefined) return answer
      pages++
      shown.push(one.bookmarks.list().length)
      return into(hub)(`${input as string}${(input as string).includes('?') ? '&' : '?'}limit=2`, init)
    }
  })
  for (let n = 0; n < 5; n++) await one.bookmarks.put(`b${n}`, home)
  await one.sync()
  await (await hub.as(user)).delete('/v1/bookmarks/b0')
  for (const answer of [problem(410, 'CURSOR_EXPIRED'), problem(400, 'INVALID_CURSOR')]) {
    await one.bookmarks.update('b1', { title: 'Mine' })
    ;[lost, pages, shown.length] = [answer, 0, 0]
    await one.pull()
    t.ok(pages > 2, 'several pages')
    t.notOk(shown.includes(0), 'at no time was there nothing')
    t.strictSame(one.bookmarks.list().map(({ id }) => id).sort(), ['b1', 'b2', 'b3', 'b4'])
    t.equal(one.bookmarks.get('b1')!.title, 'Mine')
  }
  await one.sync()
  t.match((await (await hub.as(user)).get('/v1/bookmarks/b1')).body, { title: 'Mine' })
})

t.test('a device that was away for longer than the log reaches back is in step again', async (t) => {
  let now = Date.now()
  const hub = await startHub(t, {}, { now: () => now })
  const user = newUser()
  const statuses: number[] = []
  const noting: typeof fetch = async (...ask) => {
    const answer = await into(hub)(...ask)
    statuses.push(answer.status)
    return answer
  }
  const [one, other] = [await device(t, user, { fetch: noting }, hub), await device(t, user, {}, hub)]
  for (const id of ['kept', 'edited', 'deleted', 'both']) await one.bookmarks.put(id, home)
  await one.sync()
  await other.sync()
  await other.bookmarks.update('edited', { title: 'Theirs' })
  await other.bookmarks.delete('deleted')
  await other.bookmarks.delete('both')
  await other.sync()
  await one.bookmarks.update('both', { title: 'Mine' })
  now += 100 * 24 * 3600_000
  await other.bookmarks.put('new', home)
  await other.sync()
  await one.pull()
  t.ok(statuses.includes(410))
  t.strictSame(one.bookmarks.list().map(({ id, title }) => [id, title]).sort(), [['both', 'Mine'], ['edited',
    'Theirs'], ['kept', 'Home'], ['new', 'Home']])
  await one.sync()
  await other.sync()
  t.strictSame(new Set(other.bookmarks.list()), new Set(one.bookmarks.list()))
})

const join = {
  type: 'membership',
  id: 'g1',
  act: 'join',
  rev: 1,
  record: { id: 'g1', role: 'editor', rev: 1 }
} as const

t.test('a group begins with its join, and is dropped as a whole with its leave', async (t) => {
  const one = await device(t, newUser(), {
    fetch: pagesOf(
      {
        reset: true,
        changes: [{ space: 'me', ops: [put('mine', 1), join] }, {
          space: 'group:g1',
          ops: [put('theirs', 4)]
        }],
        more: false
      },
      { changes: [{ space: 'me', n: 9, ops: [{ type: 'membership', id: 'g1', act: 'leave', rev: 9 }] }] }
    )
  })
  const group = one.space('group:g1')
  await one.pull()
  t.match(one.memberships(), [{ id: 'g1', role: 'editor' }])
  t.strictSame(group.bookmarks.list().map(({ id }) => id), ['theirs'])
  await group.bookmarks.put('edit', home)
  await one.pull()
  t.strictSame([one.memberships(), group.bookmarks.list()], [[], []])
  t.strictSame(one.bookmarks.list().map(({ id }) => id), ['mine'])
  t.match(
    one.rejected(),
    [{ space: 'group:g1', id: 'edit', problem: { status: 404 } }],
    "an edit that can't get there any more is not lost"
  )
  await group.bookmarks.put('late', home)
  await one.push()
  t.equal(one.rejected().length, 2, 'nor one that the hub refuses for its space')
  t.throws(() => one.space('everyone'), TypeError)
})

t.test('changes that are told twice, or late, change nothing', async (t) => {
  const one = await device(t, newUser(), {
    fetch: pagesOf(
      { reset: true, more: false, changes: [{ space: 'me', ops: [put('a', 5, 'new'), put('b', 5)] }] },
      {
        changes: [{
          space: 'me',
          n: 3,
          ops: [put('a', 3, 'old'), { type: 'bookmark', id: 'b', act: 'delete', rev: 3 }]
        }, { space: 'me', n: 5, ops: [put('a', 5, 'new')] }]
      }
    )
  })
  await one.pull()
  const before = one.bookmarks.list()
  one.subscribe(() => t.fail('nothing changed'))
  await one.pull()
  t.strictSame(one.bookmarks.list(), before)
})

t.test('of a batch a device shows all or nothing, also when its process ends in between', async (t) => {
  const part = (part: number): ChangeSet => ({
    space: 'me',
    n: part + 1,
    batch: { id: 'x', part, parts: 3 },
    ops: [put(`b${part}`, part + 1)]
  })
  const after: ChangeSet = { space: 'me', n: 5, ops: [put('after', 5)] }
  // By the cursor that is asked with: a hub tells again what the device did not keep.
  const pages: Record<string, Partial<Page>> = {
    none: { reset: true, cursor: 'c0' },
    c0: { changes: [{ space: 'me', n: 1, ops: [put('before', 1)] }, part(1)], cursor: 'c1' },
    c1: { changes: [part(2)], cursor: 'c2' },
    c2: { changes: [part(3), after], cursor: 'c3' },
    c3: { cursor: 'c3' }
  }
  const fetch: typeof globalThis.fetch = async (input) =>
    Response.json({
      changes: [],
      more: false,
      ...pages[new URL(input).searchParams.get('cursor') ?? 'none']
    })
  const store = memoryStore()
  const user = newUser()
  for (const pulls of [2, 2, 1, 2]) {
    const dying = await device(t, user, { store, fetch })
    for (let n = 0; n < pulls; n++) await dying.pull()
    t.strictSame(dying.bookmarks.list(), [], 'the last part is missing')
    await dying.close()
  }
  const seen: number[] = []
  const one = await device(t, user, {
    store,
    fetch,
    onChange: () => {
      seen.push(one.bookmarks.list().length)
    }
  })
  while (one.bookmarks.list().length === 0) await one.pull()
  t.strictSame(one.bookmarks.list().map(({ id }) => id).sort(), ['after', 'b1', 'b2', 'b3', 'before'])
  await pause(0)
  t.strictSame(seen, [5])
})
