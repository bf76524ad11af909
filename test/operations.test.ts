import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { behind } from '../src/local/cloud.ts'
import { startGateway } from '../src/local/iam/gateway.ts'
import { readPolicy } from '../src/local/iam/policy.ts'
import { loadRoles } from '../src/local/iam/roles.ts'
import { audit } from '../src/operations/audit.ts'
import { STATUS_KNOWN_FOR_MS } from '../src/operations/index.ts'
import { tenants } from '../src/operations/tenants.ts'
import { startTracedHub, traceClient } from './harness/client.ts'
import { person, startApp, startIssuer, storeEndpoint, testConfig } from './harness/hub.ts'
import { watchLog } from './harness/watched-log.ts'

const page = { url: 'https://example.com', title: 'a page' }

t.test('a suspended tenant is refused within 5 s and let in again as soon, and the others notice nothing', async (t) => {
  const { hub, traced, store } = await startTracedHub(t)
  const desk = tenants(store, Date.now)
  const [alice, bob] = [await hub.as({ tenant: 'acme', user: 'alice' }),
    await hub.as({ tenant: 'globex', user: 'bob' })]
  const tick = performance.now.bind(performance)
  let ahead = 0
  mock.method(performance, 'now', () => tick() + ahead)
  t.teardown(() => mock.restoreAll())
  await alice.put('/v1/bookmarks/b', page)
  traced.reset()
  await Promise.all(Array.from({ length: 50 }, () => alice.get('/v1/bookmarks')))
  t.ok(traced.operatorCalls.length <= 1, 'the status is not read for each request')

  await desk.setStatus('acme', 'suspended')
  t.ok(STATUS_KNOWN_FOR_MS < 5000)
  ahead += STATUS_KNOWN_FOR_MS
  for (
    const [method, url, body] of [['GET', '/v1/bookmarks'], ['GET', '/v1/bookmarks/b'], ['PUT',
      '/v1/bookmarks/b', page], ['DELETE', '/v1/bookmarks/b'], ['GET', '/v1/tenant'], ['PUT',
      '/v1/settings/s', { value: 1 }]] as const
  ) {
    t.match(await alice.request(method, url, body), {
      status: 403,
      body: { errorType: 'TENANT_SUSPENDED', title: 'The tenant is suspended' }
    }, `${method} ${url}`)
  }
  t.equal((await bob.put('/v1/bookmarks/b', page)).status, 201)
  t.equal((await hub.anyone.get('/v1/public/settings')).status, 200)

  await desk.setStatus('acme', 'active')
  ahead += STATUS_KNOWN_FOR_MS
  t.match(await alice.get('/v1/bookmarks/b'), { status: 200, body: page }, 'with all that it had')
  await t.rejects(desk.setStatus('acme#x', 'suspended'), TypeError)
})

/**
 * A hub behind the template's policies, with an action more denied to some roles.
 * @param said errors that its log is to have
 */
async function startDenied (
  t: Test,
  denied: Readonly<Record<string, string>>,
  said = ['the store denied what the hub allowed']
) {
  const issuer = await startIssuer(t)
  const config = await testConfig({ issuers: [issuer.entry] })
  const roles = loadRoles('template.yaml', config.table)
  for (const [id, Action] of Object.entries(denied)) {
    const role = roles.get(id)!
    roles.set(id, {
      ...role,
      policy: [...role.policy, ...readPolicy({
        Version: '2012-10-17',
        Statement: [{ Sid: 'Planted', Effect: 'Deny', Action, Resource: '*' }]
      })]
    })
  }
  const store = await storeEndpoint()
  const gateway = await startGateway({ roles, store })
  const log = watchLog(t)
  for (const msg of said) log.expectLog(new RegExp(`"msg":"${msg}"`))
  const app = await startApp(t, { ...config, ...behind(gateway) }, { log })
  t.teardown(async () => {
    await app.close()
    await gateway.stop()
  })
  const alice = person(app, (await issuer.mint({ tenant: 'acme', user: 'alice' })).access_token)
  const events = audit({ client: traceClient(config).client, table: config.table }, Date.now, 90)
  return {
    alice,
    gateway,
    errors: () =>
      log.lines.map((line) => JSON.parse(line) as Record<string, any>).filter(({ level }) =>
        level === 'error'
      ),
    events: () => events.list('acme')
  }
}

t.test('what the store denies is a 403, one line in the log and a record in the audit', async (t) => {
  for (
    const [Action, method, url, body] of [['dynamodb:PutItem', 'PUT', '/v1/bookmarks/secret-name', page], [
      'dynamodb:Query',
      'GET',
      '/v1/bookmarks',
      undefined
    ], ['dynamodb:Query', 'GET', '/v1/bookmarks?sort=-createdAt', undefined], ['dynamodb:GetItem', 'GET',
      '/v1/settings/secret-name', undefined]] as const
  ) {
    const { alice, gateway, errors, events } = await startDenied(t, { TenantRole: Action })
    const answer = await alice.request(method, url, body, { 'x-request-id': 'request-0001' })
    t.match(
      answer,
      { status: 403, body: { errorType: 'UNAUTHORIZED_ACCESS', instance: 'request-0001' } },
      `${method} ${url}, never a 500 and never an empty list`
    )
    t.notMatch(answer.text, /arn:|dynamodb|Role|Planted/)
    t.match(gateway.denials, [{
      action: Action,
      sid: 'Planted',
      caller: /assumed-role\/hub-TenantRole\/tenant-acme$/
    }])
    t.match(errors(), [{
      msg: 'the store denied what the hub allowed',
      requestId: 'request-0001',
      tenantId: 'acme',
      errorType: 'UNAUTHORIZED_ACCESS'
    }])
    t.equal(errors().length, 1)
    const [event, ...others] = await events()
    t.match(event, { tenantId: 'acme', userId: 'alice', requestId: 'request-0001', outcome: 'denied' })
    t.match(event!.action, /^(?:GET|PUT) \/v1\/(?:bookmarks|settings)(?:\/:id)?$/)
    t.equal(others.length, 0)
    t.notMatch(JSON.stringify([event, errors()]), 'secret-name', "and nothing of the user's is in either")
  }
})

t.test("a denial that can't be recorded is still a denial, and says so in the log", async (t) => {
  const { alice, errors, events } = await startDenied(t, {
    TenantRole: 'dynamodb:Query',
    OperatorRole: 'dynamodb:PutItem'
  }, ['the store denied what the hub allowed', 'a denial could not be recorded'])
  t.equal((await alice.get('/v1/bookmarks')).status, 403)
  t.strictSame(errors().map(({ msg }) => msg), ['the store denied what the hub allowed',
    'a denial could not be recorded'])
  t.strictSame(await events(), [])
})

t.test("a hub that may not read a tenant's status answers 503: what is not known is not taken for good", async (t) => {
  const { alice, errors, events } = await startDenied(t, { OperatorRole: 'dynamodb:GetItem' }, [
    'The status of the tenant could not be read.'
  ])
  t.match(await alice.get('/v1/bookmarks'), { status: 503, body: { errorType: 'STORE_UNAVAILABLE' } })
  t.match(errors(), [{ msg: 'The status of the tenant could not be read.' }])
  t.strictSame(await events(), [])
})
