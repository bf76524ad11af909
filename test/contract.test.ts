import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { routesOf } from './harness/attack.ts'
import { found as foundGroup, join } from './harness/groups.ts'
import { startHub, type Answer } from './harness/hub.ts'

/** What the OpenAPI document says, asked of every operation that it has. */

interface Operation {
  readonly operationId: string
  readonly description?: string
  readonly parameters?: readonly { readonly $ref?: string }[]
  readonly requestBody?: {
    readonly description: string,
    readonly content: Record<string, { schema: object, example: unknown }>
  }
  readonly responses: Record<string, { readonly $ref?: string }>
}

const hub = await startHub(t)
await hub.app.ready()
const document = (await hub.anyone.get('/openapi.json')).body
const operations = Object.entries<Record<string, Operation>>(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), ...operation }))
)
const resolved = (part: { $ref?: string }) =>
  part.$ref === undefined ? part : part.$ref.split('/').slice(1).reduce((node, name) => node[name], document)
const [alice, bob] = await Promise.all(
  ['alice', 'bob'].map((user) => hub.as({ tenant: 'acme', user }))
) as [Awaited<ReturnType<typeof hub.as>>, Awaited<ReturnType<typeof hub.as>>]
const TOLD = ['etag', 'location', 'retry-after', 'www-authenticate', 'allow', 'ratelimit', 'ratelimit-policy',
  'link', 'content-disposition', 'x-request-id']

/** What an answer has that its operation does not speak of. */
function undescribed ({ responses }: Operation, { status, headers }: Answer): string[] {
  const response = responses[status] ?? responses[`${Math.floor(status / 100)}XX`]
  if (response === undefined) return [`status ${status}`]
  const described = Object.keys(resolved(response).headers as object).map((name) => name.toLowerCase())
  return TOLD.filter((name) => headers[name] !== undefined && !described.includes(name))
}

t.test('every operation has a name of its own, every body a description and an example', (t) => {
  const names = operations.map(({ operationId }) => operationId)
  t.strictSame(names.filter((name) => !/^[a-z]+(?:[A-Z][a-z]+)*$/.test(name)), [])
  t.equal(new Set(names).size, operations.length)
  for (const name of ['listBookmarks', 'listGroupBookmarks', 'pushChanges', 'importGroupBookmarks']) {
    t.ok(names.includes(name), name)
  }
  for (const { operationId, requestBody } of operations) {
    if (requestBody === undefined) continue
    t.type(requestBody.description, 'string', operationId)
    for (const [type, { example }] of Object.entries(requestBody.content)) {
      t.ok(example, `${operationId}: ${type}`)
    }
  }
  const text = JSON.stringify(document)
  t.ok(text.length < 150_000, `${text.length} characters`)
  t.strictSame(
    [...text.matchAll(/"discriminator":\{[^]*?"mapping":(\{[^}]*\})/g)].map(([, mapping]) =>
      Object.keys(JSON.parse(mapping!) as object)
    ),
    [['bookmark', 'setting']]
  )
  const integers = (part: unknown): Record<string, unknown>[] =>
    typeof part !== 'object' || part === null
      ? []
      : [...(part as { type?: unknown }).type === 'integer' ? [part as Record<string, unknown>] : [],
        ...Object.values(part).flatMap(integers)]
  const large = integers(document).filter(({ maximum = Infinity }) => maximum as number >= 2 ** 31)
  t.ok(large.length > 10)
  t.strictSame(large.filter(({ format }) => format !== 'int64'), [], 'what may be large says so')
  t.end()
})

t.test('the example of every body is taken', async (t) => {
  const group = await foundGroup(alice, 'Book club')
  await join(alice, group, { user: 'bob', person: bob }, 'viewer')
  const spaces = ['/v1', `/v1/groups/${group}`]
  for (const space of spaces) {
    await alice.put(`${space}/bookmarks/there`, { url: 'https://example.com/', title: 'x' })
  }
  const session = (await alice.post('/v1/sessions', { name: 'Laptop', platform: 'x' })).body.session
    .id as string
  const batchOf = async () =>
    (await alice.post('/v1/sync?batch=true', {
      changes: [{ type: 'setting', id: 'staged', act: 'put', record: { value: 1 } }]
    })).body.id as string
  const code = async () => (await alice.post('/v1/pairings', undefined)).body.code as string
  const ids: Record<string, () => unknown> = {
    appendToBatch: batchOf,
    commitBatch: batchOf,
    updateSession: () => session,
    updateSetting: () => 'changed',
    updateGroupSetting: () => 'changed'
  }
  for (const space of spaces) await alice.put(`${space}/settings/changed`, { value: 1 })
  let bodies = 0
  for (const operation of operations) {
    for (const [type, { example }] of Object.entries(operation.requestBody?.content ?? {})) {
      const id = await (ids[operation.operationId] ?? (() => 'there'))()
      const url = operation.path.replace('{id}', String(id)).replace('{groupId}', group).replace(
        '{userId}',
        'bob'
      )
      const sent = operation.operationId === 'claimPairing'
        ? { ...example as object, code: await code() }
        : example
      // Who is invited in the example is in the group already.
      const payload = operation.operationId === 'createInvitation'
        ? { ...sent as object, userId: 'carol' }
        : sent
      const answer = await alice.request(operation.method, url, payload, { 'content-type': type })
      t.ok(answer.status >= 200 && answer.status < 300, `${operation.method} ${url} ${type}: ${answer.text}`)
      t.strictSame(undescribed(operation, answer), [], `${operation.operationId} tells all of its answer`)
      bodies++
    }
  }
  t.ok(bodies > 35, `${bodies} bodies`)
})

t.test('what is conditional is 304 to who has it, says so in the document, and is no error', async (t) => {
  await alice.put('/v1/bookmarks/there', { url: 'https://example.com/', title: 'x' })
  const { body: { publicId } } = await alice.put('/v1/settings/there', { value: 1, isPublic: true })
  const group = await foundGroup(alice, 'Another')
  for (const kind of ['bookmarks', 'settings']) {
    await alice.put(
      `/v1/groups/${group}/${kind}/there`,
      kind === 'settings' ? { value: 1 } : { url: 'https://example.com/', title: 'x' }
    )
  }
  const conditional = operations.filter(({ method, responses }) =>
    method === 'GET' && responses['304'] !== undefined
  )
  t.ok(conditional.length >= 7)
  for (const operation of conditional) {
    const url = operation.path.replace('{id}', 'there').replace('{groupId}', group).replace(
      '{publicId}',
      publicId
    )
    const { status, headers } = await alice.get(url)
    t.equal(status, 200, url)
    const again = await alice.get(url, { 'if-none-match': String(headers.etag) })
    t.match(again, { status: 304, text: '', headers: { etag: headers.etag } }, url)
    t.strictSame(undescribed(operation, again), [])
  }
  for (const operation of operations) {
    if (operation.method !== 'GET' || operation.responses['304'] !== undefined) continue
    t.notMatch(
      operation.parameters?.map((part) => resolved(part).name),
      ['If-None-Match'],
      `${operation.operationId} takes no condition`
    )
  }
  t.strictSame(hub.log.filter((line) => /"level":"(?:warn|error)"/.test(line)), [])
})

t.test('a path answers other methods with 405 and those that it takes, whatever else is wrong', async (t) => {
  const byPath = new Map<string, string[]>()
  for (const route of routesOf(hub.app)) {
    const [method, path] = route.split(' ') as [string, string]
    byPath.set(path, [...byPath.get(path) ?? [], method])
  }
  for (const [path, methods] of byPath) {
    // The router prints the files of the page without their folder.
    const url = path.replace(/:\w+/g, 'x').replace('/docs/*', '/docs/static/x')
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY']) {
      if (methods.includes(method)) continue
      const answer = await hub.anyone.request(method, url, method === 'POST' ? '{' : undefined, {
        ...method === 'POST' && { 'content-type': 'text/csv' }
      })
      // Of a name beside `:id` the router hands the methods of `:id` to that, which refuses the name.
      if (answer.status !== 405) {
        t.match(
          path,
          /\/bookmarks\/(?:import|export|tree|tags|duplicates)$/,
          `${method} ${path}: ${answer.status}`
        )
        continue
      }
      t.match(answer, {
        headers: { 'content-type': /^application\/problem\+json/, allow: [...methods].sort().join(', ') },
        body: { errorType: 'METHOD_NOT_ALLOWED', instance: answer.headers['x-request-id'] }
      }, `${method} ${path}`)
    }
  }
  for (const none of ['/', '/v1', '/v1/none', '/v1/bookmarks/a/b/c', '/v2/bookmarks']) {
    t.equal((await hub.anyone.get(none)).status, 404, none)
  }
  const open = await startHub(t, { corsOrigins: ['https://app.example'] })
  t.equal(
    (await open.anyone.get('/v1/none')).status,
    404,
    'preflights are on every path, and no method of any'
  )
  t.equal((await open.anyone.request('PUT', '/v1/limits')).headers.allow, 'GET, HEAD')
})

t.test('no header that names a host is believed, and none comes back', async (t) => {
  const host = 'canary-host.example'
  const lies = {
    host,
    'x-forwarded-host': host,
    'x-forwarded-proto': 'canary-proto',
    'x-forwarded-prefix': '/canary-prefix',
    forwarded: `host=${host};proto=canary-proto`,
    referer: `https://${host}/`,
    'x-original-url': `https://${host}/`
  }
  for (const { method, path, requestBody, operationId } of operations) {
    if (operationId === 'streamChanges') continue
    const [[type, content] = []] = Object.entries(requestBody?.content ?? {})
    const url = path.replace(/\{\w+\}/g, 'there')
    const answer = await alice.request(method, url, content?.example, {
      ...lies,
      ...type && { 'content-type': type }
    })
    t.notMatch(JSON.stringify(answer), /canary-(?:host|proto|prefix)/, `${method} ${url}`)
  }
  for (const path of ['/docs', '/docs/json', '/docs/static/swagger-initializer.js']) {
    t.notMatch(JSON.stringify(await hub.anyone.get(path, lies)), /canary-(?:host|proto|prefix)/, path)
  }
})

t.test('where a problem points to is there, or is what is missing there', async (t) => {
  const url = 'https://example.com/'
  const change = (more: object) => ({
    type: 'bookmark',
    id: 'a',
    act: 'put',
    record: { url, title: 'x' },
    ...more
  })
  const wrong = [change({ id: 'tags' }), change({ id: 'export' }), change({ id: '' }),
    change({ record: undefined }), change({ record: { url: 'javascript:1', title: 'x' } }),
    change({ record: { title: 'x' } }), change({ record: { url, title: 'x', stray: 1 } }),
    change({ type: 'none' }), change({ ifMatch: -1 }),
    change({ type: 'setting', id: 'a', record: { value: 'x'.repeat(70_000) } }), change({ space: 'nowhere' }),
    change({ record: { kind: 'folder', url, title: 'x' } }), change({ stray: 1 })]
  for (const [index, broken] of wrong.entries()) {
    const body = { changes: [change({ id: 'fine' }), broken] }
    const answer = await alice.post('/v1/sync', body)
    t.equal(answer.status, 400, `${index}`)
    for (const { pointer } of answer.body.errors as { pointer: string }[]) {
      const names = pointer.split('/').slice(1)
      const parent = names.slice(0, -1).reduce<any>((node, name) => node?.[name], body)
      t.type(parent, 'object', `${index}: ${pointer}`)
      t.ok(pointer === '' || pointer.startsWith('/changes'), `${index}: ${pointer}`)
    }
  }
  t.match(await alice.post('/v1/sync', { changes: [wrong[0]] }), {
    body: { errors: [{ pointer: '/changes/0/id' }] }
  })
  t.match(await alice.get('/v1/bookmarks?cursor=garbage'), {
    status: 400,
    body: { errors: [{ pointer: 'querystring/cursor' }] }
  })
})

t.test('what never became a request is told as a problem with an id as well', async (t) => {
  const address = await hub.app.listen({ host: '127.0.0.1', port: 0 })
  const get = (head: string) => `GET /health HTTP/1.1\r\nHost: h\r\n${head}\r\n`
  for (
    const [status, bytes] of [[431, get(`X: ${'x'.repeat(20_000)}\r\n`)], [400, 'FOO / HTTP/1.1\r\n\r\n'], [
      400,
      get('X: a\0b\r\n')
    ], [417, get('Expect: garbage\r\n')]] as const
  ) {
    const socket = connect(Number(new URL(address).port), '127.0.0.1')
    const received: Buffer[] = []
    socket.on('data', (data) => received.push(data)).on(
      'error',
      () => {/* the hub may hang up while we send */}
    )
    socket.end(bytes)
    await once(socket, 'close')
    const [head, body] = Buffer.concat(received).toString().split('\r\n\r\n') as [string, string]
    t.match(head, new RegExp(`^HTTP/1.1 ${status} `))
    const { instance, ...problem } = JSON.parse(body) as { instance: string }
    t.match(problem, { status, errorType: 'MALFORMED_REQUEST' })
    t.match(head, new RegExp(`^x-request-id: ${instance}\r?$`, 'im'))
  }
})
