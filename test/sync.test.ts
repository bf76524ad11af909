import t from 'tap'
import { spaceKey } from '../entities/fields.ts'
import { DirectoryEntry, Head, LogEntry } from '../entities/space.ts'
import type { ChangeSet } from '../src/engine/change-set.ts'
import { startTracedHub } from './harness/client.ts'
import { createDevice } from './harness/device.ts'
import { found, join } from './harness/groups.ts'
import type { Person } from './harness/hub.ts'
import { logOf } from './harness/log.ts'

const DAY = 86_400_000
let clock = 0
const { hub, traced, store } = await startTracedHub(t, {}, { now: () => Date.now() + clock })
const page = { url: 'https://example.com', title: 'x' }
const put = (id: string, title = 'x') => ({ type: 'bookmark', id, act: 'put', record: { ...page, title } })
const remove = (id: string) => ({ type: 'bookmark', id, act: 'delete' })
const told = (changes: readonly ChangeSet[]) =>
  changes.map(({ n, ops }) => [n, ...ops.map(({ act, type, id }) => `${act} ${type} ${id}`)])
const since = async (person: Person, cursor: string) => (await person.get(`/v1/sync?cursor=${cursor}`)).body
/** Someone new, and the cursor of an empty space. */
async function newcomer (user: string): Promise<{ person: Person, cursor: string }> {
  const person = await hub.as({ tenant: 'acme', user })
  const { body } = await person.get('/v1/sync')
  return { person, cursor: body.cursor as string }
}
t.beforeEach(() => {
  clock = 0
  traced.fault = undefined
  traced.reset()
})

t.test('a first pull is a snapshot, page by page, and then the log goes on', async (t) => {
  const alice = await hub.as({ tenant: 'acme', user: 'alice' })
  t.match(
    (await alice.get('/v1/sync')).body,
    { reset: true, changes: [], more: false },
    'of a space that nobody wrote to'
  )
  for (let index = 0; index < 7; index++) await alice.put(`/v1/bookmarks/b${index}`, page)
  await alice.put('/v1/settings/theme', { value: 'dark' })
  await alice.delete('/v1/bookmarks/b0')
  const first = await alice.get('/v1/sync?limit=3')
  t.match(first.body, {
    reset: true,
    more: true,
    changes: [{
      space: 'me',
      ops: [{ type: 'bookmark', id: 'b1', act: 'put', rev: 2, record: { title: 'x' } }]
    }]
  })
  const device = createDevice(alice)
  device.apply(first.body)
  await alice.put('/v1/bookmarks/b9', page)
  await alice.put('/v1/bookmarks/b1', { ...page, title: 'changed meanwhile' })
  await alice.delete('/v1/bookmarks/b6')
  const pages = await device.pull(3)
  t.ok(pages.length > 2)
  t.ok(pages.every((page) => !('reset' in page)))
  t.strictSame(Object.fromEntries([...device.held].map(([name, { title }]) => [name, title])), {
    'me bookmark b1': 'changed meanwhile',
    'me bookmark b2': 'x',
    'me bookmark b3': 'x',
    'me bookmark b4': 'x',
    'me bookmark b5': 'x',
    'me bookmark b9': 'x',
    'me setting theme': undefined
  })
  await alice.put('/v1/settings/theme', { value: 'light' })
  t.match(await since(alice, device.cursor!), {
    more: false,
    changes: [{
      space: 'me',
      n: 13,
      at: String,
      ops: [{ type: 'setting', id: 'theme', act: 'put', rev: 13, record: { value: 'light' } }]
    }]
  })
})

t.test('change-sets come whole and in order, also where the limit is smaller, and a record once a page', async (t) => {
  const { person: bob, cursor } = await newcomer('bob')
  await bob.post('/v1/sync', { changes: [put('a'), put('b'), put('c')] })
  await bob.post('/v1/sync', { changes: [put('d'), remove('a')] })
  const one = (await bob.get(`/v1/sync?cursor=${cursor}&limit=1`)).body
  t.strictSame(
    told(one.changes),
    [[1, 'delete bookmark a', 'put bookmark b', 'put bookmark c']],
    'a record is told of as it is now'
  )
  t.equal(one.more, true)
  const two = (await bob.get(`/v1/sync?cursor=${one.cursor}&limit=1`)).body
  t.strictSame(told(two.changes), [[2, 'put bookmark d', 'delete bookmark a']])
  t.equal(two.more, false)
  t.strictSame(told((await since(bob, cursor)).changes), [[1, 'put bookmark b', 'put bookmark c'], [2,
    'put bookmark d', 'delete bookmark a']])
  t.strictSame(
    await since(bob, two.cursor),
    { changes: [], cursor: two.cursor, more: false },
    'a cursor that nothing changes stays as it is'
  )
})

t.test('a push is one change-set, and says what became of each change', async (t) => {
  const { person: carol, cursor } = await newcomer('carol')
  const { body } = await carol.post('/v1/sync', {
    changes: [put('a'), {
      type: 'setting',
      id: 'editor.theme',
      act: 'put',
      record: { value: { dark: true } },
      ifMatch: 0
    }, remove('never')]
  })
  t.strictSame(body, {
    n: 1,
    results: [{ type: 'bookmark', id: 'a', status: 201, rev: 1 }, {
      type: 'setting',
      id: 'editor.theme',
      status: 201,
      rev: 1
    }, { type: 'bookmark', id: 'never', status: 204 }]
  })
  t.strictSame(
    (await carol.post('/v1/sync', {
      changes: [{ ...put('a', 'y'), ifMatch: 1 }, {
        type: 'setting',
        id: 'editor.theme',
        act: 'delete',
        ifMatch: 1
      }]
    })).body.results,
    [{ type: 'bookmark', id: 'a', status: 200, rev: 2 }, {
      type: 'setting',
      id: 'editor.theme',
      status: 204,
      rev: 2
    }]
  )
  t.strictSame((await carol.post('/v1/sync', { changes: [remove('never')] })).body, {
    results: [{ type: 'bookmark', id: 'never', status: 204 }]
  }, 'nothing to do is no change-set')
  t.strictSame(told((await since(carol, cursor)).changes), [[2, 'put bookmark a',
    'delete setting editor.theme']])
  t.match((await logOf(store, 'carol')).head, { n: 2, count: 1 })
})

t.test('of a push with one change that does not fit nothing is applied, and each change says what stands in its way', async (t) => {
  const { person: dora } = await newcomer('dora')
  await dora.post('/v1/sync', { changes: [put('live'), put('gone')] })
  await dora.post('/v1/sync', { changes: [remove('gone')] })
  const { body, status } = await dora.post('/v1/sync', {
    changes: [{ ...put('gone'), ifMatch: 1 }, { ...put('live'), ifMatch: 7 }, {
      ...remove('none'),
      ifMatch: 1
    }, put('other'), { ...put('live2'), ifMatch: 0 }]
  })
  t.equal(status, 412)
  t.match(body, {
    errorType: 'PRECONDITION_FAILED',
    results: [{ id: 'gone', status: 412, deleted: true }, {
      id: 'live',
      status: 412,
      current: { id: 'live', rev: 1 }
    }, { id: 'none', status: 412 }, { id: 'other', status: 424 }, { id: 'live2', status: 424 }]
  })
  t.strictSame(Object.keys(body.results[2]), ['type', 'id', 'status'])
  t.match((await logOf(store, 'dora')).head, { n: 2, count: 1 })
  t.match(await dora.put('/v1/bookmarks/gone', page, { 'if-match': '"1"' }), {
    status: 412,
    body: { deleted: true }
  }, 'what was deleted does not rise again')
  for (
    const [changes, pointer] of [[[{ ...put('a'), record: { url: 'nope', title: '' } }],
      '/changes/0/record/url'], [[put('a'), {
      type: 'setting',
      id: 'deep',
      act: 'put',
      record: { value: JSON.parse('['.repeat(20) + ']'.repeat(20)) }
    }], '/changes/1/record/value'], [[{ ...put('a'), record: { uri: 'https://example.com', title: '' } }],
      '/changes/0/record/uri'], [[{ ...put('a'), type: 'membership' }], '/changes/0/type'], [[{
      ...put('a'),
      type: undefined
    }], '/changes/0/type'], [[put('a'), put('a')], '/changes/1/id'], [[put('a'), {
      ...put('b'),
      space: 'group:g'
    }], '/changes/1/space'], [[{ ...put('a'), record: undefined }], '/changes/0/record'], [[{
      ...remove('a'),
      record: page
    }], '/changes/0/record'], [[{ ...put('a#b') }], '/changes/0/id'], [[{ ...put('a'), tenantId: 'other' }],
      '/changes/0/tenantId'], [[], '/changes'], [Array.from({ length: 99 }, (_, index) => put(`p${index}`)),
      '/changes']] as const
  ) {
    t.match(
      await dora.post('/v1/sync', { changes }),
      { status: 400, body: { errors: [{ pointer }] } },
      pointer
    )
  }
  t.match(
    (await dora.post('/v1/sync', { changes: Array.from({ length: 98 }, (_, index) => put(`p${index}`)) }, {
      'idempotency-key': 'k'
    })).body,
    { limit: { name: 'pushChanges', value: 97, sent: 98 } }
  )
  t.match(await dora.post('/v1/sync', { changes: [{ ...put('a'), space: 'group:g' }] }), { status: 404 })
  t.equal((await logOf(store, 'dora')).head?.n, 2)
})

t.test('a push that is sent again happens once, and gets the same bytes', async (t) => {
  const { person: erik } = await newcomer('erik')
  const changes = [...Array.from({ length: 96 }, (_, index) => put(`e${index}`, 'x'.repeat(1000))),
    remove('none')]
  const first = await erik.post('/v1/sync', { changes }, { 'idempotency-key': 'k1' })
  await erik.delete('/v1/bookmarks/e1')
  const again = await erik.post('/v1/sync', { changes }, { 'idempotency-key': 'k1' })
  t.equal(first.status, 200)
  t.equal(again.text, first.text)
  t.match(await erik.post('/v1/sync', { changes: changes.slice(1) }, { 'idempotency-key': 'k1' }), {
    status: 422
  })
  t.match((await logOf(store, 'erik')).head, { n: 2, count: 95 })
})

t.test('a new space takes a full push as its first write', async (t) => {
  const fred = await hub.as({ tenant: 'acme', user: 'fred' })
  t.match(
    await fred.post('/v1/sync', { changes: Array.from({ length: 98 }, (_, index) => put(`f${index}`)) }),
    { status: 200, body: { n: 1 } }
  )
  t.match((await logOf(store, 'fred')).head, { n: 1, count: 98 })
  const { data } = await DirectoryEntry.query.bySpace({ tenantId: 'acme' }).go(store)
  t.equal(data.filter(({ spaceId }) => spaceId === 'fred').length, 1)
})

t.test('who would delete most of a space has to say that it is meant', async (t) => {
  const { person: gina } = await newcomer('gina')
  await gina.post('/v1/sync', { changes: Array.from({ length: 60 }, (_, index) => put(`g${index}`)) })
  const changes = Array.from({ length: 31 }, (_, index) => remove(`g${index}`))
  const refused = await gina.post('/v1/sync', { changes })
  t.match(refused, {
    status: 409,
    body: { errorType: 'CONFIRMATION_REQUIRED', limit: { name: 'unconfirmedDeletes', value: 30, sent: 31 } }
  })
  t.match(refused.body.detail, /"confirm": true/)
  t.equal((await gina.post('/v1/sync', { changes: changes.slice(1) })).status, 200, 'half of it may go')
  t.equal(
    (await gina.post('/v1/sync', {
      changes: Array.from({ length: 30 }, (_, index) => remove(`g${index + 31}`))
    })).status,
    200,
    'a small space may be emptied'
  )
  await gina.post('/v1/sync', { changes: Array.from({ length: 60 }, (_, index) => put(`h${index}`)) })
  t.match(
    await gina.post('/v1/sync', {
      changes: Array.from({ length: 60 }, (_, index) => remove(`h${index}`)),
      confirm: true
    }),
    { status: 200 }
  )
})

t.test('a cursor belongs to one user, and nobody else can use or alter it', async (t) => {
  const { person: hal, cursor } = await newcomer('hal')
  const others = [await hub.as({ tenant: 'acme', user: 'ivy' }),
    await hub.as({ tenant: 'globex', user: 'hal' })]
  for (const other of others) {
    t.match(await other.get(`/v1/sync?cursor=${cursor}`), {
      status: 400,
      body: { errorType: 'INVALID_CURSOR' }
    })
  }
  for (
    const altered of [`${cursor}A`, cursor.slice(1), 'e30',
      cursor.replace(/.$/, (last) => last === 'A' ? 'B' : 'A')]
  ) t.match(await hal.get(`/v1/sync?cursor=${altered}`), { status: 400 })
  for (
    const query of ['limit=0', 'limit=1001', 'wait=26', 'wait=-1', 'since=1', `cursor=${'x'.repeat(9000)}`]
  ) t.match(await hal.get(`/v1/sync?${query}`), { status: 400 }, query)
})

t.test('a cursor is good for years while nothing happens, and expires with the log it needs', async (t) => {
  const { person: ida, cursor } = await newcomer('ida')
  await ida.put('/v1/bookmarks/b1', page)
  const { cursor: current } = await since(ida, cursor)
  const long = await hub.issuer.mint({ tenant: 'acme', user: 'ida' })
  t.ok(long.access_token)
  clock = 5 * 365 * DAY
  t.strictSame((await since(ida, current)).changes, [], 'five years later')
  t.match(await ida.get(`/v1/sync?cursor=${cursor}`), {
    status: 410,
    headers: { link: '</v1/sync>; rel="alternate"' },
    body: { errorType: 'CURSOR_EXPIRED', snapshot: '/v1/sync' }
  }, 'an older one needs an entry that is no longer kept')
  t.match((await ida.get('/v1/sync')).body, { reset: true, changes: [{ ops: [{ id: 'b1' }] }], more: false })
  await ida.put('/v1/bookmarks/b2', page)
  t.strictSame(told((await since(ida, current)).changes), [[2, 'put bookmark b2']], 'and the first goes on')
})

t.test('a first sync goes on also where entries were swept and an older one was not: TTL keeps no order', async (t) => {
  const { person: zoe } = await newcomer('zoe')
  for (const id of ['b1', 'b2']) await zoe.put(`/v1/bookmarks/${id}`, page)
  clock += 100 * DAY
  await LogEntry.delete({ ...spaceKey('acme', 'USER', 'zoe'), n: 2 }).go(store)
  await zoe.put('/v1/bookmarks/b3', page)
  const device = createDevice(zoe)
  await device.pull()
  t.strictSame([...device.held.keys()], ['me bookmark b1', 'me bookmark b2', 'me bookmark b3'])
  await zoe.put('/v1/bookmarks/b4', page)
  t.strictSame(told((await since(zoe, device.cursor!)).changes), [[4, 'put bookmark b4']])
})

t.test('an epoch that went on, or a floor above it, expires a cursor', async (t) => {
  const { person: jon, cursor } = await newcomer('jon')
  await jon.put('/v1/bookmarks/b1', page)
  const { cursor: current } = await since(jon, cursor)
  const space = spaceKey('acme', 'USER', 'jon')
  const { data: head } = await Head.get(space).go(store)
  await Head.put({ ...head!, epoch: head!.epoch + 1 }).go(store)
  t.equal((await jon.get(`/v1/sync?cursor=${current}`)).status, 410)
  await Head.put({ ...head!, floor: 1 }).go(store)
  t.equal((await jon.get(`/v1/sync?cursor=${cursor}`)).status, 410)
  t.equal((await jon.get(`/v1/sync?cursor=${current}`)).status, 200)
})

t.test('a space that was founded and never written to is empty', async (t) => {
  const kai = await hub.as({ tenant: 'acme', user: 'kai' })
  await Head.put({
    ...spaceKey('acme', 'USER', 'kai'),
    n: 0,
    at: new Date().toISOString(),
    epoch: 1,
    floor: 0,
    bytes: 0,
    count: 0
  }).go(store)
  const { status, body } = await kai.get('/v1/sync')
  t.match({ status, body }, { status: 200, body: { reset: true, changes: [], more: false } })
  t.match((await kai.post('/v1/sync', { changes: [put('a')] })).body, { n: 1 })
  t.strictSame(told((await since(kai, body.cursor)).changes), [[1, 'put bookmark a']])
  t.strictSame((await kai.get('/v1/trash')).body, { items: [] })
})

t.test('a hole in the log is waited for while it is young, and expires the cursor when it is old', async (t) => {
  const { person: kim, cursor } = await newcomer('kim')
  for (const id of ['b1', 'b2', 'b3']) await kim.put(`/v1/bookmarks/${id}`, page)
  const space = spaceKey('acme', 'USER', 'kim')
  const { data: second } = await LogEntry.get({ ...space, n: 2 }).go(store)
  await LogEntry.delete({ ...space, n: 2 }).go(store)
  const held = await since(kim, cursor)
  t.strictSame([told(held.changes), held.more], [[[1, 'put bookmark b1']], true])
  const again = await since(kim, held.cursor)
  t.strictSame([again.changes, again.more], [[], true], 'it never goes on past it')
  const waiting = since(kim, held.cursor)
  await LogEntry.put(second!).go(store)
  t.strictSame(
    told((await waiting).changes),
    [[2, 'put bookmark b2'], [3, 'put bookmark b3']],
    'until it is there'
  )
  await LogEntry.delete({ ...space, n: 2 }).go(store)
  clock = 120_000
  t.equal((await kim.get(`/v1/sync?cursor=${held.cursor}`)).status, 410)
  await LogEntry.delete({ ...space, n: 3 }).go(store)
  clock = -600_000
  const statuses = new Set<number>()
  const { cursor: other } = await since(kim, cursor)
  for (let status = 200; status === 200; statuses.add(status)) {
    ;({ status } = await kim.get(`/v1/sync?cursor=${other}`))
  }
  t.strictSame([...statuses], [200, 410], 'or has been waited for long enough, whatever the clock says')
})

t.test('joining a group brings its space, leaving drops it, and nobody else is served', async (t) => {
  const [{ person: lea }, { person: max }] = [await newcomer('lea'), await newcomer('max')]
  const [a, b] = [createDevice(lea), createDevice(max)]
  await Promise.all([a.pull(), b.pull()])
  const team = await found(lea)
  const space = `group:${team}`
  t.equal(
    (await lea.post('/v1/sync', { changes: [{ ...put('shared'), space }] }, { 'idempotency-key': 'k' }))
      .status,
    200
  )
  t.match(
    await max.post('/v1/sync', { changes: [{ ...put('shared'), space }] }),
    { status: 404 },
    'it looks like one that is not there'
  )
  await b.pull()
  t.equal(b.held.size, 0)
  await join(lea, team, { user: 'max', person: max }, 'viewer')
  const joined = (await b.pull())[0]!.changes
  t.match(joined.filter(({ space }) => space === 'me').flatMap(({ ops }) => ops), [{
    type: 'membership',
    id: team,
    act: 'join',
    record: { role: 'viewer' }
  }, { type: 'invitation', id: team, act: 'delete' }], 'asked and accepted between two pulls')
  t.match(joined.filter(({ space: name }) => name === space).flatMap(({ ops }) => ops).slice(0, 2), [{
    id: 'shared',
    act: 'put'
  }, { type: 'group', record: { name: 'Team', members: 2 } }])
  t.match(
    await max.post('/v1/sync', { changes: [{ ...put('shared'), space }] }),
    { status: 403 },
    'a viewer looks'
  )
  await a.pull()
  await lea.post('/v1/sync', { changes: [{ ...put('shared', 'y'), space }] }, { 'idempotency-key': 'k2' })
  await Promise.all([a.pull(), b.pull()])
  for (const device of [a, b]) t.equal(device.held.get(`${space} bookmark shared`)?.title, 'y')
  t.equal((await max.delete(`/v1/groups/${team}/members/max`)).status, 204)
  await lea.post('/v1/sync', { changes: [{ ...put('secret'), space }] })
  const last = await b.pull()
  t.notMatch(JSON.stringify(last), /secret/)
  t.strictSame(b.held.size, 0)
  await join(lea, team, { user: 'max', person: max }, 'viewer')
  await b.pull()
  t.strictSame(
    [...b.held.keys()].sort(),
    [`${space} bookmark secret`, `${space} bookmark shared`, `${space} group ${team}`, `${space} member lea`,
      `${space} member max`, `me membership ${team}`].sort()
  )
  const fresh = createDevice(max)
  await fresh.pull(1)
  t.strictSame([...fresh.held].sort(), [...b.held].sort(), 'as a new device has it')
})

t.test('a cursor of a hundred groups fits a URL', async (t) => {
  const { person: nan } = await newcomer('nan')
  for (let index = 0; index < 100; index++) await found(nan)
  t.match(await nan.post('/v1/groups', { name: 'one more' }), {
    status: 409,
    body: { errorType: 'LIMIT_REACHED', limit: { name: 'userGroups', value: 100, sent: 101 } }
  })
  const { body: { cursor } } = await nan.get('/v1/sync')
  t.ok(cursor.length < 6000, `${cursor.length} characters`)
  t.equal((await nan.get(`/v1/sync?cursor=${cursor}`)).status, 200)
})
