import t from 'tap'
import { spaceKey } from '../entities/fields.ts'
import { Batch } from '../entities/batch.ts'
import { Head } from '../entities/space.ts'
import { startTracedHub } from './harness/client.ts'
import { createDevice } from './harness/device.ts'
import { createFaults, seeded } from './harness/faults.ts'
import { type Person, person, startApp } from './harness/hub.ts'
import { logOf } from './harness/log.ts'

let clock = 0
const now = () => Date.now() + clock
const { hub, traced, store } = await startTracedHub(t, { commitLeaseSeconds: 0.3 }, { now })
const page = { url: 'https://example.com', title: 'x' }
const put = (id: string | number, title = 'x') => ({
  type: 'bookmark',
  id: `b${id}`,
  act: 'put',
  record: { ...page, title }
})
const puts = (count: number, from = 0) => Array.from({ length: count }, (_, index) => put(from + index))
const begin = async (user: Person, changes: object[]) =>
  (await user.post('/v1/sync?batch=true', { changes })).body.id as string
const commit = (user: Person, id: string, body: object = {}) =>
  user.post(`/v1/sync/batches/${id}/commit`, body)
/** Breaks a commit off once so many parts of it are written. */
function dieAfter (parts: number, user: string): void {
  hub.mayLog(/"errorType":"STORE_UNAVAILABLE".*"message":"gone"/)
  traced.fault = async (name, next) => {
    if (name.startsWith('TransactWrite') && (await logOf(store, user)).head?.lock?.part === parts) {
      throw Object.assign(new Error('gone'), { name: 'TimeoutError' })
    }
    return next()
  }
}
t.beforeEach(() => {
  clock = 0
  traced.fault = undefined
  traced.reset()
})

t.test('a batch is staged piece by piece, invisible, and committed as a whole', async (t) => {
  const alice = await hub.as({ tenant: 'acme', user: 'alice' })
  const device = createDevice(alice)
  await device.pull()
  const created = await alice.post('/v1/sync?batch=true', { changes: puts(150) })
  const { id } = created.body
  t.match(created, {
    status: 201,
    headers: { location: `/v1/sync/batches/${id}` },
    body: { state: 'open', space: 'me', changes: 150, committed: 0, expiresAt: String }
  })
  t.match(await alice.post(`/v1/sync/batches/${id}`, { offset: 150, changes: puts(100, 150) }), {
    status: 200,
    body: { changes: 250 }
  })
  t.match(await alice.post(`/v1/sync/batches/${id}`, { offset: 150, changes: puts(100, 150) }), {
    status: 409,
    body: { errorType: 'BATCH_STATE', current: { changes: 250 } }
  }, 'what is sent again is not added again')
  await alice.post(`/v1/sync/batches/${id}`, {
    offset: 250,
    changes: [{ type: 'bookmark', id: 'b3', act: 'delete' }, put(4, 'y')]
  })
  t.strictSame((await alice.get('/v1/bookmarks')).body.items, [])
  t.strictSame((await device.pull())[0]!.changes, [])
  const { status, body } = await alice.post(`/v1/sync/batches/${id}/commit`, undefined)
  t.match({ status, body }, {
    status: 200,
    body: { state: 'committed', changes: 252, committed: 252, first: 2, last: 6 }
  })
  t.strictSame((await commit(alice, id)).body, body, 'committed again it answers the same')
  const [pulled] = await device.pull()
  t.strictSame(pulled!.changes.map(({ n, batch }) => [n, batch?.id === id, batch?.part, batch?.parts]), [[2,
    true, 1, 5], [3, true, 2, 5], [4, true, 3, 5], [5, true, 4, 5], [6, true, 5, 5]])
  t.equal(device.held.size, 249)
  t.equal(device.held.get('me bookmark b4')?.title, 'y')
  t.match((await logOf(store, 'alice')).head, { n: 6, count: 249 })
  t.equal((await alice.put('/v1/bookmarks/after', page)).body.rev, 7)
})

t.test('a batch of which one change does not fit is not applied at all, and can be mended', async (t) => {
  const bob = await hub.as({ tenant: 'acme', user: 'bob' })
  await bob.put('/v1/bookmarks/b140', page)
  const id = await begin(bob, [...puts(120), { ...put(140), ifMatch: 7 }])
  t.match(await commit(bob, id), {
    status: 412,
    body: { errorType: 'PRECONDITION_FAILED', results: [{ id: 'b140', status: 412, current: { rev: 1 } }] }
  })
  t.equal((await bob.get('/v1/bookmarks?limit=100')).body.items.length, 1)
  t.match((await bob.get(`/v1/sync/batches/${id}`)).body, { state: 'open', committed: 0 })
  t.equal((await bob.put('/v1/bookmarks/b141', page)).status, 201, 'and the space is free')
  t.equal((await bob.delete(`/v1/sync/batches/${id}`)).status, 204)
  t.equal((await commit(bob, id)).status, 404)
})

t.test('quota, the guard of deletes and the limits of a batch hold for all of it', async (t) => {
  const limits = { ...hub.config.limits, spaceRecords: 200, batchChanges: 300, batchBytes: 100_000 }
  const small = await startApp(t, { ...hub.config, limits }, { now })
  const carol = person(small, (await hub.as({ tenant: 'acme', user: 'carol' })).token)
  t.match(await commit(carol, await begin(carol, puts(201))), { status: 507 })
  t.match((await logOf(store, 'carol')).head, { count: 0 })
  t.equal((await commit(carol, await begin(carol, puts(150)))).status, 200)
  const deletes = Array.from(
    { length: 100 },
    (_, index) => ({ type: 'bookmark', id: `b${index}`, act: 'delete' })
  )
  const id = await begin(carol, deletes)
  t.match(await commit(carol, id), {
    status: 409,
    body: { errorType: 'CONFIRMATION_REQUIRED', limit: { sent: 100, value: 75 } }
  })
  t.equal((await commit(carol, id, { confirm: true })).status, 200)
  t.match(await carol.post('/v1/sync?batch=true', { changes: puts(301) }), {
    status: 400,
    body: { limit: { name: 'batchChanges', value: 300, sent: 301 } }
  })
  t.match(
    await carol.post('/v1/sync?batch=true', {
      changes: [put(1, 'x'.repeat(1000)), ...Array.from({ length: 100 }, (_, index) =>
        put(index + 2, 'y'.repeat(1000)))]
    }),
    { status: 400, body: { limit: { name: 'batchBytes', value: 100_000 } } }
  )
  const other = await begin(carol, puts(1))
  t.match(
    await carol.post(`/v1/sync/batches/${other}`, { offset: 1, changes: [{ ...put(1), space: 'group:g' }] }),
    { status: 400, body: { errors: [{ pointer: '/changes/0/space' }] } }
  )
})

t.test('a batch that nobody commits is gone after two hours, and nobody else has it', async (t) => {
  const dan = await hub.as({ tenant: 'acme', user: 'dan' })
  const id = await begin(dan, puts(1))
  const others = [await hub.as({ tenant: 'acme', user: 'eve' }),
    await hub.as({ tenant: 'globex', user: 'dan' })]
  for (const other of others) {
    for (
      const answer of [await other.get(`/v1/sync/batches/${id}`), await commit(other, id),
        await other.delete(`/v1/sync/batches/${id}`)]
    ) t.equal(answer.status, 404)
  }
  clock = 2 * 3600_000 - 1000
  t.equal((await dan.get(`/v1/sync/batches/${id}`)).status, 200)
  clock = 2 * 3600_000 + 1000
  for (
    const answer of [await dan.get(`/v1/sync/batches/${id}`), await commit(dan, id),
      await dan.post(`/v1/sync/batches/${id}`, { offset: 1, changes: puts(1) })]
  ) t.equal(answer.status, 404)
})

t.test('while a commit is under way nobody else writes, and nobody is told of a part of it', async (t) => {
  const eve = await hub.as({ tenant: 'acme', user: 'eve2' })
  const other = person(await startApp(t, hub.config), eve.token)
  const device = createDevice(eve)
  await eve.put('/v1/bookmarks/first', page)
  await device.pull()
  const id = await begin(eve, puts(300))
  let seen: Promise<unknown>[] = []
  traced.fault = async (name, next) => {
    const result: unknown = await next()
    if (!name.startsWith('TransactWrite') || (await logOf(store, 'eve2')).head?.lock?.part !== 2) {
      return result
    }
    traced.fault = undefined
    t.match((await eve.get(`/v1/sync/batches/${id}`)).body, { state: 'committing', committed: 192 })
    t.match((await eve.get(`/v1/sync?cursor=${device.cursor}`)).body, { changes: [], more: true })
    t.match(await eve.post(`/v1/sync/batches/${id}`, { offset: 300, changes: puts(1) }), { status: 409 })
    t.match(await eve.delete(`/v1/sync/batches/${id}`), { status: 409 })
    seen = [eve.put('/v1/bookmarks/b1', { ...page, title: 'later' }),
      other.put('/v1/bookmarks/b2', { ...page, title: 'later' })]
    return result
  }
  t.match((await commit(eve, id)).body, { state: 'committed', first: 3, last: 6 })
  t.match(await Promise.all(seen), [{ status: 200 }, { status: 200 }], 'they come after it')
  t.match((await logOf(store, 'eve2')).head, { n: 8, count: 301 })
  await device.pull()
  t.equal(device.held.size, 301)
})

for (
  const [who, finish] of Object.entries<(user: Person, id: string) => Promise<unknown>>({
    'who commits it again': (user, id) => commit(user, id),
    'the next who writes': (user) => user.put('/v1/bookmarks/next', page),
    'the next who pulls': (user) => user.get('/v1/sync?limit=1000')
  })
) {
  t.test(`a commit that dies half way is finished by ${who}`, async (t) => {
    const user = await hub.as({ tenant: 'acme', user: `half-${who.length}` })
    const device = createDevice(user)
    await user.put('/v1/bookmarks/first', page)
    await device.pull()
    const id = await begin(user, puts(250))
    dieAfter(1, `half-${who.length}`)
    t.equal((await commit(user, id)).status, 503)
    traced.fault = undefined
    t.match(
      (await user.get(`/v1/sync?cursor=${device.cursor}`)).body,
      { changes: [], more: true },
      'nobody is told of half of it'
    )
    if (who === 'the next who pulls') await device.pull()
    else await finish(user, id)
    t.match((await user.get(`/v1/sync/batches/${id}`)).body, { state: 'committed', committed: 250 })
    await device.pull()
    t.equal(device.held.size, who === 'the next who writes' ? 252 : 251)
    const { data } = await Head.get(spaceKey('acme', 'USER', `half-${who.length}`)).go({
      ...store,
      consistent: true
    })
    t.notOk(data!.lock)
    t.match((await commit(user, id)).body, { state: 'committed', first: 3, last: 5 })
  })
}

t.test('a commit that dies before its first part is as if it had never begun', async (t) => {
  const gil = await hub.as({ tenant: 'acme', user: 'gil' })
  await gil.put('/v1/bookmarks/b0', page)
  const id = await begin(gil, puts(150))
  dieAfter(0, 'gil')
  t.equal((await commit(gil, id)).status, 503)
  traced.fault = undefined
  t.equal((await gil.put('/v1/bookmarks/b1', page)).status, 201)
  t.match((await gil.get(`/v1/sync/batches/${id}`)).body, { state: 'open' })
  t.match((await commit(gil, id)).body, { state: 'committed', committed: 150 })
  t.match((await logOf(store, 'gil')).head, { count: 150 })
})

t.test('two who commit the same batch at once commit it once', async (t) => {
  const ida = await hub.as({ tenant: 'acme', user: 'ida' })
  const other = person(await startApp(t, hub.config), ida.token)
  const id = await begin(ida, puts(200))
  for (const { status, body } of await Promise.all([commit(ida, id), commit(other, id)])) {
    t.match({ status, body }, { status: 200, body: { state: 'committed', first: 2, last: 4 } })
  }
  t.match((await logOf(store, 'ida')).head, { n: 4, count: 200 })
})

/** A user with 100 bookmarks of 36 KB in a folder, imported or not: together they are more than a transaction takes. */
async function withLarge (user: string): Promise<{ user: Person, ids: string[] }> {
  const owner = await hub.as({ tenant: 'acme', user })
  const description = '😀'.repeat(9_000)
  const ids = Array.from({ length: 100 }, (_, index) => `b${index}`)
  await owner.put('/v1/bookmarks/folder', { kind: 'folder', title: 'Large', tags: [] })
  for (let from = 0; from < 100; from += 20) {
    const changes = ids.slice(from, from + 20).map((id) => ({
      type: 'bookmark',
      id,
      act: 'put',
      record: { ...page, tags: ['t'], description, folderId: 'folder' }
    }))
    t.equal((await owner.post('/v1/sync', { changes })).status, 200)
  }
  return { user: owner, ids }
}
const left = async (user: Person) => (await user.get('/v1/bookmarks?limit=100')).body.items.length as number

t.test('large records are deleted, undone and renamed together, however many bytes that writes', async (t) => {
  const { user, ids } = await withLarge('jo')
  const device = createDevice(user)
  await device.pull()
  const n = async () => (await logOf(store, 'jo')).head!.n
  const removes = ids.slice(0, 97).map((id) => ({ type: 'bookmark', id, act: 'delete' }))

  const pushed = await user.post('/v1/sync', { changes: removes, confirm: true })
  t.match(pushed, { status: 200, body: { n: await n() } }, 'a push of deletes')
  t.ok(pushed.body.results.every(({ status, rev }: any) => status === 204 && rev > 0))
  t.equal(await left(user), 4)
  await device.pull()
  t.equal(device.held.size, 4, 'and devices are told')
  t.match(await user.post(`/v1/changes/${await n()}/revert`, undefined), { status: 200 }, 'its revert')
  t.match(await user.delete('/v1/bookmarks/folder?confirm=true'), { status: 204 }, 'a folder')
  t.equal(await left(user), 0)
  t.match(await user.post(`/v1/changes/${await n()}/revert`, undefined), { status: 200 })
  const id = await begin(user, removes)
  const committed = await commit(user, id, { confirm: true })
  t.match(committed, { status: 200, body: { state: 'committed', committed: 97 } }, 'a batch of deletes')
  t.ok(committed.body.last > committed.body.first, 'in several change-sets')
  t.equal(await left(user), 4)
  t.match(await user.post(`/v1/changes/${await n()}/revert`, undefined), { status: 200 })
  t.match(await user.patch('/v1/bookmarks/tags', { tag: 't', to: 'u' }), { status: 200 }, 'a tag')
  await device.pull()
  t.equal(device.held.size, 101)
  t.match((await logOf(store, 'jo')).head, { count: 101 })
})

t.test('a commit of large deletes that dies half way is finished by who comes next', async (t) => {
  const { user, ids } = await withLarge('jon')
  const id = await begin(user, ids.slice(0, 90).map((id) => ({ type: 'bookmark', id, act: 'delete' })))
  dieAfter(1, 'jon')
  t.equal((await commit(user, id, { confirm: true })).status, 503)
  traced.fault = undefined
  t.match(await user.get(`/v1/sync/batches/${id}`), { body: { state: 'committing', committed: Number } })
  t.match(await commit(user, id, { confirm: true }), {
    status: 200,
    body: { state: 'committed', committed: 90 }
  })
  t.match((await logOf(store, 'jon')).head, { count: 11 })
})

t.test('a batch that deletes only what it put itself needs no confirmation', async (t) => {
  const kit = await hub.as({ tenant: 'acme', user: 'kit' })
  for (const from of [0, 30]) await kit.post('/v1/sync', { changes: puts(30, from) })
  const id = await begin(kit, puts(60, 100))
  const changes = Array.from(
    { length: 60 },
    (_, index) => ({ type: 'bookmark', id: `b${100 + index}`, act: 'delete' })
  )
  await kit.post(`/v1/sync/batches/${id}`, { offset: 60, changes })
  t.match(await commit(kit, id), { status: 200 })
  t.match((await logOf(store, 'kit')).head, { count: 60 })
})

t.test('a delete counts also where what an earlier append put cannot be seen yet', async (t) => {
  const faults = createFaults({ random: seeded(7), spread: 600 })
  const app = await startApp(t, hub.config, { open: faults.open })
  const max = person(app, (await hub.as({ tenant: 'acme', user: 'max' })).token)
  const ids = Array.from({ length: 5 }, (_, index) => `b${index}`)
  const id = await begin(max, puts(5))
  await faults.settled()
  await max.post(`/v1/sync/batches/${id}`, {
    offset: 5,
    changes: ids.map((id) => ({ type: 'bookmark', id, act: 'delete' }))
  })
  await faults.settled()
  t.match(await commit(max, id), { status: 200 })
  await faults.quiet()
  t.ok(faults.counts.stale > 0, 'something was not visible')
  t.match((await logOf(store, 'max')).head, { count: 0 })
})

t.test('a batch that was swept in the middle of its commit does not hold its space for ever', async (t) => {
  const kai = await hub.as({ tenant: 'acme', user: 'kai' })
  await kai.put('/v1/bookmarks/first', page)
  const device = createDevice(kai)
  await device.pull()
  const id = await begin(kai, puts(250))
  dieAfter(1, 'kai')
  t.equal((await commit(kai, id)).status, 503)
  traced.fault = undefined
  await Batch.delete({ ...spaceKey('acme', 'USER', 'kai'), id }).go(store)
  t.equal((await kai.put('/v1/bookmarks/next', page)).status, 201)
  await device.pull()
  t.equal(device.held.size, 98, 'what was written of it is told of')
})

t.test('a batch that touches a record several times leaves it as the last touch does', async (t) => {
  const lea = await hub.as({ tenant: 'acme', user: 'lea' })
  await lea.put('/v1/bookmarks/old', page)
  const remove = (id: string) => ({ type: 'bookmark', id, act: 'delete' })
  const stage = async (appends: object[][]) => {
    const id = await begin(lea, appends[0]!)
    let offset = appends[0]!.length
    for (const changes of appends.slice(1)) {
      t.equal((await lea.post(`/v1/sync/batches/${id}`, { offset, changes })).status, 200)
      offset += changes.length
    }
    t.match(await commit(lea, id), { status: 200, body: { state: 'committed' } })
  }
  await stage([[put('new'), { ...put('x'), id: 'old' }], [remove('bnew')], [remove('old')]])
  t.strictSame((await lea.get('/v1/bookmarks')).body.items, [], 'put, then deleted')
  await stage([[put('new')], [remove('bnew')], [put('new', 'again')], [remove('bnew')]])
  t.equal((await lea.get('/v1/bookmarks/bnew')).status, 404, 'over its own tombstone')
  await stage([[remove('bnew'), put('other')], [put('new', 'last')], [remove('bother'), remove('bnever')]])
  t.match((await lea.get('/v1/bookmarks')).body.items, [{ id: 'bnew', title: 'last' }])
  t.match((await logOf(store, 'lea')).head, { count: 1 })
})
