import t from 'tap'
import { startTracedHub } from './harness/client.ts'
import { createDevice } from './harness/device.ts'

const DAY = 86_400_000
let clock = 0
const { hub } = await startTracedHub(t, {}, { now: () => Date.now() + clock })
const page = { url: 'https://example.com', title: 'x' }
const put = (id: string, title = 'x') => ({ type: 'bookmark', id, act: 'put', record: { ...page, title } })
const remove = (id: string) => ({ type: 'bookmark', id, act: 'delete' })
t.beforeEach(() => {
  clock = 0
})

t.test('the trash lists what was deleted, the last first, page by page', async (t) => {
  const alice = await hub.as({ tenant: 'acme', user: 'alice' })
  t.strictSame((await alice.get('/v1/trash')).body, { items: [] })
  await alice.post('/v1/sync', { changes: ['a', 'b', 'c', 'd'].map((id) => put(id, `title of ${id}`)) })
  await alice.put('/v1/settings/theme', { value: 'dark' })
  await alice.post('/v1/sync', { changes: [remove('a'), remove('b'), remove('c')] })
  await alice.delete('/v1/settings/theme')
  await alice.put('/v1/bookmarks/b', page)
  const all = (await alice.get('/v1/trash')).body
  t.match(all.items, [{ type: 'setting', id: 'theme', n: 4, record: { value: 'dark' } }, {
    type: 'bookmark',
    id: 'a',
    n: 3,
    record: { title: 'title of a' }
  }, { type: 'bookmark', id: 'c', n: 3 }])
  t.equal(all.items.length, 3, 'what is there again is not in the trash')
  t.notOk('cursor' in all)
  const pages: string[] = []
  for (let cursor = '';;) {
    const { body } = await alice.get(`/v1/trash?limit=1${cursor}`)
    pages.push(...body.items.map(({ id }: { id: string }) => id))
    if (body.cursor === undefined) break
    cursor = `&cursor=${body.cursor}`
  }
  t.strictSame(pages, ['theme', 'a', 'c'])
  t.strictSame((await alice.get('/v1/trash?type=bookmark')).body.items.map(({ id }: { id: string }) => id), [
    'a',
    'c'
  ])
  t.match(
    await alice.get(`/v1/trash?type=setting&cursor=${(await alice.get('/v1/trash?limit=1')).body.cursor}`),
    { status: 400 },
    'a cursor goes with its filter'
  )
  t.match(await alice.get('/v1/trash?type=membership'), { status: 400 })
})

t.test('a restored record is what it was, as old as it was, and every device is told', async (t) => {
  const bob = await hub.as({ tenant: 'acme', user: 'bob' })
  const { body: before } = await bob.put('/v1/bookmarks/b', { ...page, tags: ['t'], description: 'd' })
  const device = createDevice(bob)
  await bob.delete('/v1/bookmarks/b')
  await device.pull()
  const { status, body, headers } = await bob.post('/v1/trash/bookmark/b/restore', undefined)
  t.strictSame({ status, body: { ...body, updatedAt: '' }, etag: headers.etag }, {
    status: 200,
    body: { ...before, rev: 3, updatedAt: '' },
    etag: '"3"'
  })
  await device.pull()
  t.equal(device.held.size, 1)
  t.equal(
    (await bob.post('/v1/trash/bookmark/b/restore', undefined)).status,
    404,
    'it is no longer in the trash'
  )
  t.equal((await bob.post('/v1/trash/bookmark/never/restore', undefined)).status, 404)
  t.equal((await bob.post('/v1/trash/membership/b/restore', undefined)).status, 400)
  await bob.delete('/v1/bookmarks/b')
  const once = await bob.post('/v1/trash/bookmark/b/restore', undefined, { 'idempotency-key': 'k' })
  t.equal(
    (await bob.post('/v1/trash/bookmark/b/restore', undefined, { 'idempotency-key': 'k' })).text,
    once.text
  )
})

t.test('the trash is kept for as long as the log', async (t) => {
  const carol = await hub.as({ tenant: 'acme', user: 'carol' })
  await carol.put('/v1/bookmarks/c', page)
  await carol.delete('/v1/bookmarks/c')
  clock = 89 * DAY
  t.equal((await carol.get('/v1/trash')).body.items.length, 1)
  clock = 92 * DAY
  t.strictSame((await carol.get('/v1/trash')).body, { items: [] })
  t.equal((await carol.post('/v1/trash/bookmark/c/restore', undefined)).status, 404)
  t.equal((await carol.post('/v1/changes/2/revert', undefined)).status, 404)
})

t.test('a change-set is undone: what it deleted comes back, what it created goes', async (t) => {
  const dora = await hub.as({ tenant: 'acme', user: 'dora' })
  await dora.post('/v1/sync', {
    changes: Array.from({ length: 60 }, (_, index) => put(`d${index}`, `${index}`))
  })
  const { body: { n } } = await dora.post('/v1/sync', {
    changes: [...Array.from({ length: 60 }, (_, index) => remove(`d${index}`)), put('new')],
    confirm: true
  })
  await dora.put('/v1/bookmarks/d7', page)
  const { status, body } = await dora.post(`/v1/changes/${n}/revert`, undefined)
  t.equal(status, 200)
  t.equal(body.n, n + 2)
  t.strictSame(body.results.filter(({ status }: { status: number }) => status !== 200), [{
    type: 'bookmark',
    id: 'd7',
    status: 409
  }, { type: 'bookmark', id: 'new', status: 204, rev: n + 2 }], 'what was changed since is left as it is')
  const items = (await dora.get('/v1/bookmarks?limit=100')).body.items as { id: string, title: string }[]
  t.strictSame(
    items.map(({ id, title }) => [id, title]),
    Array.from({ length: 60 }, (_, index) => [`d${index}`, index === 7 ? 'x' : `${index}`]).sort(([a], [b]) =>
      a! < b! ? -1 : 1
    )
  )
  const again = await dora.post(`/v1/changes/${n + 2}/revert`, undefined)
  t.equal(again.status, 200, 'and that can be undone')
  t.equal((await dora.get('/v1/bookmarks?limit=100')).body.items.length, 2)
})

t.test("what can't be undone says why", async (t) => {
  const eve = await hub.as({ tenant: 'acme', user: 'eve' })
  await eve.put('/v1/bookmarks/e', page)
  await eve.put('/v1/bookmarks/e', { ...page, title: 'y' })
  t.match(await eve.post('/v1/changes/1/revert', undefined), {
    status: 409,
    body: { errorType: 'NOT_REVERTIBLE', results: [{ id: 'e', detail: 'was changed since' }] }
  })
  t.match(await eve.post('/v1/changes/2/revert', undefined), {
    status: 409,
    body: { results: [{ detail: /edited/ }] }
  })
  t.equal((await eve.post('/v1/changes/3/revert', undefined)).status, 404)
  for (const n of ['0', '-1', 'x', '1.5', '1000000000000']) {
    t.match(await eve.post(`/v1/changes/${n}/revert`, undefined), { status: 400 }, n)
  }
  await eve.post('/v1/sync', { changes: Array.from({ length: 98 }, (_, index) => put(`f${index}`)) })
  t.match(await eve.post('/v1/changes/3/revert', undefined, { 'idempotency-key': 'k' }), {
    status: 400,
    body: { errors: [{ pointer: 'headers/idempotency-key' }] }
  })
  t.equal((await eve.post('/v1/changes/3/revert', undefined)).status, 200)
})
