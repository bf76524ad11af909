import fc from 'fast-check'
import t from 'tap'
import { bookmark } from '../entities/bookmark.ts'
import { spaceKey } from '../entities/fields.ts'
import { DirectoryEntry } from '../entities/space.ts'
import { loadConfig } from '../src/config.ts'
import { startTracedHub } from './harness/client.ts'
import { type Person, person, startApp } from './harness/hub.ts'
import { logOf } from './harness/log.ts'

// Group commit is seen where many writers work at once.
const limits = { ...loadConfig({}).limits, requestsRunning: 200, requestsRunningPerTenant: 200 }
const { hub, traced, store } = await startTracedHub(t, { limits })
const { config } = hub
const page = { url: 'https://example.com', title: 'x' }
t.beforeEach(() => {
  traced.fault = undefined
  traced.reset()
})

t.test("every change is the next numbered entry of the space's log", async (t) => {
  const alice = await hub.as({ tenant: 'acme', user: 'alice' })
  await alice.put('/v1/bookmarks/b1', page)
  await alice.put('/v1/settings/s1', { value: 1 })
  await alice.patch('/v1/bookmarks/b1', { title: 'y' })
  await alice.delete('/v1/bookmarks/b1')
  const { head, entries } = await logOf(store, 'alice')
  t.match(head, { n: 4, count: 1, floor: 0 })
  t.strictSame(entries.map(({ n, ops }) => [n, ...ops.map(({ type, id, act }) => `${act} ${type} ${id}`)]), [[
    1,
    'create bookmark b1'
  ], [2, 'create setting s1'], [3, 'put bookmark b1'], [4, 'delete bookmark b1']])
  t.ok(entries.every(({ expiresAt }) => Math.abs(expiresAt - Date.now() / 1000 - 90 * 86_400) < 60))
  const { data: directory } = await DirectoryEntry.query.bySpace({ tenantId: 'acme' }).go(store)
  t.equal(
    directory.filter(({ spaceId }) => spaceId === 'alice').length,
    1,
    'and the directory has the space once'
  )
  const { data: tombstone } = await bookmark.entity.get({ ...spaceKey('acme', 'USER', 'alice'), id: 'b1' })
    .go(store)
  t.match(tombstone, { title: 'y', rev: 4 }, 'a tombstone keeps what was there')
  t.match(await alice.put('/v1/bookmarks/bad', { url: 'x:y', title: '' }), { status: 400 })
  t.equal((await logOf(store, 'alice')).head?.n, 4, 'what is refused leaves no trace')
})

t.test('writers of one space in one process ride together: many changes, few transactions, a change-set each', async (t) => {
  const bob = await hub.as({ tenant: 'acme', user: 'bob' })
  await bob.put('/v1/bookmarks/first', page)
  traced.reset()
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, index) => bob.put(`/v1/bookmarks/p${index}`, page))
  )
  t.ok(answers.every(({ status }) => status === 201))
  t.equal(new Set(answers.map(({ body }) => body.rev)).size, 200, 'each has a number of its own')
  const transactions = traced.calls.filter(({ name }) => name.startsWith('TransactWrite')).length
  t.ok(transactions <= 12, `${transactions} transactions for 200 changes`)
  const { head, entries } = await logOf(store, 'bob')
  t.match(head, { n: 201, count: 201 })
  t.strictSame(
    entries.map(({ n }) => n),
    Array.from({ length: 201 }, (_, index) => index + 1),
    'without a hole'
  )
})

t.test('a write whose own condition fails is answered alone, and the others happen', async (t) => {
  const carol = await hub.as({ tenant: 'acme', user: 'carol' })
  await carol.put('/v1/bookmarks/c0', page)
  const answers = await Promise.all(Array.from({ length: 30 }, (_, index) =>
    index % 3 === 0
      ? carol.put('/v1/bookmarks/c0', page, { 'if-match': '"999"' })
      : carol.put(`/v1/bookmarks/n${index}`, page)))
  t.strictSame(
    answers.map(({ status }) => status),
    Array.from({ length: 30 }, (_, index) => index % 3 === 0 ? 412 : 201)
  )
  t.match((await logOf(store, 'carol')).head, { n: 21, count: 21 })
})

t.test('of edits of one record with the same tag exactly one wins', async (t) => {
  const dave = await hub.as({ tenant: 'acme', user: 'dave' })
  const { headers } = await dave.put('/v1/bookmarks/d', page)
  const answers = await Promise.all(
    Array.from(
      { length: 20 },
      (_, index) =>
        dave.put('/v1/bookmarks/d', { ...page, title: `${index}` }, { 'if-match': headers.etag as string })
    )
  )
  t.equal(answers.filter(({ status }) => status === 200).length, 1)
  t.equal(answers.filter(({ status }) => status === 412).length, 19)
})

t.test('of patches of one record at once none is lost', async (t) => {
  const eve = await hub.as({ tenant: 'acme', user: 'eve' })
  await eve.put('/v1/settings/s', { value: {} })
  const names = Array.from({ length: 20 }, (_, index) => `k${index}`)
  const answers = await Promise.all(
    names.map((name) => eve.patch('/v1/settings/s', { value: { [name]: 1 } }))
  )
  t.strictSame(answers.map(({ status }) => status), names.map(() => 200))
  t.strictSame(Object.keys((await eve.get('/v1/settings/s')).body.value).sort(), names.sort())
})

t.test('a process that has not seen a record finds out that it exists', async (t) => {
  const { token } = await hub.as({ tenant: 'acme', user: 'cold' })
  const first = await person(hub.app, token).put('/v1/bookmarks/c1', page)
  await person(hub.app, token).put('/v1/bookmarks/c2', page)
  const app = await startApp(t, config)
  const cold = person(app, token)
  t.equal((await cold.put('/v1/bookmarks/c2', page)).status, 200, 'it reads HEAD, and the record with it')
  const second = await cold.put('/v1/bookmarks/c1', page)
  t.match(
    second,
    { status: 200, body: { createdAt: first.body.createdAt } },
    'it takes the id to be new, and is corrected by the transaction'
  )
  t.match((await logOf(store, 'cold')).head, { n: 4, count: 2 })
})

t.test('two processes on one space: nothing is lost, doubled or overwritten', async (t) => {
  const other = await startApp(t, config)
  const here = await hub.as({ tenant: 'acme', user: 'erin' })
  const there = person(other, here.token)
  await here.put('/v1/settings/counter', { value: 0 })
  const increment = async (who: Person) => {
    for (let attempt = 0; attempt < 200; attempt++) {
      const { body, headers } = await who.get('/v1/settings/counter')
      const { status } = await who.put('/v1/settings/counter', { value: body.value + 1 }, {
        'if-match': headers.etag as string
      })
      if (status === 200) return
      if (status !== 412 && status !== 503) throw new Error(`status ${status}`)
    }
    throw new Error('an edit lost 200 times')
  }
  const adds = Array.from(
    { length: 40 },
    (_, index) => (index % 2 === 0 ? here : there).put(`/v1/bookmarks/e${index}`, page)
  )
  await Promise.all([...Array.from({ length: 10 }, (_, index) => increment(index % 2 === 0 ? here : there)),
    ...adds])
  const added = (await Promise.all(adds)).filter(({ status }) => status === 201).length
  t.equal((await here.get('/v1/settings/counter')).body.value, 10)
  const { head, entries } = await logOf(store, 'erin')
  t.equal(head?.count, added + 1)
  t.strictSame(entries.map(({ n }) => n), Array.from({ length: head!.n }, (_, index) => index + 1))

  t.test('and what one remembers never refuses what the other made possible', async (t) => {
    const { headers } = await there.put('/v1/bookmarks/shared', page)
    t.equal(
      (await here.put('/v1/bookmarks/shared', page, { 'if-match': headers.etag as string })).status,
      200
    )
    const { headers: newer } = await there.put('/v1/bookmarks/shared', { ...page, title: 'there' })
    t.equal((await here.put('/v1/bookmarks/shared', page, { 'if-match': newer.etag as string })).status, 200)
    await there.delete('/v1/bookmarks/shared')
    t.equal((await here.put('/v1/bookmarks/shared', page, { 'if-none-match': '*' })).status, 201)
    t.equal((await there.patch('/v1/bookmarks/shared', { title: 'patched' })).status, 200)
    t.equal((await here.get('/v1/bookmarks/shared')).body.title, 'patched')
  })
})

t.test('a space takes its quota and no more, also under a race and from two processes', async (t) => {
  const limits = { ...config.limits, spaceRecords: 10, spaceBytes: 2000 }
  const apps = [await startApp(t, { ...config, limits }), await startApp(t, { ...config, limits })]
  const { token } = await hub.as({ tenant: 'quota', user: 'many' })
  const [one, two] = apps.map((app) => person(app, token)) as [Person, Person]
  const answers = await Promise.all(
    Array.from(
      { length: 30 },
      (_, index) => (index % 2 === 0 ? one : two).put(`/v1/settings/s${index}`, { value: 1 })
    )
  )
  const stored = answers.filter(({ status }) => status === 201).length
  t.ok(answers.every(({ status }) => [201, 503, 507].includes(status)))
  t.ok(stored <= 10, `${stored} stored`)
  while (
    (await one.put(`/v1/settings/fill${Math.random().toString(36).slice(2)}`, { value: 1 })).status === 201
  ) { /* to the brim */ }
  t.match((await logOf(store, 'many', 'quota')).head, { count: 10 })
  t.match(await one.put('/v1/settings/more', { value: 1 }), {
    status: 507,
    body: { errorType: 'QUOTA_EXCEEDED', limit: { name: 'spaceRecords', value: 10, sent: 11 } }
  })

  const { items } = (await one.get('/v1/settings')).body
  t.equal((await two.delete(`/v1/settings/${items[0].id}`)).status, 204)
  t.equal(
    (await one.put('/v1/settings/more', { value: 1 })).status,
    201,
    'what another process freed can be used at once'
  )
  t.match(await one.put('/v1/settings/more', { value: 'x'.repeat(2000) }), {
    status: 507,
    body: { limit: { name: 'spaceBytes' } }
  })
  t.equal((await one.put('/v1/settings/more', { value: 2 })).status, 200, 'a full space can still be edited')
})

t.test('the bytes and records of HEAD are always those of the records', async (t) => {
  let run = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.tuple(
          fc.constantFrom('put', 'delete', 'patch'),
          fc.integer({ min: 0, max: 4 }),
          fc.string({ maxLength: 20 })
        ),
        { minLength: 1, maxLength: 12 }
      ),
      async (steps) => {
        const user = await hub.as({ tenant: 'sums', user: `u${run++}` })
        await Promise.all(steps.map(([verb, id, title]) =>
          verb === 'delete'
            ? user.delete(`/v1/bookmarks/${id}`)
            : user[verb](`/v1/bookmarks/${id}`, { url: 'https://example.com', title })
        ))
        const { body: { items } } = await user.get('/v1/bookmarks')
        const { body: { usage } } = await user.get('/v1/tenant')
        t.strictSame(usage, {
          records: items.length,
          bytes: items.reduce(
            (sum: number, item: unknown) => sum + Buffer.byteLength(JSON.stringify(item)),
            0
          ),
          stagedBatches: 0,
          stagedBytes: 0
        })
      }
    ),
    { numRuns: 40 }
  )
})
