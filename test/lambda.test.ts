import { readdirSync, statSync } from 'node:fs'
import t from 'tap'
import { startIssuer } from './harness/hub.ts'
import { FORGED, http, rest, startEntries, type Asked, type Received } from './harness/lambda.ts'

/** The bundle that is deployed, fed with the events that AWS makes, answers what the server answers. */

const issuer = await startIssuer(t)
const { fromServer, fromBundle } = await startEntries(t, [issuer.entry])
const tokenOf = async (user: string, tenant = 'acme') =>
  `Bearer ${(await issuer.mint({ tenant, user })).access_token}`
const alice = await tokenOf('alice')

const EVENTS: Record<string, (asked: Asked) => object> = {
  'a REST API': rest,
  'an HTTP API': http,
  'a function URL': (asked) => http(asked, 'abcdef.lambda-url.eu-west-1.on.aws')
}

const HEADERS = ['content-type', 'etag', 'location', 'cache-control', 'www-authenticate',
  'x-content-type-options', 'content-security-policy']
/** Without what differs between any two requests: ids of requests, times, and the sealing of cursors. */
function comparable ({ status, headers, body }: Received) {
  const text = /json/.test(headers['content-type'] ?? '')
    ? body.toString().replace(/"instance":"[^"]*"/, '').replace(/"(createdAt|updatedAt)":"[^"]*"/g, '"$1"')
      .replace(/"cursor":"[^"]*"/, '"cursor"')
    : body.toString('base64')
  return { status, ...Object.fromEntries(HEADERS.map((name) => [name, headers[name]])), text }
}

for (const [name, eventOf] of Object.entries(EVENTS)) {
  t.test(`the bundle answers an event of ${name} as the server answers the request`, async (t) => {
    // Server and bundle share a table: each gets a space of its own, so that both see the same history.
    const [here, there] = await Promise.all([tokenOf(`server-${name.length}`),
      tokenOf(`bundle-${name.length}`)])
    const both = async (what: string, asked: Asked, bundleAsked = asked) => {
      const signed = (request: Asked, token: string): Asked => ({
        ...request,
        headers: { Authorization: token, ...request.headers }
      })
      const answers = [await fromServer(signed(asked, here)),
        await fromBundle(eventOf(signed(bundleAsked, there)))] as const
      t.same(comparable(answers[1]), comparable(answers[0]), `${what}: ${answers[0].status}`)
      return answers
    }
    const json = { 'Content-Type': 'application/json' }
    const put = (id: string, value: object): Asked => ({
      method: 'PUT',
      path: `/v1/bookmarks/${id}`,
      headers: json,
      body: JSON.stringify(value)
    })
    await both(
      'a new bookmark',
      put('b1', { url: 'https://example.com/ü?a=1,2', title: 'Grüße \u{1F600}', tags: ['a,b', 'c'] })
    )
    await both('a body in base64', {
      ...put('b2', {}),
      body: Buffer.from('{"url":"https://example.com/2","title":"ä"}')
    })
    await both('a replaced one', put('b2', { url: 'https://example.com/2', title: 'two', tags: ['a', 'b'] }))
    await both('one record', { method: 'GET', path: '/v1/bookmarks/b1' })
    await both('a patch', {
      method: 'PATCH',
      path: '/v1/bookmarks/b1',
      headers: { 'Content-Type': 'application/merge-patch+json', 'If-Match': '"1"' },
      body: '{"favorite":true}'
    })
    const [{ headers: { etag } }] = await both('its tag', { method: 'GET', path: '/v1/bookmarks/b1' })
    await both('known already', {
      method: 'GET',
      path: '/v1/bookmarks/b1',
      headers: { 'If-None-Match': etag! }
    })
    await both('an old tag', {
      ...put('b1', { url: 'https://example.com', title: '' }),
      headers: { ...json, 'If-Match': '"1"' }
    })
    await both('bad input', put('b3', { url: 'javascript:alert(1)', title: '' }))
    await both('bytes that are not UTF-8', { ...put('b3', {}), body: Buffer.from([0x7b, 0xff, 0x7d]) })
    await both('a wrong media type', { ...put('b3', {}), headers: { 'Content-Type': 'text/plain' } })
    await both('no body', { method: 'PUT', path: '/v1/bookmarks/b3', headers: json })
    await both('a filter with a comma', { method: 'GET', path: '/v1/bookmarks', query: [['tag', 'a,b']] })
    await both('a URL as a filter', {
      method: 'GET',
      path: '/v1/bookmarks',
      query: [['url', 'https://example.com/ü?a=1,2']]
    })
    await both('a parameter twice', {
      method: 'GET',
      path: '/v1/bookmarks',
      query: [['tag', 'a'], ['tag', 'b']]
    })
    await both('an unknown parameter', { method: 'GET', path: '/v1/bookmarks', query: [['x', '1']] })
    const [a, b] = await both('a page', { method: 'GET', path: '/v1/bookmarks', query: [['limit', '1']] })
    const next = ({ body }: { body: Buffer }): Asked => ({
      method: 'GET',
      path: '/v1/bookmarks',
      query: [['limit', '1'], ['cursor', (JSON.parse(body.toString()) as { cursor: string }).cursor]]
    })
    await both('the next page', next(a), next(b))
    await both('a cursor of the other', next(b), next(a))
    await both('no such record', { method: 'GET', path: '/v1/bookmarks/none' })
    await both('no such route', { method: 'GET', path: '/v1/none' })
    await both('a bad id', { method: 'GET', path: '/v1/bookmarks/a.b' })
    await both('deleted', { method: 'DELETE', path: '/v1/bookmarks/b2', headers: json })
    await both('deleted before', { method: 'DELETE', path: '/v1/bookmarks/b2' })
    await both('no good token', {
      method: 'GET',
      path: '/v1/bookmarks',
      headers: { Authorization: 'Bearer x.y.z' }
    })
    await both('cookies, which mean nothing', {
      method: 'GET',
      path: '/v1/bookmarks/b1',
      headers: { Cookie: 'a=1; b=2' }
    })
    const [ours, theirs] = await both('a request id', {
      method: 'GET',
      path: '/v1/limits',
      headers: { 'X-Request-Id': 'from-the-client-1' }
    })
    t.same([ours.headers['x-request-id'], theirs.headers['x-request-id']], ['from-the-client-1',
      'from-the-client-1'], 'the id of a client runs through')
    for (
      const path of ['/health', '/ready', '/openapi.json', '/docs', ...readdirSync('dist/docs').map((file) =>
        `/docs/static/${file}`
      )]
    ) {
      const asked = { method: 'GET', path }
      const [ours, theirs] = [await fromServer(asked), await fromBundle(eventOf(asked))]
      t.notMatch(
        Object.keys(theirs.headers).join(),
        /connection|keep-alive|transfer-encoding/,
        'no header of a connection'
      )
      t.ok(
        ours.body.equals(theirs.body) && ours.status === 200 && theirs.status === 200 &&
          ours.headers['content-type'] === theirs.headers['content-type'],
        `${path}, ${ours.body.length} bytes`
      )
    }
  })

  t.test(`what an authorizer wrote into an event of ${name} is never believed`, async (t) => {
    const ask = async (headers: Asked['headers']) =>
      fromBundle(eventOf({ method: 'GET', path: '/v1/tenant', headers }))
    t.equal((await ask({})).status, 401, "claims without a token are nobody's")
    t.equal((await ask({ Authorization: [alice, alice] })).status, 401, 'two tokens are none')
    t.match(JSON.parse((await ask({ Authorization: alice })).body.toString()), {
      tenantId: 'acme',
      userId: 'alice'
    }, 'claims of another tenant beside a token')
    for (const header of ['x-apigateway-event', 'X-Apigateway-Event', 'x-aws-lambda-fastify-request']) {
      t.equal(
        (await ask({
          [header]: encodeURIComponent(JSON.stringify({ requestContext: { authorizer: FORGED } }))
        })).status,
        401,
        header
      )
    }
  })
}

t.test('a stage in the path of a REST API is taken off, and what is no request gets an answer', async (t) => {
  const event = rest({ method: 'GET', path: '/prod/v1/tenant', headers: { Authorization: alice } })
  t.equal((await fromBundle(event)).status, 200)
  for (
    const strange of [{}, { source: 'aws.events' }, { version: '2.0', rawPath: '/', rawQueryString: '' }, {
      httpMethod: 'GET',
      path: '/health',
      headers: null,
      multiValueHeaders: null,
      requestContext: {}
    }]
  ) t.ok((await fromBundle(strange)).status < 500, JSON.stringify(strange))
})

t.test('the bundle stays small, because a cold start reads all of it', async (t) => {
  const { size } = statSync('dist/lambda.mjs')
  t.comment(`dist/lambda.mjs: ${size} bytes`)
  t.ok(size < 3_700_000, `${size} bytes`)
  t.ok(size > 100_000, 'and is the bundle')
})
