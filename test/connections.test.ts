import { once } from 'node:events'
import { connect, type AddressInfo, type Socket } from 'node:net'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import type { Overrides } from '../src/app.ts'
import type { Config } from '../src/config.ts'
import { networkOf } from '../src/plugins/limits.ts'
import { startTracedHub } from './harness/client.ts'
import { startHub, testConfig, type Hub } from './harness/hub.ts'

/** Short enough for a test, and long enough for a byte to come on a busy machine. */
const PATIENCE = { headersMs: 500, windowMs: 500, silenceMs: 60_000, lingerMs: 100 }

interface Client {
  readonly socket: Socket
  readonly answer: () => string
  /** The hub has closed its end. */
  readonly closed: Promise<unknown>
}
interface Listening {
  readonly hub: Hub
  /** A client that never ends its side, whatever it is told. */
  readonly dial: (text: string) => Client
  readonly connections: () => Promise<number>
}

async function listening (
  t: Test,
  changes: Partial<Config> = {},
  overrides: Pick<Overrides, 'patience' | 'plugin'> = {}
): Promise<Listening> {
  const { limits, ...config } = await testConfig()
  const hub = await startHub(t, {
    ...config,
    limits: { ...limits, uploadBytesPerSecond: 2 },
    ...changes
  }, { patience: PATIENCE, ...overrides })
  return { hub, ...await dialling(t, hub) }
}

async function dialling (t: Test, { app }: Hub): Promise<Omit<Listening, 'hub'>> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  /** When the hub's own ends close, by the ports of the other sides: a client that is half open would never say. */
  const ends = new Map<number, Promise<unknown>>()
  app.server.on('connection', (its: Socket) => {
    ends.set(its.remotePort!, new Promise((resolve) => its.once('close', resolve)))
  })
  const endOf = async (port: number) => {
    while (!ends.has(port)) await once(app.server, 'connection')
    await ends.get(port)
  }
  return {
    dial: (text) => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      let answer = ''
      socket.on('data', (chunk: Buffer) => {
        answer += chunk.toString()
      }).on('error', () => {})
      socket.write(text)
      t.teardown(() => socket.destroy())
      const closed = once(socket, 'connect').then(() => endOf(socket.localPort!))
      return { socket, answer: () => answer, closed }
    },
    connections: () =>
      new Promise((resolve, reject) => {
        app.server.getConnections((error, count) => {
          if (error === null) resolve(count)
          else reject(error)
        })
      })
  }
}

const head = (line: string, headers: Record<string, string | number>) =>
  `${line} HTTP/1.1\r\nHost: hub\r\n${
    Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  }\r\n`

t.test('what never becomes a request is answered and closed, whatever its client does', async (t) => {
  const { dial, connections } = await listening(t)
  for (
    const [text, status] of [['NONSENSE\r\n\r\n', 400], [
      `GET /health HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n`,
      431
    ], ['GET /health HTTP/1.1\r\nHost: a\r\nX-Never: en', 408], ['', 408]] as const
  ) {
    const clients = Array.from({ length: 5 }, () => dial(text))
    for (const { closed } of clients) await closed
    for (const { answer } of clients) {
      t.match(
        answer(),
        new RegExp(`^HTTP/1\\.1 ${status} [^]*application/problem\\+json[^]*"instance":"[0-9a-f-]{36}"`)
      )
    }
  }
  t.equal(await connections(), 0)
})

t.test('a body that stops coming is answered 408 and closed; one that comes slowly is taken, however long it takes', async (t) => {
  const { hub, dial, connections } = await listening(t)
  const { token } = await hub.as({ tenant: 'acme', user: 'alice' })
  const body = JSON.stringify({ url: 'https://example.com', title: 'x' })
  const put = (id: string) =>
    head(`PUT /v1/bookmarks/${id}`, {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'content-length': body.length
    })
  const silent = dial(put('silent') + body.slice(0, 10))
  await silent.closed
  t.match(silent.answer(), /^HTTP\/1\.1 408 [^]*"REQUEST_TIMEOUT"[^]*"name":"uploadBytesPerSecond","value":2/)

  const slow = dial(put('slow'))
  for (const byte of body) {
    slow.socket.write(byte)
    // Ten times as fast as it has to be, and in all four times as long as it may be silent.
    await new Promise((resolve) => {
      setTimeout(resolve, 50)
    })
  }
  if (slow.answer() === '') await once(slow.socket, 'data')
  t.match(slow.answer(), /^HTTP\/1\.1 201 /)
  slow.socket.destroy()
  await slow.closed
  t.equal(await connections(), 0)
})

t.test('what was answered before it was read is closed as well', async (t) => {
  const { dial, connections } = await listening(t)
  for (const line of ['PUT /v1/bookmarks/b', 'GET /health', 'POST /nowhere']) {
    const client = dial(head(line, { 'content-type': 'application/json', 'content-length': 100 }))
    await client.closed
    t.match(client.answer(), /^HTTP\/1\.1 (?:401|200|404) /)
  }
  t.equal(await connections(), 0)
})

t.test('a client that goes while it sends is no failure of anyone', async (t) => {
  let reading: (socket: Socket) => void
  const read = new Promise<Socket>((resolve) => {
    reading = resolve
  })
  const { hub, dial } = await listening(t, {}, {
    plugin: fp(async (app) => {
      app.addHook('preParsing', async ({ raw: { socket } }) => {
        reading(socket)
      })
    })
  })
  const { token } = await hub.as({ tenant: 'acme', user: 'alice' })
  const client = dial(
    head('PUT /v1/bookmarks/b', {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'content-length': 100
    })
  )
  const socket = await read
  const gone = new Promise((resolve) => socket.once('close', resolve))
  client.socket.resetAndDestroy()
  await gone
  await hub.app.close()
  t.notMatch(hub.log.join(''), /"level":"error"/)
})

t.test('who waits for an answer is not cut off, however long the hub works on it; who does not read one is', async (t) => {
  const { hub, traced } = await startTracedHub(t, {}, { patience: { ...PATIENCE, silenceMs: 50 } })
  const { dial, connections } = await dialling(t, hub)
  const { token } = await hub.as({ tenant: 'acme', user: 'alice' })
  const authorization = `Bearer ${token}`
  const silences = async (times: number) => {
    for (let time = 0; time < times; time++) await once(hub.app.server, 'timeout')
  }
  let waited = false
  traced.fault = async (name, next) => {
    if (!waited && name.startsWith('TransactWrite')) {
      waited = true
      await silences(3)
    }
    return next()
  }
  const file = '<DT><A HREF="https://example.com/">x</A>'
  const waiting = dial(
    head('POST /v1/bookmarks/import', {
      authorization,
      'content-type': 'text/html',
      'content-length': file.length
    }) + file
  )
  await once(waiting.socket, 'data')
  t.match(waiting.answer(), /^HTTP\/1\.1 200 [^]*"created":1/)
  t.ok(waited)
  waiting.socket.destroy()

  const alice = await hub.as({ tenant: 'acme', user: 'alice' })
  for (let from = 0; from < 40; from++) {
    await alice.put(`/v1/settings/s${from}`, { value: 'x'.repeat(60_000) })
  }
  const deaf = dial('')
  deaf.socket.pause()
  for (let times = 0; times < 8; times++) {
    deaf.socket.write(head('GET /v1/settings?limit=100', { authorization }))
  }
  await deaf.closed
  deaf.socket.destroy()
  t.equal(await connections(), 0)
})

t.test('a tenant that asks too often is refused before its body is read', async (t) => {
  const { limits } = await testConfig()
  const { hub, dial } = await listening(t, { limits: { ...limits, requestsPerTenant: 2 } })
  const alice = await hub.as({ tenant: 'acme', user: 'alice' })
  const mate = await hub.as({ tenant: 'acme', user: 'mate' })
  const other = await hub.as({ tenant: 'globex', user: 'other' })
  t.equal((await alice.put('/v1/bookmarks/b', '{"url": ')).status, 400)
  t.equal((await mate.put('/v1/bookmarks/b', { nope: true })).status, 400, 'what is not valid counts as well')
  // Not a byte of the body comes.
  const refused = dial(
    head('PUT /v1/bookmarks/b', {
      authorization: `Bearer ${alice.token}`,
      'content-type': 'application/json',
      'content-length': 1_000_000
    })
  )
  await once(refused.socket, 'data')
  t.match(refused.answer(), /^HTTP\/1\.1 429 [^]*"requestsPerTenant"/)
  t.equal((await other.put('/v1/bookmarks/b', { nope: true })).status, 400, 'and nobody else is')
})

t.test('of an IPv6 address its /64 counts, and an IPv4 address is one however it is written', async (t) => {
  for (
    const [one, two, same] of [['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', true], [
      '2001:db8:1:2::1',
      '2001:0DB8:0001:0002:0:0:0:1',
      true
    ], ['2001:db8:1:2::1', '2001:db8:1:3::1', false], ['::ffff:203.0.113.7', '203.0.113.7', true], [
      '::ffff:cb00:7107',
      '203.0.113.7',
      true
    ], ['::ffff:203.0.113.7', '::ffff:203.0.113.8', false], ['fe80::1%eth0', 'fe80::2%eth0', true], [
      'nonsense',
      'nonsense',
      true
    ], ['nonsense', 'other', false]] as const
  ) t.equal(networkOf(one) === networkOf(two), same, `${one}, ${two}`)

  const { limits } = await testConfig()
  const hub = await startHub(t, { trustProxy: 1, limits: { ...limits, claimsPerAddress: 3 } })
  const claim = async (from: string) =>
    (await hub.anyone.post('/v1/pairings/claim', { code: 'AAAA-AAAA', name: 'x', platform: 'y' }, {
      'x-forwarded-for': from
    }))
      .status
  const statuses: number[] = []
  for (let host = 1; host <= 4; host++) statuses.push(await claim(`2001:db8:1:2::${host}`))
  t.strictSame(statuses, [403, 403, 403, 429])
  t.equal(await claim('2001:db8:1:3::1'), 403)
})
