import { createServer, request } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { mock } from 'node:test'
import { setImmediate as nextRound } from 'node:timers/promises'
import { STSClient } from '@aws-sdk/client-sts'
import t, { type Test } from 'tap'
import { loadConfig } from '../src/config.ts'
import { openStores } from '../src/store/credentials.ts'
import { figure } from './harness/figures.ts'
import { person, startApp, startIssuer, storeEndpoint, testConfig } from './harness/hub.ts'
import { watchLog } from './harness/watched-log.ts'

/**
 * A stand-in for STS that counts, remembers what it was asked, and can fail. The SDK and our code are the
 * real ones.
 */
async function startSts () {
  const asked: URLSearchParams[] = []
  const sts = {
    asked,
    answer: 200 as number | 'nothing' | 'silence',
    client: undefined as unknown as STSClient,
    asks: () => once(server, 'asked')
  }
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    }).on('end', () => {
      asked.push(new URLSearchParams(body))
      server.emit('asked')
      if (sts.answer === 'silence') return
      const tag = new URLSearchParams(body).get('Tags.member.1.Value')
      const credentials = sts.answer === 'nothing'
        ? ''
        : `<Credentials><AccessKeyId>key-of-${
          tag ?? 'OPERATOR'
        }</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2035-01-01T00:00:00Z</Expiration></Credentials>`
      response.writeHead(sts.answer === 'nothing' ? 200 : sts.answer, { 'content-type': 'text/xml' })
      response.end(
        sts.answer === 500
          ? '<ErrorResponse><Error><Code>InternalFailure</Code><Message>arn:aws:iam::1:role/x</Message></Error></ErrorResponse>'
          : `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>${credentials}</AssumeRoleResult></AssumeRoleResponse>`
      )
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  sts.client = new STSClient({
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    region: 'local',
    credentials: { accessKeyId: 'process', secretAccessKey: 'process' },
    maxAttempts: 1
  })
  return sts
}

const unavailable = /No credentials for the tenant/
const tenantRoleArn = 'arn:aws:iam::123456789012:role/hub-tenant'
const keyOf = async (store: { client: { config: { credentials: unknown } } }) =>
  (await (store.client.config.credentials as () => Promise<{ accessKeyId: string }>)()).accessKeyId

t.test('each tenant has credentials of its own, asked for once', async (t) => {
  const sts = await startSts()
  const stores = openStores({ ...loadConfig({}), tenantRoleArn }, { sts: sts.client })
  t.teardown(() => stores.close())
  const many = await Promise.all(Array.from({ length: 1000 }, () => stores.of('acme')))
  t.equal(sts.asked.length, 1, '1,000 first requests at once, one call')
  t.equal(new Set(many).size, 1)
  t.match(Object.fromEntries(sts.asked[0]!), {
    RoleArn: tenantRoleArn,
    RoleSessionName: 'tenant-acme',
    DurationSeconds: '3600',
    'Tags.member.1.Key': 'tenant_id',
    'Tags.member.1.Value': 'acme'
  })
  t.equal(await keyOf(many[0]!), 'key-of-acme')
  t.equal(await keyOf(await stores.of('globex')), 'key-of-globex')
  t.equal(
    await keyOf(await stores.anonymous()),
    'key-of-PUBLIC',
    'and requests without a token have a session that fits no tenant'
  )
  t.equal(sts.asked.length, 3)
})

/** A clock that a test moves: both what the cache counts and what a session ends by. */
function startClock (t: Test) {
  const [start, tick] = [Date.now(), performance.now.bind(performance)]
  let ahead = 0
  mock.method(performance, 'now', () => tick() + ahead)
  mock.timers.enable({ apis: ['Date'], now: start })
  t.teardown(() => {
    mock.timers.reset()
    mock.restoreAll()
  })
  return (seconds: number) => {
    ahead += seconds * 1000
    mock.timers.setTime(start + ahead)
  }
}

t.test("without STS what is warm goes on until it really ends, and nobody gets the process's own credentials", async (t) => {
  const sts = await startSts()
  const stores = openStores({ ...loadConfig({}), tenantRoleArn }, { sts: sts.client })
  t.teardown(() => stores.close())
  const move = startClock(t)
  await stores.of('warm')
  sts.answer = 500
  await t.rejects(stores.of('cold'), unavailable)
  move(2)
  sts.answer = 'nothing'
  await t.rejects(stores.of('cold'), unavailable, 'an answer without credentials is none')
  move(2)
  sts.answer = 200
  t.equal(await keyOf(await stores.of('cold')), 'key-of-cold', 'a failure is remembered for less than 2 s')

  sts.answer = 500
  move(55 * 60)
  t.equal(await keyOf(await stores.of('warm')), 'key-of-warm', 'due for renewal, but still good')
  move(6 * 60)
  await t.rejects(stores.of('warm'), unavailable)
  move(2)
  sts.answer = 200
  t.equal(await keyOf(await stores.of('warm')), 'key-of-warm')
})

t.test('in an hour of requests 99.9 % and more need no STS', async (t) => {
  const sts = await startSts()
  const stores = openStores({ ...loadConfig({}), tenantRoleArn }, { sts: sts.client })
  t.teardown(() => stores.close())
  const move = startClock(t)
  const names = Array.from({ length: 20 }, (_, index) => `tenant-${index}`)
  let requests = 0
  for (let second = 0; second < 3600; second += 2, requests += names.length) {
    const keys = await Promise.all(names.map(async (name) => keyOf(await stores.of(name))))
    if (keys.some((key, index) => key !== `key-of-${names[index]}`)) {
      t.fail(`second ${second}: ${keys.join()}`)
    }
    await nextRound() // a renewal goes on beside the requests
    move(2)
  }
  const hits = 1 - (sts.asked.length - names.length) / requests
  t.equal(sts.asked.length, names.length * 2, 'the first session of each, and one renewal')
  t.ok(hits >= 0.999)
  figure(
    t,
    'hits of the credential cache in steady state',
    `${(hits * 100).toFixed(2)} % of ${requests} requests`
  )
})

t.test('60 s without STS: no failure for warm tenants, and cold ones are back within 5 s', async (t) => {
  const sts = await startSts()
  const stores = openStores({ ...loadConfig({}), tenantRoleArn }, { sts: sts.client })
  t.teardown(() => stores.close())
  const move = startClock(t)
  await Promise.all(['warm', 'due'].map((name) => stores.of(name)))
  move(49 * 60 + 50) // so that renewal falls into the outage
  sts.answer = 500
  const before = sts.asked.length
  let served = 0
  for (let second = 0; second < 60; second++, move(1)) {
    for (const name of ['warm', 'due']) {
      t.equal(await keyOf(await stores.of(name)), `key-of-${name}`, `second ${second}`)
      served++
    }
    await t.rejects(Promise.all(Array.from({ length: 10 }, () => stores.of('cold'))), unavailable)
  }
  t.ok(
    sts.asked.length - before <= 3 * 61,
    `${sts.asked.length - before} calls in 60 s: one a second and tenant at most, however many ask`
  )
  sts.answer = 200
  move(1)
  t.equal(await keyOf(await stores.of('cold')), 'key-of-cold', 'a second after STS is back')
  figure(
    t,
    'STS away for 60 s',
    `${served} requests of warm tenants served, 0 failed; cold tenants back after 1 s`
  )
})

t.test('an STS that does not answer is given up in time for the next try', async (t) => {
  const sts = await startSts()
  const stores = openStores({ ...loadConfig({}), tenantRoleArn }, { sts: sts.client })
  t.teardown(() => stores.close())
  sts.answer = 'silence'
  const [waiting] = [stores.of('cold'), await sts.asks()]
  sts.answer = 200
  const recovered = performance.now()
  await t.rejects(waiting, unavailable)
  while (await stores.of('cold').then(() => false, () => true)) {
    await new Promise((resolve) => {
      setTimeout(resolve, 50)
    })
  }
  t.comment(`back ${Math.round(performance.now() - recovered)} ms after STS`)
  t.equal(sts.asked.length, 2)
})

t.test('the thousand tenants of last use are kept, and a client that goes takes no connection with it', async (t) => {
  const sts = await startSts()
  const config = await testConfig({ tenantRoleArn })
  const stores = openStores(config, { sts: sts.client })
  t.teardown(() => stores.close())
  const first = await stores.of('tenant-0')
  for (let index = 1; index <= 1000; index += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, offset) => stores.of(`tenant-${index + offset}`)))
  }
  t.equal(sts.asked.length, 1001)
  await stores.of('tenant-1000')
  t.equal(sts.asked.length, 1001)
  t.not(await stores.of('tenant-0'), first, 'the one that was not used for longest had to be asked for again')
  t.equal(sts.asked.length, 1002)
})

t.test('a hub whose STS fails answers 503 without a word of why', async (t) => {
  const sts = await startSts()
  sts.answer = 500
  const issuer = await startIssuer(t)
  const log = watchLog(t)
  log.expectLog(/"errorType":"STORE_UNAVAILABLE"/)
  log.expectLog(/"errorType":"NOT_READY"/)
  const app = await startApp(t, {
    ...await testConfig(),
    issuers: [issuer.entry],
    tenantRoleArn
  }, { sts: sts.client, log })
  const alice = person(app, (await issuer.mint({ tenant: 'acme', user: 'alice' })).access_token)
  const answer = await alice.get('/v1/bookmarks')
  t.match(answer, { status: 503, body: { errorType: 'STORE_UNAVAILABLE' } })
  t.notMatch(answer.text, /arn|role|STS/)
  t.equal((await alice.get('/ready')).status, 503)
  t.match(await alice.put('/v1/bookmarks/b', { nope: 1 }), { status: 400 })
  t.equal(sts.asked.length, 2, 'and a bad request costs no STS call')
})

t.test('each request goes to the store under the credentials of its own tenant', async (t) => {
  const sts = await startSts()
  const { hostname, port } = new URL(await storeEndpoint())
  const seen: string[] = []
  // Stands before the store and writes down whose key signed each call.
  const watch = createServer((incoming, outgoing) => {
    seen.push(/Credential=([^/]+)\//.exec(incoming.headers.authorization ?? '')![1]!)
    incoming.pipe(request({ hostname, port, method: 'POST', headers: incoming.headers }, (response) => {
      outgoing.writeHead(response.statusCode!, response.headers)
      response.pipe(outgoing)
    }))
  }).listen(0, '127.0.0.1')
  await once(watch, 'listening')
  t.teardown(() => {
    watch.closeAllConnections()
    watch.close()
  })
  const issuer = await startIssuer(t)
  const app = await startApp(t, {
    ...await testConfig(),
    dynamodbEndpoint: `http://127.0.0.1:${(watch.address() as AddressInfo).port}`,
    issuers: [issuer.entry],
    tenantRoleArn
  }, { sts: sts.client })
  for (const tenant of ['acme', 'globex', 'acme']) {
    const someone = person(app, (await issuer.mint({ tenant, user: 'same-name' })).access_token)
    seen.length = 0
    t.ok((await someone.put('/v1/bookmarks/b', { url: 'https://example.com', title: tenant })).status < 300)
    t.equal((await someone.get('/v1/bookmarks/b')).body.title, tenant)
    t.strictSame([...new Set(seen)].filter((key) => key !== 'key-of-OPERATOR'), [`key-of-${tenant}`])
  }
  seen.length = 0
  t.equal((await person(app, '').get('/v1/public/settings')).status, 200)
  t.strictSame([...new Set(seen)], ['key-of-PUBLIC'])
})
