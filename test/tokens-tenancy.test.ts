import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { loadConfig } from '../src/config.ts'
import { person, startHub, type Person } from './harness/hub.ts'
import { namedKey, newRsaKey, startPools, type Pools } from './harness/tokens.ts'

/** The three ways in which a token can tell the tenant: each needs an entry in ISSUERS and nothing else. */

const [secondKey, thirdKey] = [newRsaKey(), newRsaKey()]

/** A hub that trusts the pools so far, by its environment alone. */
async function hubOf (t: Test, pools: Pools): Promise<(token: string) => Person> {
  const { issuers } = loadConfig({
    TABLE_NAME: 'any',
    AWS_REGION: 'eu-west-1',
    DYNAMODB_ENDPOINT: 'http://127.0.0.1:1',
    HUB_SECRET: 'x'.repeat(32),
    ISSUERS: JSON.stringify(pools.entries())
  })
  const { app } = await startHub(t, { issuers })
  return (token) => person(app, token)
}

/** Who a hub takes somebody for. */
const whoIs = async (somebody: Person) => {
  const { status, body } = await somebody.get('/v1/tenant')
  return [status, ...status === 200 ? [body.tenantId, body.userId] : [body.errorType]]
}

const LISTS = ['/v1/bookmarks', '/v1/bookmarks?url=https%3A%2F%2Fexample.com', '/v1/settings']

/**
 * Proves that each of these people has a space of their own: under one id each, and under ids that the others
 * don't have.
 */
async function keepApart (t: Test, people: Record<string, Person>): Promise<void> {
  const canaries = new Map(Object.keys(people).map((name) => [name, `canary-${randomUUID()}`]))
  for (const [name, somebody] of Object.entries(people)) {
    const canary = canaries.get(name)!
    for (const id of ['shared', canary]) {
      t.equal(
        (await somebody.put(`/v1/bookmarks/${id}`, { url: 'https://example.com', title: canary }, {
          'if-none-match': '*'
        })).status,
        201,
        `${name} has no such bookmark yet`
      )
    }
    t.equal(
      (await somebody.put('/v1/settings/theme', { value: canary }, { 'if-none-match': '*' })).status,
      201,
      `${name} has no such setting yet`
    )
  }
  for (const [name, somebody] of Object.entries(people)) {
    const canary = canaries.get(name)!
    t.match(
      (await somebody.get('/v1/bookmarks/shared')).body,
      { title: canary },
      `${name} reads what ${name} wrote`
    )
    t.match((await somebody.get('/v1/settings/theme')).body, { value: canary })
    t.match((await somebody.get('/v1/tenant')).body, { usage: { records: 3 } })
    const lists = await Promise.all(LISTS.map((path) => somebody.get(path)))
    for (const { text } of lists) t.match(text, canary)
    const absent = await somebody.get(`/v1/bookmarks/canary-${randomUUID()}`)
    for (const [other, foreign] of canaries) {
      if (other === name) continue
      for (const [i, { text }] of lists.entries()) {
        t.notMatch(text, foreign, `${name} sees nothing of ${other} at ${LISTS[i]}`)
      }
      t.strictSame(
        blank(await somebody.get(`/v1/bookmarks/${foreign}`)),
        blank(absent),
        `${other}'s bookmark is to ${name} as one that never was`
      )
      await somebody.delete(`/v1/bookmarks/${foreign}`)
      t.equal((await somebody.patch(`/v1/bookmarks/${foreign}`, { title: 'changed' })).status, 404)
    }
  }
  const [first] = Object.values(people)
  for (const id of ['shared', canaries.values().next().value!]) {
    t.equal((await first!.delete(`/v1/bookmarks/${id}`)).status, 204)
  }
  for (const [name, somebody] of Object.entries(people).slice(1)) {
    for (const id of ['shared', canaries.get(name)!]) {
      t.match(await somebody.get(`/v1/bookmarks/${id}`), {
        status: 200,
        body: { title: canaries.get(name)! }
      }, `${name}'s is still there, as it was`)
    }
  }
}

/** An answer without what differs between any two: ids of requests, and of what was asked for. */
const blank = ({ status, text }: { status: number, text: string }) => ({
  status,
  text: text.replace(/"instance":"[^"]*"/, '').replaceAll(/canary-[\w-]+/g, '')
})

t.test('in a pool that tenants share, a claim tells the tenant', async (t) => {
  const pools = await startPools(t)
  const shared = pools.pool('shared')
  const second = pools.pool('second', { key: namedKey('k2', secondKey) })
  const as = await hubOf(t, pools)
  const member = (tenant: unknown, sub = 'alice') => as(shared.token({ 'custom:tenant_id': tenant, sub }))
  for (const tenant of ['abc', 'a'.repeat(48), '123', 'a-b']) {
    t.strictSame(await whoIs(member(tenant)), [200, tenant, 'alice'])
  }
  t.strictSame(
    await whoIs(member(undefined)),
    [401, 'MISSING_TENANT_ID'],
    'there is no tenant for those who name none'
  )
  t.strictSame(await whoIs(member('Acme')), [400, 'INVALID_TENANT_ID'])
  await keepApart(t, {
    'Alice of acme': member('acme'),
    'Alice of globex': member('globex'),
    'Alice of acm': member('acm'),
    'Bob of acme': member('acme', 'bob'),
    'alice, in capitals, of acme': member('acme', 'ALICE')
  })
  t.equal(
    (await member('initech').put('/v1/bookmarks/b1', { url: 'https://example.com', title: 'by the first' }))
      .status,
    201
  )
  t.match(await as(second.token({ 'custom:tenant_id': 'initech' })).get('/v1/bookmarks/b1'), {
    status: 200,
    body: { title: 'by the first' }
  }, 'two pools that are trusted to name any tenant name the same one')
})

t.test('a pool that belongs to one tenant tells the tenant by its issuer, and speaks for no other', async (t) => {
  const pools = await startPools(t)
  const acme = pools.pool('acme', { tenant: { fixed: 'acme' }, key: namedKey('k1', secondKey) })
  const globex = pools.pool('globex', { tenant: { fixed: 'globex' }, key: namedKey('k1', thirdKey) })
  const as = await hubOf(t, pools)
  const [ofAcme, ofGlobex] = [acme, globex].map((pool) =>
    as(pool.token({ 'custom:tenant_id': undefined }))
  ) as [Person, Person]
  t.strictSame(await whoIs(ofAcme), [200, 'acme', 'alice'], 'without a claim')
  t.strictSame(await whoIs(ofGlobex), [200, 'globex', 'alice'])
  t.strictSame(
    await whoIs(as(acme.token({ 'custom:tenant_id': 'acme' }))),
    [200, 'acme', 'alice'],
    'with the claim that agrees'
  )
  await keepApart(t, {
    'Alice of acme': ofAcme,
    'Alice of globex': ofGlobex,
    'Bob of acme': as(acme.token({ sub: 'bob' }))
  })

  const intruders = {
    'a token of acme that claims globex': acme.token({ 'custom:tenant_id': 'globex' }),
    'a token of globex that claims acme': globex.token({ 'custom:tenant_id': 'acme' })
  }
  for (const [name, token] of Object.entries(intruders)) {
    t.strictSame(await whoIs(as(token)), [403, 'UNAUTHORIZED_ACCESS'], name)
    for (const path of ['/v1/bookmarks', '/v1/bookmarks/shared', '/v1/settings/theme']) {
      t.match(
        await as(token).get(path),
        { status: 403, body: { errorType: 'UNAUTHORIZED_ACCESS' } },
        `${name} reads no ${path}`
      )
    }
    t.match(await as(token).put('/v1/bookmarks/intruded', { url: 'https://example.com', title: name }), {
      status: 403,
      body: { errorType: 'UNAUTHORIZED_ACCESS' }
    }, `${name} writes nothing`)
  }
  for (const somebody of [ofAcme, ofGlobex]) {
    t.equal((await somebody.get('/v1/bookmarks/intruded')).status, 404, 'neither there nor here')
  }
  for (const header of [{}, { kid: 'k2' }]) {
    t.strictSame(
      await whoIs(as(acme.token({ iss: globex.entry.issuer, 'custom:tenant_id': undefined }, header))),
      [401, 'UNAUTHENTICATED'],
      "signed by its own key under the other pool's issuer"
    )
  }
})

t.test('in a pool without tenants every user is a tenant, whatever the token claims', async (t) => {
  const pools = await startPools(t)
  const own = pools.pool('own', { tenant: { sub: true } })
  const as = await hubOf(t, pools)
  const user = (sub: string, claimed?: unknown) => as(own.token({ sub, 'custom:tenant_id': claimed }))
  for (const claimed of [undefined, 'acme', 'bob', 7]) {
    t.strictSame(
      await whoIs(user('alice', claimed)),
      [200, 'alice', 'alice'],
      `claims ${JSON.stringify(claimed)}`
    )
  }
  for (const sub of ['Alice', 'ab', 'a_b', 'a'.repeat(49)]) {
    t.strictSame(await whoIs(user(sub)), [400, 'INVALID_TENANT_ID'], `${sub} can't be a tenant`)
  }
  await keepApart(t, {
    Alice: user('alice'),
    Bob: user('bob', 'alice'),
    'the user of a longer name': user('alice2')
  })
  t.match(
    await user('bob', 'alice').get('/v1/bookmarks/shared'),
    await user('bob').get('/v1/bookmarks/shared').then(({ text }) => ({ text })),
    'a claim changes nothing'
  )
})

t.test('one user id in pools of all three kinds is several people', async (t) => {
  const pools = await startPools(t)
  const shared = pools.pool('shared')
  const fixed = pools.pool('fixed', { tenant: { fixed: 'globex' }, key: namedKey('k1', secondKey) })
  const own = pools.pool('own', { tenant: { sub: true }, key: namedKey('k1', thirdKey) })
  const as = await hubOf(t, pools)
  await keepApart(t, {
    'Alice of a claimed tenant': as(shared.token()),
    'Alice of a fixed tenant': as(fixed.token({ 'custom:tenant_id': undefined })),
    'Alice on her own': as(own.token())
  })
})
