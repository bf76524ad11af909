import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { STSClient } from '@aws-sdk/client-sts'
import t, { type Test } from 'tap'
import { startApp, startIssuer, person, storeEndpoint, testConfig } from './harness/hub.ts'
import { watchLog } from './harness/watched-log.ts'

type Strange = (response: ServerResponse, incoming: IncomingMessage) => void

const JSON_TYPE = { 'content-type': 'application/x-amz-json-1.0' }
const PAGE = '<!doctype html><title>Bad gateway</title>'
const page = (status: number, type = 'text/html'): Strange => (response) =>
  response.writeHead(status, { 'content-type': type }).end(PAGE)

/** What may stand between a hub and its store, and say in the store's place. */
const STRANGE: Readonly<Record<string, Strange>> = {
  'a proxy that has no store behind it': page(502),
  'a page that is called JSON': page(502, 'application/json'),
  'an overloaded proxy': page(503),
  'a proxy that waited too long': (response) => response.writeHead(504).end(),
  'a 500 without a body': (response) => response.writeHead(500).end(),
  "a 500 with JSON that is not the store's": (response) =>
    response.writeHead(500, JSON_TYPE).end('{"error":"x"}'),
  'a 500 with JSON that is cut off': (response) => response.writeHead(500, JSON_TYPE).end('{"__type":"Int'),
  'a 200 with JSON that is cut off': (response) => response.writeHead(200, JSON_TYPE).end('{"Item":{"pk":'),
  'a 200 with a page': page(200),
  'a 200 with nothing': (response) => response.writeHead(200).end(),
  'a 200 with nothing that is called JSON': (response) => response.writeHead(200, JSON_TYPE).end(),
  'a proxy that forbids': page(403),
  'a proxy that wants a password': page(407),
  'a proxy that asks for patience': page(429),
  'a connection that is reset': (_response, { socket }) => socket.resetAndDestroy(),
  'a connection that is reset in the middle of an answer': (response, { socket }) => {
    response.writeHead(200, { ...JSON_TYPE, 'content-length': 1000 })
    response.write('{"Item":', () => socket.resetAndDestroy())
  },
  'what is not HTTP': (_response, { socket }) => socket.end('+OK ready\r\n')
}

/** Passes on to the store what is asked, until it is told to be strange. */
async function startBetween (t: Test) {
  const { hostname, port } = new URL(await storeEndpoint())
  const between: { strange: Strange | undefined, endpoint: string } = { strange: undefined, endpoint: '' }
  const server = createServer((incoming, outgoing) => {
    if (between.strange !== undefined) {
      incoming.resume()
      incoming.once('end', () => between.strange!(outgoing, incoming))
      return
    }
    incoming.pipe(request({ hostname, port, method: 'POST', headers: incoming.headers }, (response) => {
      outgoing.writeHead(response.statusCode!, response.headers)
      response.pipe(outgoing)
    }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  between.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return between
}

t.test('whatever stands in for the store says nothing: 503, to be sent again, and what is there is untouched', async (t) => {
  const between = await startBetween(t)
  const issuer = await startIssuer(t)
  const log = watchLog(t)
  log.expectLog(/"errorType":"STORE_UNAVAILABLE"/)
  log.expectLog(/"errorType":"NOT_READY"/)
  const app = await startApp(t, {
    ...await testConfig(),
    dynamodbEndpoint: between.endpoint,
    issuers: [issuer.entry]
  }, { log })
  const alice = person(app, (await issuer.mint({ tenant: 'acme', user: 'alice' })).access_token)
  const bookmark = { url: 'https://example.com', title: 'there' }
  await alice.put('/v1/bookmarks/b', bookmark)
  for (const [name, strange] of Object.entries(STRANGE)) {
    between.strange = strange
    const answers = await Promise.all([alice.get('/v1/bookmarks/b'), alice.get('/v1/bookmarks'),
      alice.get('/v1/sync'), alice.get('/v1/public/settings'),
      alice.put('/v1/bookmarks/b', { ...bookmark, title: 'other' })])
    for (const [index, answer] of answers.entries()) {
      t.match(answer, {
        status: 503,
        headers: { 'retry-after': /^\d+$/ },
        body: { errorType: 'STORE_UNAVAILABLE' }
      }, `${name}: ${index}`)
      t.notMatch(answer.text, /html|Bad gateway/)
    }
    t.equal((await alice.get('/ready')).status, 503, name)
    between.strange = undefined
    t.match((await alice.get('/v1/bookmarks/b')).body, { title: 'there', rev: 1 }, name)
  }
})

t.test('as little does what stands in for STS', async (t) => {
  const between = await startBetween(t)
  const issuer = await startIssuer(t)
  for (const [name, strange] of Object.entries(STRANGE)) {
    const log = watchLog(t)
    log.expectLog(/"errorType":"STORE_UNAVAILABLE"/)
    between.strange = strange
    const app = await startApp(t, {
      ...await testConfig(),
      issuers: [issuer.entry],
      tenantRoleArn: 'arn:aws:iam::123456789012:role/tenant',
      operatorRoleArn: 'arn:aws:iam::123456789012:role/operator'
    }, {
      log,
      sts: new STSClient({
        region: 'eu-west-1',
        endpoint: between.endpoint,
        credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
        maxAttempts: 1
      })
    })
    const alice = person(app, (await issuer.mint({ tenant: 'acme', user: 'alice' })).access_token)
    t.match(await alice.get('/v1/bookmarks/b'), {
      status: 503,
      headers: { 'retry-after': /^\d+$/ },
      body: { errorType: 'STORE_UNAVAILABLE' }
    }, name)
  }
})

t.test('a store that is spoken to by TLS, and does not speak it', async (t) => {
  const issuer = await startIssuer(t)
  const log = watchLog(t)
  log.expectLog(/"errorType":"STORE_UNAVAILABLE"/)
  const endpoint = (await storeEndpoint()).replace('http:', 'https:')
  const app = await startApp(t, {
    ...await testConfig(),
    dynamodbEndpoint: endpoint,
    issuers: [issuer.entry]
  }, { log })
  const alice = person(app, (await issuer.mint({ tenant: 'acme', user: 'alice' })).access_token)
  t.match(await alice.get('/v1/bookmarks/b'), { status: 503, headers: { 'retry-after': '1' } })
})
