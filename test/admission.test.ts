import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { loadConfig } from '../src/config.ts'
import type { Limits } from '../src/limits.ts'
import { startTracedHub } from './harness/client.ts'
import type { Answer, Hub, Person } from './harness/hub.ts'

/**
 * One tenant's burst beside another's single request: who is served when, what is refused, and what waits. Counts
 * and order, never times.
 */
const page = { url: 'https://example.com', title: 'x' }
const GET = '/v1/bookmarks/b'

/** A hub whose store answers when it is told to. */
async function startHeldHub (t: Test, limits: Partial<Limits>) {
  const { hub, traced } = await startTracedHub(t, { limits: { ...loadConfig({}).limits, ...limits } })
  const [busy, quiet] = [await hub.as({ tenant: 'busy', user: 'u' }),
    await hub.as({ tenant: 'quiet', user: 'u' })]
  // Who they are is known before anything is held.
  for (const one of [busy, quiet]) t.equal((await one.put(GET, page)).status, 201)
  const calls: (() => void)[] = []
  let reached = 0
  const hold = () => {
    traced.fault = async (_name, next) => {
      reached++
      await new Promise<void>((go) => calls.push(go))
      return next()
    }
  }
  const release = () => {
    traced.fault = undefined
    for (const go of calls.splice(0)) go()
  }
  return { hub, busy, quiet, calls, hold, release, reached: () => reached }
}

const until = async (holds: () => boolean) => {
  while (!holds()) await pause(1)
}
const idle = (hub: Hub) => hub.app.load.running === 0 && hub.app.load.waiting === 0
const burst = (person: Person, count: number, answered: (answer: Answer) => void = () => {}) =>
  Array.from({ length: count }, async () => {
    const answer = await person.get(GET)
    answered(answer)
    return answer
  })
const listen = async ({ app }: Hub): Promise<number> => {
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
}

t.test("a request is served next, though 1,000 of another tenant's came before it", async (t) => {
  const { hub, busy, quiet, calls, hold, release } = await startHeldHub(t, {
    requestsRunning: 1,
    requestsRunningPerTenant: 1,
    requestsWaitingPerTenant: 1000
  })
  hold()
  let served = 0
  const theirs = burst(busy, 1001, ({ status }) => {
    if (status === 200) served++
  })
  await until(() => hub.app.load.waiting === 1000)
  t.equal(calls.length, 1, 'one works, and the store is asked once')
  let isServed = false
  const own = quiet.get(GET).then(({ status }) => {
    t.equal(status, 200)
    isServed = true
  })
  await until(() => hub.app.load.waiting === 1001)
  while (!isServed) {
    await until(() => calls.length > 0 || isServed)
    calls.shift()?.()
  }
  t.ok(served <= 2, `${served} of 1,001 were served before it: the one that worked, and one in its turn`)
  release()
  await Promise.all([own, ...theirs])
  t.equal(served, 1001)
  t.ok(idle(hub))
})

t.test('one tenant does not have all places, and what is too much is refused before it costs anything', async (t) => {
  const { hub, busy, quiet, calls, hold, release, reached } = await startHeldHub(t, {
    requestsRunning: 4,
    requestsRunningPerTenant: 3,
    requestsWaitingPerTenant: 5
  })
  hold()
  const answers: Answer[] = []
  const theirs = burst(busy, 50, (answer) => answers.push(answer))
  await until(() => answers.length === 42)
  t.strictSame([hub.app.load.running, hub.app.load.waiting, reached()], [3, 5, 3])
  for (const { status, headers, body } of answers) {
    t.match({ status, body, type: headers['content-type'], after: headers['retry-after'] }, {
      status: 503,
      type: /^application\/problem\+json/,
      after: 1,
      body: {
        errorType: 'OVERLOADED',
        detail: /second/,
        limit: { name: 'requestsWaitingPerTenant', value: 5 }
      }
    })
  }
  const own = quiet.get(GET)
  await until(() => calls.length === 4)
  t.equal(hub.app.load.waiting, 5, 'who asks for little has a place at once')
  t.equal((await hub.anyone.get('/health')).status, 200, 'and who only asks whether it lives needs none')
  release()
  t.equal((await own).status, 200)
  const good = (await Promise.all(theirs)).filter(({ status }) => status === 200).length
  t.equal(good, 8)
  t.ok(idle(hub))
  t.strictSame(
    hub.log.filter((line) => /"level":"(?:warn|error)"/.test(line)),
    [],
    "and it is nobody's failure"
  )
})

t.test('who hangs up leaves the queue, and nothing is done for them', async (t) => {
  const { hub, busy, hold, release, reached } = await startHeldHub(t, {
    requestsRunning: 2,
    requestsRunningPerTenant: 2
  })
  const port = await listen(hub)
  hold()
  const requests = Array.from({ length: 40 }, () => {
    const request = httpRequest({
      port,
      path: GET,
      headers: { authorization: `Bearer ${busy.token}` },
      agent: false
    })
    request.on('error', () => {}).end()
    return request
  })
  await until(() => hub.app.load.waiting === 38 && reached() === 2)
  for (const request of requests) request.destroy()
  await until(() => hub.app.load.waiting === 0)
  t.equal(hub.app.load.running, 2, 'what works is not cut: its place is taken until it is done')
  release()
  await until(() => idle(hub))
  t.equal(reached(), 2)
})

t.test('large bodies are read when it is their turn, so that what waits takes little memory', async (t) => {
  const { hub, busy, hold, release } = await startHeldHub(t, {
    requestsRunning: 1,
    requestsRunningPerTenant: 1
  })
  const port = await listen(hub)
  const sockets: Socket[] = []
  hub.app.server.on('connection', (socket: Socket) => sockets.push(socket))
  hold()
  const first = busy.get(GET)
  await until(() => hub.app.load.running === 1)
  const [size, count] = [1_000_000, 40]
  const clients = Array.from({ length: count }, () => {
    const client = connect(port, '127.0.0.1').on('error', () => {})
    client.write(
      `POST /v1/sync HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${busy.token}\r\nContent-Type: application/json\r\nContent-Length: ${size}\r\n\r\n`
    )
    client.write(Buffer.alloc(size, ' '))
    return client
  })
  const read = () => sockets.map(({ bytesRead }) => bytesRead)
  await until(() => read().filter((bytes) => bytes > size).length === 8 && read().length >= count)
  // The other senders are stopped by their full sockets: what they are ahead is bounded by what Node reads at once.
  for (let turns = 0; turns < 200; turns++) await turn()
  const waiting = read().filter((bytes) => bytes <= size)
  t.equal(waiting.length, count - 8)
  t.ok(Math.max(...waiting) < 200_000, `${Math.max(...waiting)} bytes of one that waits`)
  t.equal(hub.app.load.waiting, 8, 'and those that are read wait to be parsed')
  for (const client of clients) client.destroy()
  await until(() => hub.app.load.waiting === 0)
  release()
  await first
  await until(() => idle(hub))
})

t.test('an event loop that stands still serves a few of each tenant, and refuses the rest', async (t) => {
  const { hub, busy, quiet } = await startHeldHub(t, { eventLoopDelayMs: 250 })
  let refused = 0
  let own: Answer | undefined
  for (let tries = 0; refused === 0 && tries < 20; tries++) {
    const end = performance.now() + 400
    while (performance.now() < end);
    await turn()
    const theirs = burst(busy, 20)
    own = await quiet.get(GET)
    refused = (await Promise.all(theirs)).filter(({ status, body }) => {
      if (status === 200) return false
      return t.match({ status, body }, { status: 503, body: { errorType: 'OVERLOADED' } })
    }).length
  }
  t.equal(refused, 16)
  t.equal(own!.status, 200)
  t.ok(idle(hub))
})

t.test('who waits for changes holds no place, and is counted by user, tenant and in all', async (t) => {
  const { hub, busy, quiet } = await startHeldHub(t, {
    requestsRunning: 1,
    requestsRunningPerTenant: 1,
    connectionsPerTenant: 2,
    connectionsWaiting: 3
  })
  const cursorOf = async (person: Person) => (await person.get('/v1/sync')).body.cursor as string
  const polls = async (person: Person) => person.get(`/v1/sync?cursor=${await cursorOf(person)}&wait=20`)
  const [mate, third, fourth] = await Promise.all([hub.as({ tenant: 'busy', user: 'mate' }),
    hub.as({ tenant: 'third', user: 'u' }), hub.as({ tenant: 'fourth', user: 'u' })])
  const waiting = [polls(busy), polls(busy)]
  let answer = await polls(mate)
  while (answer.status === 200) answer = await polls(mate)
  t.match(answer, {
    status: 429,
    headers: { 'retry-after': 1 },
    body: { errorType: 'TOO_MANY_CONNECTIONS', limit: { name: 'connectionsPerTenant', value: 2, sent: 3 } }
  })
  const other = polls(third)
  await until(() => idle(hub))
  for (answer = await polls(fourth); answer.status === 200;) answer = await polls(fourth)
  t.match(answer, {
    status: 503,
    headers: { 'retry-after': 1 },
    body: { errorType: 'OVERLOADED', limit: { name: 'connectionsWaiting', value: 3, sent: 4 } }
  })
  t.equal((await quiet.get(GET)).status, 200, 'three wait, and the one place is free')
  for (const person of [busy, third]) t.ok((await person.put('/v1/bookmarks/new', page)).status < 300)
  for (const { status, body } of await Promise.all([...waiting, other])) {
    t.match({ status, body }, { status: 200, body: { changes: [{}] } })
  }
  t.ok(idle(hub))
})

t.test('whatever becomes of a request, its place is given back', async (t) => {
  const { hub, busy } = await startHeldHub(t, {})
  const port = await listen(hub)
  const statuses = await Promise.all([busy.get('/v1/nothing'), busy.get('/v1/bookmarks?limit=0'),
    busy.put(GET, '{'), busy.put(GET, 'x'.repeat(20_000)), busy.put(GET, 'x'.repeat(2_000_000)),
    busy.put(GET, page, { 'content-type': 'text/plain' }), busy.get(GET, { 'if-none-match': '*' }),
    busy.get('/v1/bookmarks/export'), busy.get(`/v1/sync?cursor=x`), hub.anyone.get(GET),
    hub.anyone.get('/v1/limits')]).then((answers) => answers.map(({ status }) => status))
  t.strictSame(statuses, [404, 400, 400, 400, 413, 415, 304, 200, 400, 401, 200])
  for (const length of [100, 100_000]) {
    const client = connect(port, '127.0.0.1').on('error', () => {})
    client.write(
      `PUT ${GET} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${busy.token}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n{`
    )
    const [socket] = await once(hub.app.server, 'connection') as [Socket]
    await until(() => socket.bytesRead > 0)
    client.destroy()
    await once(socket, 'close')
  }
  await until(() => idle(hub))
  t.equal((await busy.get(GET)).status, 200)
})

t.test('connections are bounded: one too many is closed, and one that ends makes room', async (t) => {
  const { hub } = await startHeldHub(t, { connections: 2 })
  hub.expectLog(/connections were dropped/)
  const port = await listen(hub)
  const ask = async (client: Socket) => {
    client.write('GET /health HTTP/1.1\r\nHost: a\r\n\r\n')
    return String((await once(client, 'data'))[0])
  }
  const [first, second] = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
  for (const client of [first, second]) t.match(await ask(client), /^HTTP\/1\.1 200 /)
  const third = connect(port, '127.0.0.1').on('error', () => {})
  await once(third, 'close')
  t.match(hub.log.at(-1), '"connections":2', 'the log tells of it')
  first.destroy()
  let answer = ''
  while (answer === '') {
    const fourth = connect(port, '127.0.0.1').on('error', () => {})
    answer = await Promise.race([ask(fourth).catch(() => ''), once(fourth, 'close').then(() => '')])
    fourth.destroy()
  }
  t.match(answer, /^HTTP\/1\.1 200 /)
  second.destroy()
})
