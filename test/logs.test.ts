import { once } from 'node:events'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { startHub, startIssuer } from './harness/hub.ts'
import { watchLog } from './harness/watched-log.ts'

const CANARY = 'canary7f3a'

t.test('no body, token, title, URL, id or query of a user is ever in the log, whatever happens', async (t) => {
  const hub = await startHub(t, { logLevel: 'trace' })
  const alice = await hub.as({ tenant: 'acme', user: `user-${CANARY}` })
  const page = { url: `https://${CANARY}.example/`, title: CANARY, description: CANARY, tags: [CANARY] }
  await alice.put(`/v1/bookmarks/${CANARY}`, page)
  await alice.put(`/v1/bookmarks/${CANARY}`, page, { 'if-match': '"99"', 'idempotency-key': CANARY })
  await alice.put(`/v1/bookmarks/${CANARY}`, { ...page, [CANARY]: 1 })
  await alice.put(`/v1/bookmarks/${CANARY}`, `{"${CANARY}": 1e999}`)
  await alice.put(`/v1/bookmarks/${CANARY}`, { ...page, url: `${CANARY}:x` })
  await alice.patch(`/v1/bookmarks/${CANARY}`, { title: CANARY })
  await alice.get(`/v1/bookmarks?tag=${CANARY}&url=${CANARY}`)
  await alice.get(`/v1/bookmarks?cursor=${CANARY}`)
  await alice.get(`/v1/nowhere/${CANARY}?${CANARY}`)
  await alice.get(`/v1/bookmarks/%E0%A4%A${CANARY}`)
  await alice.put(`/v1/settings/${CANARY}`, { value: { [CANARY]: CANARY }, isPublic: true })
  await alice.delete(`/v1/bookmarks/${CANARY}`)
  await hub.anyone.get('/v1/bookmarks', { authorization: `Bearer ${CANARY}.${CANARY}.${CANARY}` })
  const text = hub.log.join('')
  t.ok(hub.log.length >= 13)
  t.notMatch(text, CANARY)
  t.notMatch(text, alice.token.slice(-40))
  t.notMatch(text, /eyJ|Bearer|authorization/i)
})

t.test('a test fails on each warning and error of its hub that it did not expect, and on one that does not come', (t) => {
  const failed: string[] = []
  let end = () => {}
  const log = watchLog({
    ended: false,
    teardown: (handler) => {
      end = handler
    },
    fail: (message) => failed.push(message) === 0
  })
  const write = (level: string, msg: string) => {
    log.write(`${JSON.stringify({ level, msg })}\n`)
  }
  log.expectLog(/one/)
  log.mayLog(/two|three/)
  write('info', 'request')
  write('warn', 'one')
  write('error', 'two')
  end()
  t.strictSame(failed, [])
  write('warn', 'four')
  write('error', 'five')
  write('fatal', 'six')
  log.write('seven, which is not JSON')
  t.match(failed, [/four/, /five/, /six/, /seven/])
  log.expectLog(/request/)
  end()
  t.match(failed.slice(4), [/no line like \/request/])
  t.equal(failed.length, 5)
  t.end()
})

t.test('what a client has already is told with 304, once, and nothing in the log', async (t) => {
  const hub = await startHub(t)
  const alice = await hub.as({ tenant: 'acme', user: 'alice' })
  const { headers: { location } } = await alice.post('/v1/groups', { name: 'x' })
  await alice.put('/v1/settings/s', { value: 1, isPublic: true })
  await alice.put('/v1/bookmarks/b', { url: 'https://example.com', title: 'x' })
  const [{ publicId }] = (await alice.get('/v1/public/settings')).body.items
  for (
    const url of ['/v1/bookmarks/b', '/v1/settings/s', String(location), '/v1/public/settings',
      `/v1/public/settings/${publicId}`]
  ) {
    const { headers: { etag } } = await alice.get(url)
    const again = await alice.get(url, { 'if-none-match': String(etag) })
    t.match(again, { status: 304, text: '', headers: { etag } }, url)
  }
})

t.test('each request is one line: who, what route, how it ended, how long it took', async (t) => {
  const hub = await startHub(t)
  const alice = await hub.as({ tenant: 'acme', user: 'alice' })
  const { headers } = await alice.put('/v1/bookmarks/b1', { url: 'https://example.com', title: 'x' }, {
    'x-request-id': 'from-the-client-1'
  })
  t.equal(headers['x-request-id'], 'from-the-client-1')
  await hub.anyone.get('/nowhere', { 'x-request-id': 'bad id\u0001' })
  const [put, missing] = hub.log.map((line) => JSON.parse(line) as Record<string, unknown>)
  t.match(put, {
    level: 'info',
    requestId: 'from-the-client-1',
    tenantId: 'acme',
    method: 'PUT',
    route: '/v1/bookmarks/:id',
    status: 201,
    msg: 'request'
  })
  t.type(put!.duration, 'number')
  t.match(
    missing,
    { route: 'none', status: 404, requestId: /^[0-9a-f-]{36}$/ },
    'an id that is not well-formed is replaced'
  )
})

t.test('limits refuse, name themselves and say when to come back', async (t) => {
  const hub = await startHub(t)
  const limited = await startHub(t, {
    ...hub.config,
    issuers: [],
    limits: { ...hub.config.limits, requestsPerTenant: 3, requestsPerAddress: 8 }
  })
  const alice = await limited.as({ tenant: 'acme', user: 'alice' })
  const bob = await limited.as({ tenant: 'globex', user: 'bob' })
  for (let request = 0; request < 3; request++) {
    t.match(await alice.get('/v1/tenant'), {
      status: 200,
      headers: { 'ratelimit-policy': '"requestsPerTenant";q=3;w=60' }
    })
  }
  t.match(await alice.get('/v1/tenant'), {
    status: 429,
    headers: { 'retry-after': /^\d+$/, ratelimit: /^"requestsPerTenant";r=0;t=\d+$/ },
    body: { errorType: 'RATE_LIMITED', limit: { name: 'requestsPerTenant', value: 3 } }
  })
  t.equal((await bob.get('/v1/tenant')).status, 200, "one tenant's burst does not refuse another")
  for (let request = 0; request < 3; request++) await limited.anyone.get('/v1/tenant')
  t.match(await limited.anyone.get('/v1/tenant'), {
    status: 429,
    body: { limit: { name: 'requestsPerAddress' } }
  }, 'guessing tokens is bounded')
})

t.test('behind a proxy the address is the one that the proxy saw, not the one that the client wrote', async (t) => {
  const plain = await startHub(t)
  const hub = await startHub(t, {
    ...plain.config,
    issuers: [],
    trustProxy: 1,
    limits: { ...plain.config.limits, requestsPerAddress: 3 }
  })
  const from = async (forwarded: string) =>
    (await hub.anyone.get('/v1/tenant', { 'x-forwarded-for': forwarded })).status
  for (let guess = 0; guess < 3; guess++) t.equal(await from(`10.0.0.${guess}, 203.0.113.7`), 401)
  t.equal(await from('10.0.0.9, 203.0.113.7'), 429)
  t.equal(await from('10.0.0.9, 203.0.113.8'), 401, 'another client is not held up')
})

t.test('what never becomes a request is answered all the same', async (t) => {
  const hub = await startHub(t)
  await hub.app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = hub.app.server.address() as AddressInfo
  const raw = async (text: string) => {
    const socket = connect(port, '127.0.0.1')
    let answer = ''
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString()
    }).on('error', () => {})
    socket.write(text)
    await once(socket, 'close')
    return answer
  }
  t.match(await raw('NONSENSE\r\n\r\n'), /^HTTP\/1\.1 400 [^]*application\/problem\+json/)
  t.match(await raw(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /)
  t.match(
    await raw('GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n'),
    /^HTTP\/1\.1 400 [^]*2 Host headers/
  )
  t.match(await raw('GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 200 /)
})

t.test('pages of the named origins may call the hub, and no others', async (t) => {
  const hub = await startHub(t, { corsOrigins: ['https://app.example'] })
  const preflight = (origin: string) =>
    hub.anyone.request('OPTIONS', '/v1/bookmarks/b', undefined, {
      origin,
      'access-control-request-method': 'PUT',
      'access-control-request-headers': 'authorization,if-match'
    })
  t.match((await preflight('https://app.example')).headers, {
    'access-control-allow-origin': 'https://app.example'
  })
  t.not(
    (await preflight('https://evil.example')).headers['access-control-allow-origin'],
    'https://evil.example'
  )
})

t.test('why a token was refused is a code in the line of its 401, and an expired one is told apart', async (t) => {
  const hub = await startHub(t)
  const issuer = await startIssuer(t)
  const { access_token: other } = await issuer.mint({ tenant: 'acme', user: 'alice' })
  const alice = await hub.as({ tenant: 'acme', user: 'alice' })
  const ask = async (authorization: string) => hub.anyone.get('/v1/tenant', { authorization })
  const signature = alice.token.split('.').at(-1)!
  await hub.anyone.get('/v1/tenant')
  await ask('Bearer x.y.z')
  await ask(`Bearer ${other}`)
  await ask(`Bearer ${alice.token.replace(signature, [...signature].reverse().join(''))}`)
  const refused = hub.log.map((line) => JSON.parse(line) as { status?: number, reason?: string })
    .filter(({ status }) => status === 401)
  t.strictSame(refused.map(({ reason }) => reason).slice(0, 3), ['no_token', 'malformed', 'unknown_issuer'])
  t.type(refused[3]?.reason, 'string')
  t.notMatch(hub.log.join(''), signature)
})

t.test('an enumeration lists its values', async (t) => {
  const hub = await startHub(t)
  const alice = await hub.as({ tenant: 'acme', user: 'alice' })
  t.match(await alice.get('/v1/bookmarks/export?format=csv'), {
    status: 400,
    body: { errors: [{ pointer: 'querystring/format', detail: /^must be one of html, xbel, json/ }] }
  })
})
