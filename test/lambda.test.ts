import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { buildApp } from '../src/app.ts'
import { loadConfig } from '../src/config.ts'
import { createTable } from '../src/local/create-table.ts'
import { startIssuer, storeEndpoint } from './harness/hub.ts'

/** The bundle that is deployed, fed with the events that AWS makes, answers what the server answers. */

interface Asked { method: string, path: string, query?: [string, string][], headers?: Record<string, string | string[]>, body?: string | Buffer }
interface Answer { statusCode: number, headers: Record<string, string>, body: string, isBase64Encoded?: boolean }

// What tap puts before a test's own arguments is not for the build.
if (!existsSync('dist/lambda.mjs')) execFileSync(process.execPath, [createRequire(import.meta.url).resolve('tsx/cli'), 'scripts/build.ts'], { env: { ...process.env, NODE_OPTIONS: '' } })

const issuer = await startIssuer(t)
const table = `test-${randomUUID()}`
const endpoint = await storeEndpoint()
await createTable(endpoint, table)
const env = { TABLE_NAME: table, ISSUERS: JSON.stringify([issuer.entry]), HUB_SECRET: 'a secret of at least 32 characters', AWS_REGION: 'eu-west-1', DYNAMODB_ENDPOINT: endpoint, AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', LOG_LEVEL: 'silent', LIMIT_REQUESTS_PER_ADDRESS: '0', LIMIT_REQUESTS_PER_TENANT: '0' }
Object.assign(process.env, env)

const server = await buildApp(loadConfig(env))
t.teardown(() => server.close())
const { handler } = await import(pathToFileURL(join('dist', 'lambda.mjs')).href) as { handler: (event: object, context: object) => Promise<Answer> }
const tokenOf = async (user: string, tenant = 'acme') => `Bearer ${(await issuer.mint({ tenant, user })).access_token}`
const alice = await tokenOf('alice')

/** What an authorizer of another pool might have written into the event; the token decides, never this. */
const FORGED = { claims: { sub: 'mallory', 'custom:tenant_id': 'other' }, jwt: { claims: { sub: 'mallory', 'custom:tenant_id': 'other' }, scopes: [] }, lambda: { tenantId: 'other' }, principalId: 'mallory' }

const first = <T>(value: T | T[]): T => Array.isArray(value) ? value.at(-1)! : value
const encoded = (body: Asked['body']) => body === undefined ? {} : Buffer.isBuffer(body) ? { body: body.toString('base64'), isBase64Encoded: true } : { body, isBase64Encoded: false }
const queryString = (query: [string, string][] = []) => new URLSearchParams(query).toString()

/** API Gateway REST API, payload 1.0: header names keep their case, the stage is in the path of a default domain's context. */
function rest ({ method, path, query = [], headers = {}, body }: Asked, stage = 'prod'): object {
  const named = Object.entries({ Host: 'abc123.execute-api.eu-west-1.amazonaws.com', 'X-Forwarded-For': '203.0.113.7', 'X-Forwarded-Proto': 'https', ...headers })
  const multi = Object.fromEntries([...new Set(query.map(([name]) => name))].map((name) => [name, query.filter((pair) => pair[0] === name).map(([, value]) => value)]))
  return {
    resource: '/{proxy+}', path, httpMethod: method, headers: Object.fromEntries(named.map(([name, value]) => [name, first(value)])), multiValueHeaders: Object.fromEntries(named.map(([name, value]) => [name, [value].flat()])),
    queryStringParameters: query.length === 0 ? null : Object.fromEntries(query), multiValueQueryStringParameters: query.length === 0 ? null : multi, pathParameters: { proxy: path.slice(1) }, stageVariables: null,
    requestContext: { accountId: '123456789012', apiId: 'abc123', authorizer: FORGED, httpMethod: method, identity: { sourceIp: '203.0.113.7' }, path: `/${stage}${path}`, protocol: 'HTTP/1.1', requestId: randomUUID(), resourcePath: '/{proxy+}', stage },
    body: null, isBase64Encoded: false, ...encoded(body)
  }
}

/** HTTP API, payload 2.0: names in lower case, repeated values joined with commas, cookies apart. */
function http ({ method, path, query = [], headers = {}, body }: Asked, domainName = 'abc123.execute-api.eu-west-1.amazonaws.com'): object {
  const { cookie, ...rest } = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), [value].flat().join(',')]))
  const joined: Record<string, string> = {}
  for (const [name, value] of query) joined[name] = name in joined ? `${joined[name]},${value}` : value
  return {
    version: '2.0', routeKey: '$default', rawPath: path, rawQueryString: queryString(query), ...cookie !== undefined && { cookies: cookie.split('; ') }, headers: { host: domainName, 'x-forwarded-for': '203.0.113.7', ...rest }, ...query.length > 0 && { queryStringParameters: joined },
    requestContext: { accountId: '123456789012', apiId: 'abc123', authorizer: FORGED, domainName, http: { method, path, protocol: 'HTTP/1.1', sourceIp: '203.0.113.7', userAgent: 'test' }, requestId: 'JKJaXmPLvHcESHA=', routeKey: '$default', stage: '$default', timeEpoch: 1 },
    ...encoded(body), isBase64Encoded: Buffer.isBuffer(body)
  }
}

const EVENTS: Record<string, (asked: Asked) => object> = {
  'a REST API': rest,
  'an HTTP API': http,
  'a function URL': (asked) => http(asked, 'abcdef.lambda-url.eu-west-1.on.aws')
}

const fromServer = async ({ method, path, query, headers, body }: Asked) => {
  const answer = await server.inject({ method: method as 'GET', url: `${path}${query === undefined ? '' : `?${queryString(query)}`}`, headers: headers ?? {}, ...body !== undefined && { payload: body } })
  return { status: answer.statusCode, headers: answer.headers as Record<string, string>, body: answer.rawPayload }
}
const fromBundle = async (event: object) => {
  const { statusCode, headers, body, isBase64Encoded } = await handler(event, { awsRequestId: randomUUID(), callbackWaitsForEmptyEventLoop: true })
  return { status: statusCode, headers, body: Buffer.from(body, isBase64Encoded === true ? 'base64' : 'utf8') }
}

const HEADERS = ['content-type', 'etag', 'location', 'cache-control', 'www-authenticate', 'x-content-type-options', 'content-security-policy']
/** Without what differs between any two requests: ids of requests, times, and the sealing of cursors. */
function comparable ({ status, headers, body }: { status: number, headers: Record<string, string>, body: Buffer }) {
  const text = /json/.test(headers['content-type'] ?? '') ? body.toString().replace(/"instance":"[^"]*"/, '').replace(/"(createdAt|updatedAt)":"[^"]*"/g, '"$1"').replace(/"cursor":"[^"]*"/, '"cursor"') : body.toString('base64')
  return { status, ...Object.fromEntries(HEADERS.map((name) => [name, headers[name]])), text }
}

for (const [name, eventOf] of Object.entries(EVENTS)) {
  t.test(`the bundle answers an event of ${name} as the server answers the request`, async (t) => {
    // Server and bundle share a table: each gets a space of its own, so that both see the same history.
    const [here, there] = await Promise.all([tokenOf(`server-${name.length}`), tokenOf(`bundle-${name.length}`)])
    const both = async (what: string, asked: Asked, bundleAsked = asked) => {
      const signed = (request: Asked, token: string): Asked => ({ ...request, headers: { Authorization: token, ...request.headers } })
      const answers = [await fromServer(signed(asked, here)), await fromBundle(eventOf(signed(bundleAsked, there)))] as const
      t.same(comparable(answers[1]), comparable(answers[0]), `${what}: ${answers[0].status}`)
      return answers
    }
    const json = { 'Content-Type': 'application/json' }
    const put = (id: string, value: object): Asked => ({ method: 'PUT', path: `/v1/bookmarks/${id}`, headers: json, body: JSON.stringify(value) })
    await both('a new bookmark', put('b1', { url: 'https://example.com/ü?a=1,2', title: 'Grüße \u{1F600}', tags: ['a,b', 'c'] }))
    await both('a body in base64', { ...put('b2', {}), body: Buffer.from('{"url":"https://example.com/2","title":"ä"}') })
    await both('a replaced one', put('b2', { url: 'https://example.com/2', title: 'two', tags: ['a', 'b'] }))
    await both('one record', { method: 'GET', path: '/v1/bookmarks/b1' })
    await both('a patch', { method: 'PATCH', path: '/v1/bookmarks/b1', headers: { 'Content-Type': 'application/merge-patch+json', 'If-Match': '"1"' }, body: '{"favorite":true}' })
    const [{ headers: { etag } }] = await both('its tag', { method: 'GET', path: '/v1/bookmarks/b1' })
    await both('known already', { method: 'GET', path: '/v1/bookmarks/b1', headers: { 'If-None-Match': etag! } })
    await both('an old tag', { ...put('b1', { url: 'https://example.com', title: '' }), headers: { ...json, 'If-Match': '"1"' } })
    await both('bad input', put('b3', { url: 'javascript:alert(1)', title: '' }))
    await both('bytes that are not UTF-8', { ...put('b3', {}), body: Buffer.from([0x7b, 0xff, 0x7d]) })
    await both('a wrong media type', { ...put('b3', {}), headers: { 'Content-Type': 'text/plain' } })
    await both('no body', { method: 'PUT', path: '/v1/bookmarks/b3', headers: json })
    await both('a filter with a comma', { method: 'GET', path: '/v1/bookmarks', query: [['tag', 'a,b']] })
    await both('a URL as a filter', { method: 'GET', path: '/v1/bookmarks', query: [['url', 'https://example.com/ü?a=1,2']] })
    await both('a parameter twice', { method: 'GET', path: '/v1/bookmarks', query: [['tag', 'a'], ['tag', 'b']] })
    await both('an unknown parameter', { method: 'GET', path: '/v1/bookmarks', query: [['x', '1']] })
    const [a, b] = await both('a page', { method: 'GET', path: '/v1/bookmarks', query: [['limit', '1']] })
    const next = ({ body }: { body: Buffer }): Asked => ({ method: 'GET', path: '/v1/bookmarks', query: [['limit', '1'], ['cursor', (JSON.parse(body.toString()) as { cursor: string }).cursor]] })
    await both('the next page', next(a), next(b))
    await both('a cursor of the other', next(b), next(a))
    await both('no such record', { method: 'GET', path: '/v1/bookmarks/none' })
    await both('no such route', { method: 'GET', path: '/v1/none' })
    await both('a bad id', { method: 'GET', path: '/v1/bookmarks/a.b' })
    await both('deleted', { method: 'DELETE', path: '/v1/bookmarks/b2', headers: json })
    await both('deleted before', { method: 'DELETE', path: '/v1/bookmarks/b2' })
    await both('no good token', { method: 'GET', path: '/v1/bookmarks', headers: { Authorization: 'Bearer x.y.z' } })
    await both('cookies, which mean nothing', { method: 'GET', path: '/v1/bookmarks/b1', headers: { Cookie: 'a=1; b=2' } })
    const [ours, theirs] = await both('a request id', { method: 'GET', path: '/v1/limits', headers: { 'X-Request-Id': 'from-the-client-1' } })
    t.same([ours.headers['x-request-id'], theirs.headers['x-request-id']], ['from-the-client-1', 'from-the-client-1'], 'the id of a client runs through')
    for (const path of ['/health', '/ready', '/openapi.json', '/docs', ...readdirSync('dist/docs').map((file) => `/docs/static/${file}`)]) {
      const asked = { method: 'GET', path }
      const [ours, theirs] = [await fromServer(asked), await fromBundle(eventOf(asked))]
      t.ok(ours.body.equals(theirs.body) && ours.status === 200 && theirs.status === 200 && ours.headers['content-type'] === theirs.headers['content-type'], `${path}, ${ours.body.length} bytes`)
    }
  })

  t.test(`what an authorizer wrote into an event of ${name} is never believed`, async (t) => {
    const ask = async (headers: Asked['headers']) => fromBundle(eventOf({ method: 'GET', path: '/v1/tenant', headers }))
    t.equal((await ask({})).status, 401, 'claims without a token are nobody\'s')
    t.equal((await ask({ Authorization: [alice, alice] })).status, 401, 'two tokens are none')
    t.match(JSON.parse((await ask({ Authorization: alice })).body.toString()), { tenantId: 'acme', userId: 'alice' }, 'claims of another tenant beside a token')
    for (const header of ['x-apigateway-event', 'X-Apigateway-Event', 'x-aws-lambda-fastify-request']) t.equal((await ask({ [header]: encodeURIComponent(JSON.stringify({ requestContext: { authorizer: FORGED } })) })).status, 401, header)
  })
}

t.test('a stage in the path of a REST API is taken off, and what is no request gets an answer', async (t) => {
  const event = rest({ method: 'GET', path: '/prod/v1/tenant', headers: { Authorization: alice } })
  t.equal((await fromBundle(event)).status, 200)
  for (const strange of [{}, { source: 'aws.events' }, { version: '2.0', rawPath: '/', rawQueryString: '' }, { httpMethod: 'GET', path: '/health', headers: null, multiValueHeaders: null, requestContext: {} }]) t.ok((await fromBundle(strange)).status < 500, JSON.stringify(strange))
})

t.test('the bundle stays small, because a cold start reads all of it', async (t) => {
  const { size } = statSync('dist/lambda.mjs')
  t.comment(`dist/lambda.mjs: ${size} bytes`)
  t.ok(size < 3_580_000, `${size} bytes`)
  t.ok(size > 100_000, 'and is the bundle')
})
