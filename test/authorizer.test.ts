import { execFile, execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import type { APIGatewayRequestAuthorizerEventV2, APIGatewaySimpleAuthorizerResult } from 'aws-lambda'
import fc from 'fast-check'
import t from 'tap'
import { figure, sized } from './harness/figures.ts'
import { privateKey, startHub } from './harness/hub.ts'
import { encode, forge, hmac, namedKey, newRsaKey, signedBy, startPools } from './harness/tokens.ts'

/**
 * The API's request authorizer says of every token what the hub says of it: they are fed the same ones here.
 */

type Handler = (
  event: Pick<APIGatewayRequestAuthorizerEventV2, 'headers'>
) => Promise<APIGatewaySimpleAuthorizerResult>

if (!existsSync('dist/authorizer.mjs')) {
  execFileSync(process.execPath, [createRequire(import.meta.url).resolve('tsx/cli'), 'scripts/build.ts'], {
    env: { ...process.env, NODE_OPTIONS: '' }
  })
}

const { pool, entries } = await startPools(t)
const otherKey = newRsaKey()
const shared = pool('shared')
const ids = pool('ids', { tokenUse: 'id' })
const acme = pool('acme', { tenant: { fixed: 'acme' } })
const globex = pool('globex', { tenant: { fixed: 'globex' }, key: namedKey('k-globex', otherKey) })
const own = pool('own', { tenant: { sub: true } })
const down = pool('down')
down.misbehave = (_request, response) => {
  response.writeHead(500).end()
}

const hub = await startHub(t, { issuers: entries() })
hub.expectLog(/"errorType":"KEYS_UNAVAILABLE"/)
const env = {
  TABLE_NAME: 'none',
  DYNAMODB_ENDPOINT: 'http://127.0.0.1',
  HUB_SECRET: 'a secret of at least 32 characters',
  AWS_REGION: 'eu-west-1',
  ISSUERS: JSON.stringify(entries()),
  LOG_LEVEL: 'silent'
}
Object.assign(process.env, env)
const { handler }: { handler: Handler } = await import('../src/authorizer.ts')
const { handler: bundled } = await import(pathToFileURL(join('dist', 'authorizer.mjs')).href) as {
  handler: Handler
}

type Verdict = 'yes' | 'no' | 'sign in again' | 'ask again'

/** What becomes of a request with this header at the hub. */
async function ofHub (authorization: string | undefined): Promise<Verdict> {
  const { status } = await hub.anyone.get('/v1/tenant', authorization === undefined ? {} : { authorization })
  const verdict =
    ({ 200: 'yes', 400: 'no', 403: 'no', 401: 'sign in again', 503: 'ask again' } as const)[status]
  if (verdict === undefined) throw new Error(`the hub answered ${status}`)
  return verdict
}

/**
 * The same from the authorizer: API Gateway makes a 403 of a no, a 401 of this one error, and a 500 of any
 * other.
 */
async function ofAuthorizer (authorization: string | undefined, ask = handler): Promise<string> {
  try {
    const answer = JSON.stringify(await ask(event(authorization)))
    return { '{"isAuthorized":true}': 'yes', '{"isAuthorized":false}': 'no' }[answer] ?? answer
  } catch (error) {
    return (error as Error).message === 'Unauthorized' ? 'sign in again' : 'ask again'
  }
}

/** What API Gateway asks, in format 2.0. */
function event (authorization: string | undefined): APIGatewayRequestAuthorizerEventV2 {
  const http = {
    method: 'GET',
    path: '/v1/tenant',
    protocol: 'HTTP/1.1',
    sourceIp: '203.0.113.7',
    userAgent: 'test'
  }
  return {
    version: '2.0',
    type: 'REQUEST',
    routeArn: 'arn:aws:execute-api:eu-west-1:123456789012:abc123/$default/GET/v1/tenant',
    identitySource: authorization === undefined ? [] : [authorization],
    routeKey: '$default',
    rawPath: '/v1/tenant',
    rawQueryString: '',
    cookies: ['a=1'],
    headers: {
      host: 'abc123.execute-api.eu-west-1.amazonaws.com',
      'content-length': '0',
      'x-forwarded-for': '203.0.113.7',
      'x-amzn-trace-id': 'Root=1-67891233-abcdef012345678912345678',
      ...authorization !== undefined && { authorization }
    },
    requestContext: {
      accountId: '123456789012',
      apiId: 'abc123',
      domainName: 'abc123.execute-api.eu-west-1.amazonaws.com',
      domainPrefix: 'abc123',
      http,
      requestId: 'JKJaXmPLvHcESHA=',
      routeKey: '$default',
      stage: '$default',
      time: '01/Jan/2026:00:00:00 +0000',
      timeEpoch: 1_767_225_600_000
    }
  }
}

const now = Math.floor(Date.now() / 1000)
const good = shared.token()
const [header, payload, signature] = good.split('.') as [string, string, string]
const tenant = (value: unknown) => ({ 'custom:tenant_id': value })
/** The text of the payload, with a change that JSON.stringify can't make. */
const payloadText = (change: (text: string) => string) =>
  forge(shared.header(), change(JSON.stringify(shared.claims())), signedBy(privateKey))

const TOKENS: Record<Verdict, Record<string, string>> = {
  yes: {
    'a shared pool': good,
    'another tenant of it': shared.token(tenant('globex')),
    'its other client': shared.token({ client_id: 'app-2' }),
    'an id token where the registry says so': ids.token(),
    'a fixed tenant, not claimed': acme.token(tenant(undefined)),
    'a fixed tenant, claimed': acme.token(),
    'the other one': globex.token(tenant(undefined)),
    'a user who is a tenant': own.token(tenant(undefined)),
    'and claims another': own.token(tenant('acme')),
    'a clock that is a little ahead': shared.token({ iat: now + 30 }),
    'no iat': shared.token({ iat: undefined })
  },
  no: {
    'pool A claims tenant B': acme.token(tenant('globex')),
    'and the other way round': globex.token(),
    'a fixed tenant in another spelling': acme.token(tenant('Acme')),
    'a fixed tenant, claimed as nothing': acme.token(tenant('')),
    'a fixed tenant in an array': acme.token(tenant(['acme'])),
    'a tenant in capitals': shared.token(tenant('ACME')),
    'a tenant that is too short': shared.token(tenant('ab')),
    'a tenant with #': shared.token(tenant('acme#x')),
    'a tenant that is no text': shared.token(tenant({ id: 'acme' })),
    'a user who can be no tenant': own.token({ sub: 'Alice' })
  },
  'sign in again': {
    expired: shared.token({ exp: now - 1 }),
    'no exp': shared.token({ exp: undefined }),
    'exp as text': shared.token({ exp: String(now + 60) }),
    'not valid yet': shared.token({ nbf: now + 600 }),
    'issued in the future': shared.token({ iat: now + 600 }),
    'another client': shared.token({ client_id: 'app-3' }),
    'no client': shared.token({ client_id: undefined }),
    'an id token': shared.token({ token_use: 'id', client_id: undefined, aud: 'app-1' }),
    'an access token where ids are wanted': ids.token({
      token_use: 'access',
      aud: undefined,
      client_id: 'app-1'
    }),
    'no token_use': shared.token({ token_use: undefined }),
    'no tenant': shared.token(tenant(undefined)),
    'an empty tenant': shared.token(tenant('')),
    'a null tenant': shared.token(tenant(null)),
    'no user': shared.token({ sub: undefined }),
    'a user with #': own.token({ sub: 'alice#x' }),
    'an evil issuer': shared.token({ iss: 'https://evil.example' }),
    'no issuer': shared.token({ iss: undefined }),
    'an issuer with a slash more': shared.token({ iss: `${shared.entry.issuer}/` }),
    "pool A under pool B's issuer": acme.token({ iss: globex.entry.issuer }),
    "with the name of B's key": acme.token({ iss: globex.entry.issuer }, { kid: 'k-globex' }),
    'an unknown key': shared.token({}, { kid: 'k2' }),
    'a key that it brings': shared.token({}, { jwk: namedKey('k1', otherKey).jwk }, signedBy(otherKey)),
    'another key under the right name': shared.token({}, {}, signedBy(otherKey)),
    'a jku': shared.token({}, { jku: 'https://evil.example/jwks' }),
    'a crit': shared.token({}, { crit: ['exp'] }),
    'alg none': `${encode(shared.header({ alg: 'none' }))}.${payload}.`,
    'alg none, signed': shared.token({}, { alg: 'none' }),
    'HS256 with the public key': shared.token({}, { alg: 'HS256' }, hmac(JSON.stringify(shared.key.jwk))),
    RS512: shared.token({}, { alg: 'RS512' }, signedBy(privateKey, 'sha512')),
    'user twice': payloadText((text) => text.replace('{', '{"sub":"mallory",')),
    'tenant twice': payloadText((text) => text.replace('{', '{"custom:tenant_id":"globex",')),
    'another spelling of the signature': `${header}.${payload}.${signature.slice(0, -1)}${
      signature.endsWith('A') ? 'B' : String.fromCharCode(signature.charCodeAt(signature.length - 1) + 1)
    }`,
    'a padded signature': `${good}==`,
    'no signature': `${header}.${payload}.`,
    'another payload': `${header}.${encode(shared.claims({ sub: 'bob' }))}.${signature}`,
    'two parts': `${header}.${payload}`,
    'plain text': 'hunter2',
    'nothing': '',
    'a token of 13 KB': shared.token({ padding: 'x'.repeat(10_000) })
  },
  'ask again': { "a pool whose keys can't be had": down.token() }
}

/** Headers that are not `Bearer` and one token. */
const HEADERS: Record<string, [string | undefined, Verdict]> = {
  'no header': [undefined, 'sign in again'],
  'an empty header': ['', 'sign in again'],
  'the token alone': [good, 'sign in again'],
  'Basic': [`Basic ${good}`, 'sign in again'],
  'two tokens, as API Gateway joins them': [`Bearer ${good},Bearer ${good}`, 'sign in again'],
  'two blanks': [`Bearer  ${good}`, 'sign in again'],
  'a blank behind it': [`Bearer ${good} `, 'sign in again'],
  'bytes beyond ASCII': [`Bearer ${good}é`, 'sign in again'],
  'bearer': [`bearer ${good}`, 'yes'],
  'BEARER': [`BEARER ${good}`, 'yes']
}

t.test('a device token passes the edge, as a Bearer and as a Basic one, and whether its session still is the hub asks', async (t) => {
  const { body: { deviceToken, session } } = await hub.anyone.post('/v1/sessions', {
    name: 'Phone',
    platform: 'Android'
  }, { authorization: `Bearer ${good}` })
  const { body: { userId } } = await hub.anyone.get('/v1/tenant', { authorization: `Bearer ${deviceToken}` })
  const basic = (name: string, password: string) =>
    `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`
  for (const authorization of [`Bearer ${deviceToken}`, basic(userId, deviceToken)]) {
    t.strictSame([await ofHub(authorization), await ofAuthorizer(authorization),
      await ofAuthorizer(authorization, bundled)], ['yes', 'yes', 'yes'])
  }
  for (
    const authorization of [`Bearer ${deviceToken}A`, `Bearer ${deviceToken.slice(0, -1)}`,
      basic('someone-else', deviceToken), basic('', deviceToken), 'Bearer shd_x', basic(userId, good)]
  ) {
    t.strictSame([await ofHub(authorization), await ofAuthorizer(authorization),
      await ofAuthorizer(authorization, bundled)], ['sign in again', 'sign in again', 'sign in again'])
  }
  await hub.anyone.delete(`/v1/sessions/${session.id}`, { authorization: `Bearer ${good}` })
  t.strictSame([await ofHub(`Bearer ${deviceToken}`), await ofAuthorizer(`Bearer ${deviceToken}`)], [
    'sign in again',
    'yes'
  ], 'the edge has no table')
})

t.test('the authorizer takes the tokens that the hub takes, and no other', async (t) => {
  const cases = [
    ...Object.entries(TOKENS).flatMap(([verdict, tokens]) =>
      Object.entries(tokens).map(([name, token]) => [name, `Bearer ${token}`, verdict] as const)
    ),
    ...Object.entries(HEADERS).map(([name, [authorization, verdict]]) =>
      [name, authorization, verdict] as const
    )
  ]
  for (const [name, authorization, verdict] of cases) {
    t.strictSame(
      [await ofHub(authorization), await ofAuthorizer(authorization),
        await ofAuthorizer(authorization, bundled)],
      [verdict, verdict, verdict],
      `${name}: ${verdict}`
    )
  }
  figure(t, 'tokens on which the authorizer and the hub agree', cases.length)
})

t.test('they agree on any claims, and on any header', async (t) => {
  const pools = fc.constantFrom(shared, ids, acme, globex, own)
  const name = fc.constantFrom(
    'sub',
    'iss',
    'exp',
    'nbf',
    'iat',
    'aud',
    'client_id',
    'token_use',
    'custom:tenant_id',
    'cognito:groups',
    'x'
  )
  const value = fc.oneof(
    fc.constantFrom<unknown>(
      undefined,
      'acme',
      'globex',
      'alice',
      'Alice',
      'access',
      'id',
      'app-1',
      'app-2',
      now - 1,
      now + 3600,
      shared.entry.issuer,
      own.entry.issuer
    ),
    fc.jsonValue()
  )
  const claims = fc.tuple(pools, fc.dictionary(name, value, { maxKeys: 2 })).map(([pool, changes]) =>
    `Bearer ${pool.token(changes)}`
  )
  const headers = fc.tuple(pools, fc.constantFrom('alg', 'kid', 'typ', 'crit', 'jku'), value).map((
    [pool, member, changed]
  ) => `Bearer ${pool.token({}, { [member]: changed })}`)
  const seen: Record<string, number> = {}
  await fc.assert(
    fc.asyncProperty(
      fc.oneof({ weight: 4, arbitrary: claims }, { weight: 1, arbitrary: headers }),
      async (authorization) => {
        const [one, other] = [await ofHub(authorization), await ofAuthorizer(authorization)]
        seen[one] = (seen[one] ?? 0) + 1
        return one === other
      }
    ),
    { numRuns: sized(200, 3000) }
  )
  for (const verdict of ['yes', 'no', 'sign in again']) {
    t.ok((seen[verdict] ?? 0) > 0, `${verdict} was among them: ${seen[verdict]}`)
  }
  figure(
    t,
    'random tokens on which the authorizer and the hub agree',
    Object.values(seen).reduce((sum, count) => sum + count)
  )
})

t.test('only the Authorization header counts, because API Gateway keeps the answer under it alone', async (t) => {
  const asked = event(undefined)
  for (
    const headers of [{ cookie: `authorization=Bearer ${good}` }, { 'x-authorization': `Bearer ${good}` }]
  ) {
    await t.rejects(handler({ ...asked, headers: { ...asked.headers, ...headers } }), {
      message: 'Unauthorized'
    })
  }
  await t.rejects(
    handler(
      { ...asked, identitySource: [`Bearer ${good}`], rawQueryString: `access_token=${good}` } as never
    ),
    { message: 'Unauthorized' }
  )
  await t.rejects(handler({ ...asked, headers: undefined }), { message: 'Unauthorized' })
  for (
    const [name, value] of [['host', ''], ['x-request-id', '\n'], ['content-length', 'x'], ['expect',
      '100-continue']] as const
  ) {
    t.strictSame(await handler({ headers: { ...event(`Bearer ${good}`).headers, [name]: value } }), {
      isAuthorized: true
    }, name)
  }
})

t.test("what can't be found out is an error that names it, and no answer that would be kept", async (t) => {
  await t.rejects(handler(event(`Bearer ${down.token()}`)), { message: 'KEYS_UNAVAILABLE' })
})

t.test('the bundle has no way to a table', async (t) => {
  const bundle = readFileSync('dist/authorizer.mjs', 'utf8')
  t.notMatch(bundle, /DynamoDB(?:Document)?Client|AssumeRole/)
  t.comment(`dist/authorizer.mjs: ${bundle.length} bytes`)
  t.ok(bundle.length < 1_500_000, 'and stays small, because a cold start reads all of it')
})

t.test('there is no authorizer in local mode', async (t) => {
  const start = (env: Record<string, string>) =>
    promisify(execFile)(process.execPath, ['dist/authorizer.mjs'], { env }).then(
      () => 'started',
      ({ stderr }: { stderr: string }) => stderr
    )
  const [bare, lambda, table, good] = await Promise.all([start({}),
    start({ AWS_LAMBDA_FUNCTION_NAME: 'hub' }), start({ TABLE_NAME: 'none', AWS_REGION: 'eu-west-1' }),
    start(env)])
  t.match(bare, /ConfigError: .*local mode/)
  t.match(lambda, /ConfigError: .*local mode/)
  t.match(table, /ConfigError: ISSUERS is missing/)
  t.equal(good, 'started', 'with issuers there is one')
})
