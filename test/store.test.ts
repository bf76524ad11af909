import { createServer, request } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { mock } from 'node:test'
import { STSClient } from '@aws-sdk/client-sts'
import t from 'tap'
import { buildApp } from '../src/app.ts'
import { loadConfig } from '../src/config.ts'
import { openStores } from '../src/store/credentials.ts'
import { person, startIssuer, storeEndpoint, testConfig } from './harness/hub.ts'

/** A stand-in for STS that counts, remembers what it was asked, and can fail. The SDK and our code are the real ones. */
async function startSts () {
  const asked: URLSearchParams[] = []
  const sts = { asked, answer: 200 as number | 'nothing', client: undefined as unknown as STSClient }
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => { body += chunk.toString() }).on('end', () => {
      asked.push(new URLSearchParams(body))
      const tag = new URLSearchParams(body).get('Tags.member.1.Value')
      const credentials = sts.answer === 'nothing' ? '' : `<Credentials><AccessKeyId>key-of-${tag}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2035-01-01T00:00:00Z</Expiration></Credentials>`
      response.writeHead(sts.answer === 'nothing' ? 200 : sts.answer, { 'content-type': 'text/xml' })
      response.end(sts.answer === 500 ? '<ErrorResponse><Error><Code>InternalFailure</Code><Message>arn:aws:iam::1:role/x</Message></Error></ErrorResponse>' : `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>${credentials}</AssumeRoleResult></AssumeRoleResponse>`)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  sts.client = new STSClient({ endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, region: 'local', credentials: { accessKeyId: 'process', secretAccessKey: 'process' }, maxAttempts: 1 })
  return sts
}

const unavailable = /No credentials for the tenant/
const tenantRoleArn = 'arn:aws:iam::123456789012:role/hub-tenant'
const keyOf = async (store: { client: { config: { credentials: unknown } } }) => (await (store.client.config.credentials as () => Promise<{ accessKeyId: string }>)()).accessKeyId

t.test('each tenant has credentials of its own, asked for once', async (t) => {
  const sts = await startSts()
  const stores = openStores({ ...loadConfig({}), tenantRoleArn }, sts.client)
  t.teardown(() => stores.close())
  const many = await Promise.all(Array.from({ length: 1000 }, () => stores.of('acme')))
  t.equal(sts.asked.length, 1, '1,000 first requests at once, one call')
  t.equal(new Set(many).size, 1)
  t.match(Object.fromEntries(sts.asked[0]!), { RoleArn: tenantRoleArn, RoleSessionName: 'tenant-acme', DurationSeconds: '3600', 'Tags.member.1.Key': 'tenant_id', 'Tags.member.1.Value': 'acme' })
  t.equal(await keyOf(many[0]!), 'key-of-acme')
  t.equal(await keyOf(await stores.of('globex')), 'key-of-globex')
  t.equal(await keyOf(await stores.anonymous()), 'key-of-PUBLIC', 'and requests without a token have a session that fits no tenant')
  t.equal(sts.asked.length, 3)
})

t.test('without STS what is warm goes on until it really ends, and nobody gets the process\'s own credentials', async (t) => {
  const sts = await startSts()
  const stores = openStores({ ...loadConfig({}), tenantRoleArn }, sts.client)
  t.teardown(() => stores.close())
  await stores.of('warm')
  sts.answer = 500
  await t.rejects(stores.of('cold'), unavailable)
  sts.answer = 'nothing'
  await t.rejects(stores.of('cold'), unavailable, 'an answer without credentials is none')
  sts.answer = 200
  t.equal(await keyOf(await stores.of('cold')), 'key-of-cold', 'a failure is not remembered')

  sts.answer = 500
  const clock = Date.now()
  const tick = performance.now.bind(performance)
  let ahead = 0
  mock.method(performance, 'now', () => tick() + ahead)
  mock.timers.enable({ apis: ['Date'], now: clock })
  t.teardown(() => { mock.timers.reset(); mock.restoreAll() })
  const move = (minutes: number) => { ahead += minutes * 60_000; mock.timers.setTime(clock + ahead) }
  move(55)
  t.equal(await keyOf(await stores.of('warm')), 'key-of-warm', 'due for renewal, but still good')
  move(6)
  await t.rejects(stores.of('warm'), unavailable)
  sts.answer = 200
  t.equal(await keyOf(await stores.of('warm')), 'key-of-warm')
})

t.test('a hub whose STS fails answers 503 without a word of why', async (t) => {
  const sts = await startSts()
  sts.answer = 500
  const issuer = await startIssuer(t)
  const app = await buildApp({ ...await testConfig(), issuers: [issuer.entry], tenantRoleArn, logLevel: 'silent' }, { sts: sts.client })
  t.teardown(() => app.close())
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
    incoming.pipe(request({ hostname, port, method: 'POST', headers: incoming.headers }, (response) => { outgoing.writeHead(response.statusCode!, response.headers); response.pipe(outgoing) }))
  }).listen(0, '127.0.0.1')
  await once(watch, 'listening')
  t.teardown(() => { watch.closeAllConnections(); watch.close() })
  const issuer = await startIssuer(t)
  const app = await buildApp({ ...await testConfig(), dynamodbEndpoint: `http://127.0.0.1:${(watch.address() as AddressInfo).port}`, issuers: [issuer.entry], tenantRoleArn, logLevel: 'silent' }, { sts: sts.client })
  t.teardown(() => app.close())
  for (const tenant of ['acme', 'globex', 'acme']) {
    const someone = person(app, (await issuer.mint({ tenant, user: 'same-name' })).access_token)
    seen.length = 0
    t.ok((await someone.put('/v1/bookmarks/b', { url: 'https://example.com', title: tenant })).status < 300)
    t.equal((await someone.get('/v1/bookmarks/b')).body.title, tenant)
    t.strictSame([...new Set(seen)], [`key-of-${tenant}`])
  }
  seen.length = 0
  t.equal((await person(app, '').get('/v1/public/settings')).status, 200)
  t.strictSame([...new Set(seen)], ['key-of-PUBLIC'])
})
