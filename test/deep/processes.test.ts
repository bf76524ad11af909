import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { loadConfig } from '../../src/config.ts'
import { createTable } from '../../src/local/create-table.ts'
import { openClient } from '../../src/store/client.ts'
import { seeded } from '../harness/faults.ts'
import { figure, sized } from '../harness/figures.ts'
import { remotePerson, startIssuer, storeEndpoint, type Person } from '../harness/hub.ts'
import { startServer } from '../harness/server.ts'
import { storm } from '../harness/storm.ts'
import { startWire } from '../harness/wire.ts'
import { UNLUCKY } from '../harness/world.ts'

// Two hubs as they are deployed: a process each, with one table, one issuer, one secret, and nothing else in
// common.
const OPERATIONS = Number(process.env.SYNC_OPERATIONS ?? sized(100, 100_000, 300))
const table = `processes-${randomUUID()}`
const issuer = await startIssuer(t)
const store = await storeEndpoint()
await createTable(store, table)
const wire = await startWire(t, store, seeded(1))
const env = {
  TABLE_NAME: table,
  AWS_REGION: 'local',
  DYNAMODB_ENDPOINT: wire.endpoint,
  AWS_ACCESS_KEY_ID: 'any',
  AWS_SECRET_ACCESS_KEY: 'any',
  ISSUERS: JSON.stringify([issuer.entry]),
  HUB_SECRET: 'a secret of at least 32 characters',
  LIMIT_REQUESTS_PER_ADDRESS: '0',
  LIMIT_REQUESTS_PER_TENANT: '0',
  LIMIT_SPACE_RECORDS: '1000000',
  LOG_LEVEL: 'warn'
}
const servers = await Promise.all([startServer(env, t), startServer(env, t)])
t.teardown(() => Promise.all(servers.map((server) => server.end('SIGKILL'))))
t.setTimeout(3_600_000)
const page = { url: 'https://example.com/', title: 'x', tags: [] }
const WAYS = [['the first', 'the second', 0, 1], ['the second', 'the first', 1, 0]] as const

/** The same person at both. */
async function people (user: string): Promise<[Person, Person]> {
  const { access_token: token } = await issuer.mint({ tenant: 'acme', user })
  return [remotePerson(servers[0].url, token), remotePerson(servers[1].url, token)]
}

/**
 * Comes when a process has looked at a space for someone who waits there: the only reads of HEAD that may be
 * out of date.
 */
const looked = (user: string) =>
  new Promise<void>((resolve) => {
    wire.onRequest = (operation, request) => {
      const text = JSON.stringify(request)
      const isLook = /^(?:Batch)?GetItem$/.test(operation) && !text.includes('"ConsistentRead":true')
      if (isLook && text.includes(`#USER#${user}"`) && text.includes('"HEAD"')) resolve()
    }
  })

t.test('who waits at one process is woken by a write through the other', async (t) => {
  for (const [writes, waits, writer, waiter] of WAYS) {
    const user = `poll-${writer}`
    const both = await people(user)
    await both[writer].put('/v1/bookmarks/a', page)
    const { body: { cursor } } = await both[waiter].get('/v1/sync')
    const waiting = looked(user)
    const poll = both[waiter].get(`/v1/sync?cursor=${cursor}&wait=25`)
    await waiting
    const at = performance.now()
    t.equal((await both[writer].put('/v1/bookmarks/b', page)).status, 201)
    const { status, body } = await poll
    t.match(
      { status, body },
      { status: 200, body: { changes: [{ n: 2, ops: [{ id: 'b', act: 'put' }] }] } },
      `${waits} is told of what ${writes} wrote`
    )
    figure(
      t,
      `milliseconds from a write through ${writes} process to the answer of ${waits}`,
      Math.round(performance.now() - at)
    )
  }
})

/** The data of the events of a stream, as they come. */
async function* events (t: Test, url: string, token: string): AsyncGenerator<any> {
  const end = new AbortController()
  t.teardown(() => {
    end.abort()
  })
  const { body } = await fetch(url, { headers: { authorization: `Bearer ${token}` }, signal: end.signal })
  let text = ''
  for await (const chunk of body!.pipeThrough(new TextDecoderStream())) {
    text += chunk
    for (let at = text.indexOf('\n\n'); at >= 0; at = text.indexOf('\n\n')) {
      const data = /^data: (.*)$/m.exec(text.slice(0, at))
      text = text.slice(at + 2)
      if (data !== null) yield JSON.parse(data[1]!)
    }
  }
}

t.test('a stream of one process tells what is written through the other', async (t) => {
  for (const [writes, waits, writer, waiter] of WAYS) {
    const user = `live-${writer}`
    const both = await people(user)
    await both[writer].put('/v1/bookmarks/a', page)
    const stream = events(t, `${servers[waiter].url}/v1/sync/live`, both[waiter].token)
    t.match((await stream.next()).value, { reset: true, changes: [{ ops: [{ id: 'a' }] }] })
    for (const id of ['b', 'c']) {
      await both[writer].put(`/v1/bookmarks/${id}`, page)
      // The change of before the snapshot is told of again.
      let { value } = await stream.next()
      while (value.changes.at(-1).ops[0].id === 'a') ({ value } = await stream.next())
      t.match(value.changes.at(-1).ops, [{ id, act: 'put' }], `${waits} tells of what ${writes} wrote`)
    }
  }
})

t.test('8 writers and 4 pollers of one space, through both, on a bad network: nothing is lost, missed or doubled', async (t) => {
  for (const server of servers) server.mayLog(UNLUCKY)
  wire.rates = { lost: 0.02, cut: 0.02 }
  t.teardown(() => {
    wire.rates = { lost: 0, cut: 0 }
  })
  const client = openClient({ ...loadConfig({}), dynamodbEndpoint: store })
  t.teardown(() => {
    client.destroy()
  })
  await storm(t, {
    people: await people('storm'),
    tenant: 'acme',
    user: 'storm',
    store: { client, table },
    writers: 8,
    pollers: 4,
    operations: OPERATIONS,
    rest: OPERATIONS > 2000 ? 200 : 1
  })
  figure(t, 'requests to the store', JSON.stringify(wire.counts))
  t.ok(wire.counts.lost > 0 && wire.counts.cut > 0)
})
