import { ScanCommand } from '@aws-sdk/lib-dynamodb'
import fc from 'fast-check'
import t from 'tap'
import { tenants } from '../src/operations/tenants.ts'
import { startTracedHub } from './harness/client.ts'
import { createDevice } from './harness/device.ts'
import { type Person, person, startApp } from './harness/hub.ts'
import { logOf } from './harness/log.ts'
import { connect } from './harness/stream.ts'
import { patiently } from './harness/world.ts'

const MINUTE = 60_000
let clock = 0
const now = () => Date.now() + clock
const { hub, traced, store } = await startTracedHub(t, {}, { now })
const other = await startApp(t, hub.config, { open: traced.open, now })
t.beforeEach(() => {
  clock = 0
  traced.reset()
})

const page = { url: 'https://example.com', title: 'x' }
const laptop = { name: 'Laptop', platform: 'Firefox on Linux' }
let people = 0
const someone = async () => hub.as({ tenant: 'acme', user: `u${++people}` })
const by = (deviceToken: string, app = hub.app) => person(app, deviceToken)
const basic = (name: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`
})
/** Signs a device in. */
async function signIn (
  who: Person,
  device: object = laptop
): Promise<{ id: string, token: string, device: Person }> {
  const { status, body, text } = await who.post('/v1/sessions', device)
  if (status !== 201) throw new Error(text)
  return {
    id: body.session.id as string,
    token: body.deviceToken as string,
    device: by(body.deviceToken as string)
  }
}
const pair = async (who: Person) =>
  (await who.post('/v1/pairings', undefined)).body as { code: string, expiresAt: string, pairingUri: string }
const claim = (code: string, device: object = laptop) =>
  hub.anyone.post('/v1/pairings/claim', { code, ...device })

t.test('a device signs in, is listed, renamed and signed out, and its token is good for exactly that long', async (t) => {
  const anna = await someone()
  const made = await anna.post('/v1/sessions', laptop)
  t.match(made, {
    status: 201,
    body: { session: { ...laptop, kind: 'device' }, deviceToken: /^shd_[\w-]{80,}$/ }
  })
  const { id } = made.body.session as { id: string }
  const device = by(made.body.deviceToken as string)
  t.equal(made.headers.location, `/v1/sessions/${id}`)
  t.match((await device.get('/v1/tenant')).body, { tenantId: 'acme', userId: 'u1', roles: [] })
  t.equal((await device.put('/v1/bookmarks/b', page)).status, 201)
  t.equal((await anna.get('/v1/bookmarks/b')).status, 200, 'it is the same user')
  t.equal(
    (await device.request('GET', '/v1/bookmarks/b', undefined, {
      authorization: `bearer ${made.body.deviceToken}`
    })).status,
    200
  )
  const { entries } = await logOf(store, 'u1', 'acme')
  t.match(entries.at(-1), { sessionId: id }, 'what it did is known to be its doing')
  t.match((await anna.get('/v1/sessions')).body, { items: [{ id, ...laptop, lastSeenAt: String }] })
  t.match(await anna.patch(`/v1/sessions/${id}`, { name: 'Old laptop' }, { 'if-match': '"1"' }), {
    status: 200,
    body: { name: 'Old laptop', platform: laptop.platform }
  })
  t.match(await anna.patch(`/v1/sessions/${id}`, { name: 'x' }, { 'if-match': '"1"' }), {
    status: 412,
    body: { current: { name: 'Old laptop' } }
  })
  t.equal((await device.get('/v1/tenant')).status, 200)
  t.equal((await anna.delete(`/v1/sessions/${id}`)).status, 204)
  for (const app of [hub.app, other]) {
    t.match(await by(made.body.deviceToken as string, app).get('/v1/bookmarks/b'), {
      status: 401,
      headers: { 'www-authenticate': /invalid_token/ }
    })
  }
  for (
    const answer of [await anna.get(`/v1/sessions/${id}`), await anna.delete(`/v1/sessions/${id}`),
      await anna.patch(`/v1/sessions/${id}`, { name: 'x' })]
  ) t.equal(answer.status, 404)
  for (
    const bad of [{}, { name: 'x' }, { ...laptop, kind: 'root' }, { ...laptop, name: '' }, {
      ...laptop,
      platform: 'x'.repeat(65)
    }, { ...laptop, expiresAt: '2099-01-01T00:00:00Z' }]
  ) t.equal((await anna.post('/v1/sessions', bad)).status, 400)
  t.match(await anna.post('/v1/sessions', laptop, { 'idempotency-key': 'k' }), {
    status: 400,
    body: { errors: [{ pointer: 'headers/idempotency-key' }] }
  }, "what is shown once can't be shown again")
})

t.test('sessions are told of by sync, and neither token nor hash is told or kept anywhere', async (t) => {
  const anna = await someone()
  const { id, token, device } = await signIn(anna)
  const replica = createDevice(device)
  await replica.pull()
  t.match(replica.held.get(`me session ${id}`), { name: 'Laptop', kind: 'device' })
  const { Items } = await store.client.send(new ScanCommand({ TableName: store.table }))
  const rows = JSON.stringify(Items)
  t.match(rows, /tokenHash/)
  t.notMatch(rows, token.slice(4, 60))
  const hash = (Items as { id?: string, tokenHash?: string }[]).find((row) =>
    row.id === id && row.tokenHash !== undefined
  )!.tokenHash!
  const shown = [await anna.get('/v1/sessions'), await anna.get('/v1/sync'),
    await anna.get(`/v1/sessions/${id}`), await anna.get('/v1/trash')].map(({ text }) => text).join()
  t.notMatch(shown + hub.log.join(''), hash)
  t.notMatch(shown + hub.log.join(''), token)
})

t.test('a session ends to the second, and is no longer listed', async (t) => {
  const anna = await someone()
  const { id, device } = await signIn(anna)
  const { body: { expiresAt } } = await anna.get(`/v1/sessions/${id}`)
  clock = Date.parse(expiresAt as string) - Date.now() - 2000
  t.equal((await device.get('/v1/tenant')).status, 200)
  clock = Date.parse(expiresAt as string) - Date.now()
  t.equal((await device.get('/v1/tenant')).status, 401)
  t.strictSame((await by('').request('GET', '/v1/tenant')).status, 401)
})

t.test('when a device was last seen is written every five minutes at most, past the log, by however many processes', async (t) => {
  const anna = await someone()
  const { id, token } = await signIn(anna)
  const seen = async () => (await anna.get(`/v1/sessions/${id}`)).body.lastSeenAt as string
  const { cursor } = (await anna.get('/v1/sync')).body
  traced.reset()
  for (let turn = 0; turn < 10; turn++) {
    for (const app of [hub.app, other]) t.equal((await by(token, app).get('/v1/tenant')).status, 200)
  }
  const writes = () => traced.calls.filter(({ name }) => name === 'PutItemCommand').length
  t.equal(writes(), 1)
  const first = await seen()
  clock = 4 * MINUTE
  await by(token).get('/v1/tenant')
  t.equal(await seen(), first)
  clock = 6 * MINUTE
  await Promise.all([by(token).get('/v1/tenant'), by(token, other).get('/v1/tenant')])
  t.equal(writes(), 2, 'one of them writes')
  t.ok(Date.parse(await seen()) - Date.parse(first) >= 5 * MINUTE)
  t.strictSame(
    (await anna.get(`/v1/sync?cursor=${cursor}`)).body.changes,
    [],
    "and nobody's replica hears of it"
  )
})

t.test('an app password works for what speaks Basic only, and lets nobody else in', async (t) => {
  const anna = await someone()
  const { id, token } = await signIn(anna, { ...laptop, kind: 'app' })
  const user = `u${people}`
  t.match(await hub.anyone.get('/v1/tenant', basic(user, token)), { status: 200, body: { userId: user } })
  t.equal((await by(token).get('/v1/tenant')).status, 200)
  t.equal((await hub.anyone.put('/v1/settings/s', { value: 1 }, basic(user, token))).status, 201)
  for (
    const [name, password] of [['', token], ['u0', token], [user.toUpperCase(), token], [user, `${token}A`], [
      user,
      token.slice(0, -1)
    ], [user, anna.token], [user, '']] as const
  ) t.match(await hub.anyone.get('/v1/tenant', basic(name, password)), { status: 401 }, `${name}`)
  for (
    const [method, url, body] of [['POST', '/v1/sessions', laptop], ['POST', '/v1/pairings', undefined], [
      'DELETE',
      '/v1/sessions',
      undefined
    ], ['DELETE', `/v1/sessions/${id}`, undefined], ['POST', '/v1/groups', { name: 'x' }], ['POST',
      '/v1/invitations/g/accept', undefined]] as const
  ) {
    t.match(await hub.anyone.request(method, url, body, basic(user, token)), {
      status: 403,
      body: { errorType: 'UNAUTHORIZED_ACCESS' }
    }, `${method} ${url}`)
  }
  for (const url of ['/v1/sessions', '/v1/groups', '/v1/sync', '/v1/bookmarks']) {
    t.equal((await hub.anyone.get(url, basic(user, token))).status, 200, url)
  }
  await anna.delete(`/v1/sessions/${id}`)
  t.equal((await hub.anyone.get('/v1/tenant', basic(user, token))).status, 401)
})

t.test('a token that was altered, or made elsewhere, is 401 and asks the store nothing', async (t) => {
  const anna = await someone()
  const { token } = await signIn(anna)
  await by(token).get('/v1/tenant')
  const { token: foreign } = await (async () => {
    const { hub: elsewhere } = await startTracedHub(t, { secret: 'another secret of at least 32 characters' })
    return signIn2(await elsewhere.as({ tenant: 'acme', user: 'u1' }))
  })()
  traced.reset()
  const { body: { cursor } } = await anna.get('/v1/sync')
  traced.reset()
  const bad = [foreign, `shd_${cursor as string}`, 'shd_', 'shd_A', token.replace('shd_', 'SHD_'),
    token.slice(4), `${token}=`, `${token} `, `${token}, ${token}`, ` ${token}`, token.toLowerCase(),
    `shd_${Buffer.from(JSON.stringify(['acme', 'u1', 'x', 9e15])).toString('base64url')}`]
  for (const text of bad) t.equal((await by(text).get('/v1/tenant')).status, 401, text.slice(0, 12))
  await fc.assert(
    fc.asyncProperty(fc.nat(token.length - 5), fc.integer({ min: 1, max: 63 }), async (at, by64) => {
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
      const place = at + 4
      const altered = token.slice(0, place) + alphabet[(alphabet.indexOf(token[place]!) + by64) % 64] +
        token.slice(place + 1)
      return (await by(altered).get('/v1/tenant')).status === 401
    }),
    { numRuns: 300 }
  )
  t.strictSame(traced.calls, [])
  async function signIn2 (who: Person) {
    return { token: (await who.post('/v1/sessions', laptop)).body.deviceToken as string }
  }
})

t.test('signing out everywhere ends every device, and streams and long polls with it', async (t) => {
  const anna = await someone()
  const [one, two] = [await signIn(anna), await signIn(anna, { ...laptop, kind: 'app' })]
  const stream = await connect(t, hub, one.token, '/v1/sync/live')
  const { body: { cursor } } = await one.device.get('/v1/sync')
  const waiting = one.device.get(`/v1/sync?cursor=${cursor}&wait=20`)
  t.match(await stream.next(), { data: { reset: true } })
  t.equal((await anna.delete('/v1/sessions')).status, 204)
  const events = []
  for (let event = await stream.next(); event !== undefined; event = await stream.next()) {
    if (event.comment === undefined) events.push(event)
  }
  t.match(
    events,
    [{ event: 'problem', data: { status: 401, errorType: 'UNAUTHENTICATED' } }],
    'the last thing it hears'
  )
  t.equal((await waiting).status, 401)
  for (const { device } of [one, two]) t.equal((await device.get('/v1/tenant')).status, 401)
  t.strictSame((await anna.get('/v1/sessions')).body, { items: [] })
  t.equal((await anna.delete('/v1/sessions')).status, 204, 'also where there are none')
})

t.test('fifty sessions and no more, also at once; what has expired makes room', async (t) => {
  const anna = await someone()
  const many = await Promise.all(Array.from({ length: 60 }, () => anna.post('/v1/sessions', laptop)))
  t.equal(many.filter(({ status }) => status === 201).length, 50)
  t.match(await anna.post('/v1/sessions', laptop), {
    status: 409,
    body: { errorType: 'LIMIT_REACHED', limit: { name: 'userSessions', value: 50, sent: 51 } }
  })
  clock = 366 * 86_400_000
  t.equal((await anna.get('/v1/sessions')).body.items.length, 0)
  t.equal((await anna.post('/v1/sessions', laptop)).status, 201)
})

t.test('a code from one device signs another in, once', async (t) => {
  const anna = await someone()
  const { code, expiresAt, pairingUri } = await pair(anna)
  t.match(code, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/)
  t.ok(Math.abs(Date.parse(expiresAt) - Date.now() - 600_000) < 5000)
  t.equal(pairingUri, `sync-hub:pair?hub=http%3A%2F%2F127.0.0.1%3A3000&code=${code}`)
  t.ok(Math.log2(20 ** 8) > 34, 'bits of a code')
  const { Items } = await store.client.send(new ScanCommand({ TableName: store.table }))
  for (const part of [code, code.replace('-', ''), code.slice(0, 4)]) {
    t.notMatch(JSON.stringify(Items), part, 'it is kept hashed')
  }
  const claimed = await claim(` ${code.toLowerCase().replace('-', ' ')} `, {
    name: 'Phone',
    platform: 'Android'
  })
  t.match(claimed, {
    status: 201,
    headers: { 'cache-control': /no-store/ },
    body: { session: { name: 'Phone', kind: 'device' }, deviceToken: /^shd_/ }
  })
  t.match((await by(claimed.body.deviceToken as string).get('/v1/tenant')).body, {
    tenantId: 'acme',
    userId: `u${people}`
  })
  t.equal(
    (await by(claimed.body.deviceToken as string).post('/v1/pairings', undefined)).status,
    201,
    'which may bring in a third'
  )
  t.match(await claim(code), { status: 403, body: { errorType: 'PAIRING_FAILED' } })
  const phrases = new Set([(await claim(code)).body.detail, (await claim('BBBB-BBBB')).body.detail,
    (await claim('no code!')).body.detail])
  t.equal(phrases.size, 1, 'used and wrong ones look the same')
  for (
    const bad of [{}, { code }, { code: 'x', ...laptop }, { code, ...laptop, kind: 'app' }, {
      code,
      ...laptop,
      userId: 'u1'
    }]
  ) t.equal((await hub.anyone.post('/v1/pairings/claim', bad)).status, 400)
  t.notMatch(hub.log.join(''), code.slice(0, 4))
})

t.test('of a thousand who claim a code at once one wins, through two hubs', async (t) => {
  const { hub: open } = await startTracedHub(t, {
    table: hub.config.table,
    limits: { ...hub.config.limits, claimsPerAddress: 0 }
  })
  const second = await startApp(t, open.config)
  const { code } = await pair(person(open.app, (await open.as({ tenant: 'acme', user: 'u-pair' })).token))
  // A store that so many ask at once may keep some waiting for too long: they ask again.
  const answers = await Promise.all(
    Array.from(
      { length: 1000 },
      (_, index) =>
        patiently(() =>
          person(index % 2 === 0 ? open.app : second, '').post('/v1/pairings/claim', { code, ...laptop })
        )
    )
  )
  const count = (status: number) => answers.filter((answer) => answer.status === status).length
  t.strictSame([count(201), count(403)], [1, 999])
})

t.test('five wrong tries end a code, and it ends to the second', async (t) => {
  const { hub: open } = await startTracedHub(t, { limits: { ...hub.config.limits, claimsPerAddress: 0 } }, {
    now
  })
  const bea = await open.as({ tenant: 'acme', user: 'bea' })
  const tries = (code: string) => open.anyone.post('/v1/pairings/claim', { code, ...laptop })
  const wrong = (code: string) => code.slice(0, 8) + (code.endsWith('B') ? 'C' : 'B')
  for (const [misses, status] of [[4, 201], [5, 403]] as const) {
    const { code } = (await bea.post('/v1/pairings', undefined)).body as { code: string }
    for (let miss = 0; miss < misses; miss++) t.equal((await tries(wrong(code))).status, 403)
    t.equal((await tries(code)).status, status, `after ${misses} wrong tries`)
  }
  for (const [before, status] of [[1500, 201], [0, 403]] as const) {
    clock = 0
    const { code, expiresAt } = (await bea.post('/v1/pairings', undefined)).body as {
      code: string,
      expiresAt: string
    }
    clock = Date.parse(expiresAt) - Date.now() - before
    t.equal((await tries(code)).status, status, `${before} ms before its end`)
  }
})

t.test('an address tries so many codes and no more', async (t) => {
  const { hub: strict } = await startTracedHub(t, { limits: { ...hub.config.limits, claimsPerAddress: 10 } })
  const codes = []
  for (let turn = 0; turn < 12; turn++) {
    codes.push(await strict.anyone.post('/v1/pairings/claim', { code: 'BBBBBBBB', ...laptop }))
  }
  t.equal(codes.filter(({ status }) => status === 429).length, 2)
  t.match(codes.find(({ status }) => status === 429), {
    headers: { 'retry-after': String },
    body: { errorType: 'RATE_LIMITED', limit: { name: 'claimsPerAddress', value: 10 } }
  })
})

t.test('a suspended tenant takes no new device, and none of its devices is served', async (t) => {
  const { hub: lone, store: operator } = await startTracedHub(t, {}, { now })
  const cara = await lone.as({ tenant: 'closed', user: 'cara' })
  const { deviceToken } = (await cara.post('/v1/sessions', laptop)).body as { deviceToken: string }
  const { code } = (await cara.post('/v1/pairings', undefined)).body as { code: string }
  await tenants(operator, now).setStatus('closed', 'suspended')
  // Another process, which does not remember what the tenant was.
  const fresh = await startApp(t, lone.config)
  t.match(await person(fresh, '').post('/v1/pairings/claim', { code, ...laptop }), {
    status: 403,
    body: { errorType: 'TENANT_SUSPENDED' }
  })
  t.match(await person(fresh, deviceToken).get('/v1/tenant'), {
    status: 403,
    body: { errorType: 'TENANT_SUSPENDED' }
  })
})

t.test('who was signed out signs nobody in: not by a code, and not beside signing out', async (t) => {
  const anna = await someone()
  const thief = await signIn(anna)
  const { code } = await pair(thief.device)
  await anna.delete(`/v1/sessions/${thief.id}`)
  t.match(await claim(code), { status: 403, body: { errorType: 'PAIRING_FAILED' } })
  const [another, { hub: roomy }] = [await signIn(anna), await startTracedHub(t, {
    table: hub.config.table,
    limits: { ...hub.config.limits, userSessions: 1000 }
  })]
  const busy = person(roomy.app, another.token)
  const statuses = new Set<number>()
  const making = Array.from({ length: 8 }, async () => {
    for (let turn = 0; turn < 20; turn++) statuses.add((await busy.post('/v1/sessions', laptop)).status)
  })
  while (!statuses.has(201)) {
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
  t.equal((await anna.delete('/v1/sessions')).status, 204)
  await Promise.all(making)
  // What was made between two looks goes with the second.
  t.equal((await anna.delete('/v1/sessions')).status, 204)
  t.strictSame((await anna.get('/v1/sessions')).body, { items: [] })
  t.ok(statuses.has(401))
  const crowded = await roomy.as({ tenant: 'acme', user: `u${people}` })
  for (let turn = 0; turn < 13; turn++) {
    await Promise.all(Array.from({ length: 10 }, () => crowded.post('/v1/sessions', laptop)))
  }
  t.equal((await crowded.get('/v1/sessions')).body.items.length, 130)
  t.equal((await crowded.delete('/v1/sessions')).status, 204, 'also more than a transaction holds')
  t.strictSame((await crowded.get('/v1/sessions')).body, { items: [] })
})

t.test('a user makes so many codes a minute', async (t) => {
  const { hub: strict } = await startTracedHub(t, { limits: { ...hub.config.limits, pairingsPerUser: 3 } })
  const [anna, ben] = [await strict.as({ tenant: 'acme', user: 'anna' }),
    await strict.as({ tenant: 'acme', user: 'ben' })]
  const statuses = []
  for (let turn = 0; turn < 4; turn++) statuses.push((await anna.post('/v1/pairings', undefined)).status)
  t.strictSame([...statuses, (await ben.post('/v1/pairings', undefined)).status], [201, 201, 201, 429, 201])
})
