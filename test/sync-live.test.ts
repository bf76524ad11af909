import { getEventListeners } from 'node:events'
import { decodeJwt, decodeProtectedHeader, importPKCS8, SignJWT } from 'jose'
import t from 'tap'
import { tenants } from '../src/operations/tenants.ts'
import { startTracedHub } from './harness/client.ts'
import { type Hub, person, privateKey, startApp, startHub } from './harness/hub.ts'
import { connect } from './harness/stream.ts'

const { hub, traced, store } = await startTracedHub(t)
const page = { url: 'https://example.com', title: 'x' }
const cursorOf = async (user: string, of: Hub = hub) =>
  (await (await of.as({ tenant: 'acme', user })).get('/v1/sync')).body.cursor as string
/** When the hub has begun to look for changes: a request that waits has read HEAD. */
const hasLooked = async () => {
  while (!traced.calls.some(({ name }) => name === 'GetItemCommand')) {
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
}

t.beforeEach(() => {
  traced.reset()
})

t.test('a long poll is answered when something changes, and at the end of its time when nothing does', async (t) => {
  const alice = await hub.as({ tenant: 'acme', user: 'alice' })
  const cursor = await cursorOf('alice')
  traced.reset()
  const waiting = alice.get(`/v1/sync?cursor=${cursor}&wait=20`)
  await hasLooked()
  await alice.put('/v1/bookmarks/a', page)
  t.match((await waiting).body, { changes: [{ ops: [{ id: 'a', act: 'put' }] }], more: false })
  const { cursor: current } = (await alice.get('/v1/sync')).body
  const idle = await alice.get(`/v1/sync?cursor=${current}&wait=1`)
  t.match(idle, { status: 200, body: { changes: [], more: false } })
  t.match(
    (await alice.get(`/v1/sync?cursor=${cursor}&wait=20`)).body.changes,
    [{}],
    'and at once where there is something'
  )
  t.match((await alice.get('/v1/sync?wait=20')).body, { reset: true }, 'a snapshot waits for nothing')
})

t.test('what another process writes wakes as well, and a space is looked at once a second however many wait', async (t) => {
  const other = await startApp(t, hub.config)
  const bob = await hub.as({ tenant: 'acme', user: 'bob' })
  await bob.put('/v1/bookmarks/b0', page)
  const cursor = (await bob.get('/v1/sync')).body.cursor as string
  traced.reset()
  const waiting = Array.from({ length: 10 }, () => bob.get(`/v1/sync?cursor=${cursor}&wait=20`))
  while (traced.calls.length < 11) {
    await new Promise((resolve) => {
      setTimeout(resolve, 20)
    })
  }
  t.ok(
    traced.calls.length <= 12,
    `${traced.calls.length} reads of 10 who wait for a second: one each, and one for all`
  )
  t.equal(traced.calls.at(-1)!.table, 0.5)
  await person(other, bob.token).put('/v1/bookmarks/b1', page)
  for (const { body } of await Promise.all(waiting)) t.match(body.changes, [{ ops: [{ id: 'b1' }] }])
  traced.reset()
  await new Promise((resolve) => {
    setTimeout(resolve, 1200)
  })
  t.strictSame(traced.calls, [], 'nobody waits, nothing is read')
})

t.test('events come as they happen, and Last-Event-ID resumes after any of them', async (t) => {
  const carol = await hub.as({ tenant: 'acme', user: 'carol' })
  await carol.put('/v1/bookmarks/c0', page)
  const stream = await connect(t, hub, carol.token, '/v1/sync/live')
  t.match(stream.response, {
    statusCode: 200,
    headers: { 'content-type': /^text\/event-stream/, 'cache-control': 'private, no-store' }
  })
  const snapshot = await stream.next()
  t.match(snapshot, {
    event: 'changes',
    id: String,
    data: { reset: true, changes: [{ ops: [{ id: 'c0' }] }] }
  })
  t.equal(snapshot!.id, snapshot!.data.cursor)
  await carol.put('/v1/bookmarks/c1', page)
  const change = await stream.next()
  t.match(change, { event: 'changes', data: { changes: [{ n: 2, ops: [{ id: 'c1' }] }] } })
  stream.close()
  await carol.put('/v1/bookmarks/c2', page)
  const again = await connect(t, hub, carol.token, `/v1/sync/live?cursor=${snapshot!.id}`, {
    'last-event-id': change!.id!
  })
  t.match((await again.next())!.data.changes, [{ n: 3, ops: [{ id: 'c2' }] }])
  again.close()
  t.match(await carol.get('/v1/sync/live?cursor=x'), { status: 400, body: { errorType: 'INVALID_CURSOR' } })
})

t.test('a user has so many connections and no more, and gets them back', async (t) => {
  const few = await startHub(t, { limits: { ...hub.config.limits, connectionsPerUser: 2 } })
  const [dave, eve] = [await few.as({ tenant: 'acme', user: 'dave' }),
    await few.as({ tenant: 'acme', user: 'eve' })]
  const cursor = await cursorOf('dave', few)
  const stream = await connect(t, few, dave.token, `/v1/sync/live?cursor=${cursor}`)
  const poll = dave.get(`/v1/sync?cursor=${cursor}&wait=20`)
  t.match(await dave.get(`/v1/sync?cursor=${cursor}&wait=20`), {
    status: 429,
    headers: { 'retry-after': 1 },
    body: { errorType: 'TOO_MANY_CONNECTIONS', limit: { name: 'connectionsPerUser', value: 2, sent: 3 } }
  })
  t.equal((await dave.get('/v1/sync/live')).status, 429)
  t.equal((await dave.get(`/v1/sync?cursor=${cursor}`)).status, 200, 'who does not wait is not counted')
  t.equal((await eve.get(`/v1/sync?cursor=${await cursorOf('eve', few)}&wait=1`)).status, 200)
  await dave.put('/v1/bookmarks/d', page)
  t.match((await poll).body.changes, [{}])
  stream.close()
  for (let status = 429; status === 429;) status = (await dave.get(`/v1/sync?cursor=${cursor}&wait=1`)).status
  t.pass('they came back')
})

t.test('who was answered, or went away, leaves nothing behind on what all of them listen to', async (t) => {
  const leaving = await startHub(t)
  const { closing } = leaving.app
  const warnings: Error[] = []
  process.on('warning', (warning) => {
    warnings.push(warning)
  })
  const isa = await leaving.as({ tenant: 'acme', user: 'isa' })
  const cursor = await cursorOf('isa', leaving)
  const stream = await connect(t, leaving, isa.token, `/v1/sync/live?cursor=${cursor}`)
  const polls = Array.from({ length: 15 }, () => isa.get(`/v1/sync?cursor=${cursor}&wait=20`))
  while (getEventListeners(closing, 'abort').length < 16) {
    await new Promise((resolve) => {
      setTimeout(resolve, 5)
    })
  }
  await isa.put('/v1/bookmarks/b', page)
  for (const { body } of await Promise.all(polls)) t.match(body.changes, [{}])
  await isa.get(`/v1/sync?cursor=${cursor}`)
  stream.close()
  while (getEventListeners(closing, 'abort').length > 0) {
    await new Promise((resolve) => {
      setTimeout(resolve, 5)
    })
  }
  const dependants = Object.getOwnPropertySymbols(closing).filter(({ description }) =>
    description === 'kDependantSignals'
  ).map((name) => (closing as unknown as Record<symbol, Set<unknown> | null>)[name]?.size ?? 0)
  t.strictSame(dependants.filter((size) => size > 0), [], 'and no signal that was derived from it is kept')
  t.strictSame(warnings.map(({ name }) => name), [], 'sixteen who wait are no leak')
})

t.test('when the hub ends, who waits is answered and streams end', async (t) => {
  const ending = await startHub(t)
  const fay = await ending.as({ tenant: 'acme', user: 'fay' })
  const cursor = await cursorOf('fay', ending)
  const stream = await connect(t, ending, fay.token, `/v1/sync/live?cursor=${cursor}`)
  t.match(await stream.next(), { comment: true })
  const poll = fay.get(`/v1/sync?cursor=${cursor}&wait=25`)
  const at = Date.now()
  const ended = ending.app.drain(0)
  t.match(await poll, { status: 200, body: { changes: [], cursor: String } })
  for (let event = await stream.next(); event !== undefined;) event = await stream.next()
  await ended
  t.ok(Date.now() - at < 10_000, 'and nobody waits for the end of the wait')
})

t.test('a stream ends after its time, with its token, and when the tenant is suspended', async (t) => {
  const brief = await startHub(t, { streamSeconds: 0.1 })
  const gus = await brief.as({ tenant: 'acme', user: 'gus' })
  const stream = await connect(t, brief, gus.token, '/v1/sync/live')
  while (await stream.next() !== undefined) { /* to its end */ }
  t.pass('after its time')

  const key = await importPKCS8(privateKey, 'RS256')
  const { token } = await hub.as({ tenant: 'acme', user: 'gus' })
  const ending = await new SignJWT({ ...decodeJwt(token), exp: Math.floor(Date.now() / 1000) + 2 })
    .setProtectedHeader(decodeProtectedHeader(token) as { alg: string }).sign(key)
  const short = await connect(t, hub, ending, '/v1/sync/live')
  t.equal(short.response.statusCode, 200)
  while (await short.next() !== undefined) { /* to its end */ }
  t.equal((await person(hub.app, ending).get('/v1/tenant')).status, 401, 'with its token')

  const other = await hub.as({ tenant: 'closed', user: 'gus' })
  const last = await connect(t, hub, other.token, '/v1/sync/live')
  await tenants(store, Date.now).setStatus('closed', 'suspended')
  let event = await last.next()
  while (event?.event !== 'problem') event = await last.next()
  t.match(event.data, { status: 403, errorType: 'TENANT_SUSPENDED' })
  t.equal(await last.next(), undefined)
})

t.test('where nothing can be streamed the answer names the long poll', async (t) => {
  const bound = await startHub(t, { streamSeconds: 0 })
  const hal = await bound.as({ tenant: 'acme', user: 'hal' })
  const { status, headers, body } = await hal.get('/v1/sync/live')
  t.match({ status, body }, {
    status: 406,
    body: { errorType: 'LIVE_UNAVAILABLE', detail: /\/v1\/sync\?wait=25/ }
  })
  t.equal(headers.link, '</v1/sync?wait=25>; rel="alternate"')
})
