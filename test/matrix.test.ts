import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import {
  attackersOf,
  fire,
  mark,
  misplaced,
  readable,
  readPast,
  routesOf,
  type Attacker,
  type Shot,
  type Sight
} from './harness/attack.ts'
import { figure, sized } from './harness/figures.ts'
import { found as foundGroup, join, type Named } from './harness/groups.ts'
import { startHub, testConfig, type Hub } from './harness/hub.ts'
import { named, shotsAt, type Spec, type Target } from './harness/places.ts'

t.setTimeout(1_800_000)

/** Faults after which there is nothing more to learn. */
const ENOUGH = 20

const bookmark = { url: 'https://attacker.example/', title: 'of an attacker' }
const setting = { value: 'of an attacker', isPublic: false }
const filters = ['folderId', 'tag', 'url', 'favorite', 'kind', 'q', 'sort']

/**
 * Every route, with what the matrix must know of it. A GET speaks for its HEAD. A route that is not here
 * fails the first test.
 */
const ROUTES: Readonly<Record<string, Spec>> = {
  'GET /health': { open: 'same' },
  'GET /ready': { open: 'same' },
  'GET /openapi.json': { open: 'same' },
  'GET /docs': { open: 'same' },
  'GET /docs/': { open: 'same' },
  'GET /docs/static/index.html': { open: 'same' },
  'GET /docs/static/swagger-initializer.js': { open: 'same' },
  'GET /docs/json': { open: 'same' },
  'GET /docs/yaml': { open: 'same' },
  'GET /docs/*': { open: 'same' },
  'GET /v1/limits': { open: 'same' },
  'GET /v1/tenant': {},
  'GET /v1/bookmarks': { list: filters },
  'POST /v1/bookmarks': { body: bookmark },
  'GET /v1/bookmarks/:id': { kind: 'bookmark' },
  'PUT /v1/bookmarks/:id': { kind: 'bookmark', body: bookmark },
  'PATCH /v1/bookmarks/:id': { kind: 'bookmark', body: { title: 'changed by an attacker' } },
  'DELETE /v1/bookmarks/:id': { kind: 'bookmark' },
  'GET /v1/bookmarks/tree': {},
  'GET /v1/bookmarks/tags': { list: [] },
  'PATCH /v1/bookmarks/tags': { body: { tag: 'zt', to: 'zu' }, replay: false },
  'DELETE /v1/bookmarks/tags': { replay: false },
  'GET /v1/bookmarks/duplicates': { list: [] },
  'POST /v1/bookmarks/:id/move': { kind: 'bookmark', body: {}, replay: false },
  'GET /v1/bookmarks/export': {},
  'POST /v1/bookmarks/import': {
    body: { format: 'sync-hub-bookmarks', version: 1, bookmarks: [] },
    replay: false
  },
  'GET /v1/settings': { list: [] },
  'GET /v1/settings/:id': { kind: 'setting' },
  'PUT /v1/settings/:id': { kind: 'setting', body: setting },
  'PATCH /v1/settings/:id': { kind: 'setting', body: { value: 'changed by an attacker' } },
  'DELETE /v1/settings/:id': { kind: 'setting' },
  'GET /v1/sync': { list: ['wait'] },
  'POST /v1/sync': { body: { changes: [{ type: 'bookmark', id: 'zp', act: 'delete' }] } },
  'GET /v1/sync/live': { list: [] },
  'GET /v1/sync/batches/:id': { kind: 'batch' },
  'POST /v1/sync/batches/:id': {
    kind: 'batch',
    replay: false,
    body: { offset: 1, changes: [{ type: 'bookmark', id: 'zp', act: 'put', record: bookmark }] }
  },
  'POST /v1/sync/batches/:id/commit': { kind: 'batch', replay: false },
  'DELETE /v1/sync/batches/:id': { kind: 'batch', replay: false },
  'GET /v1/trash': { list: ['type'] },
  'POST /v1/trash/:type/:id/restore': { kind: 'trashed', type: 'bookmark', replay: false },
  'POST /v1/changes/:n/revert': { kind: 'change', replay: false },
  'GET /v1/groups': { list: [] },
  'POST /v1/groups': { body: { name: 'of an attacker' } },
  'GET /v1/groups/:groupId': { kind: 'group' },
  'PUT /v1/groups/:groupId': { kind: 'group', replay: false, body: { name: 'of an attacker' } },
  'PATCH /v1/groups/:groupId': { kind: 'group', replay: false, body: { name: 'of an attacker' } },
  'DELETE /v1/groups/:groupId': { kind: 'group', replay: false },
  'GET /v1/groups/:groupId/members': { kind: 'group', list: [] },
  'PUT /v1/groups/:groupId/members/:userId': { kind: 'member', replay: false, body: { role: 'viewer' } },
  'DELETE /v1/groups/:groupId/members/:userId': { kind: 'member', replay: false },
  'GET /v1/groups/:groupId/invitations': { kind: 'group', list: [] },
  'POST /v1/groups/:groupId/invitations': {
    kind: 'group',
    replay: false,
    body: { userId: 'an-attacker', role: 'owner' }
  },
  'DELETE /v1/groups/:groupId/invitations/:userId': { kind: 'member', replay: false },
  'GET /v1/groups/:groupId/bookmarks': { kind: 'group', list: filters },
  'POST /v1/groups/:groupId/bookmarks': { kind: 'group', replay: false, body: bookmark },
  'GET /v1/groups/:groupId/bookmarks/:id': { kind: 'bookmark' },
  'PUT /v1/groups/:groupId/bookmarks/:id': { kind: 'bookmark', replay: false, body: bookmark },
  'PATCH /v1/groups/:groupId/bookmarks/:id': {
    kind: 'bookmark',
    replay: false,
    body: { title: 'changed by an attacker' }
  },
  'DELETE /v1/groups/:groupId/bookmarks/:id': { kind: 'bookmark', replay: false },
  'GET /v1/groups/:groupId/bookmarks/tree': { kind: 'group' },
  'GET /v1/groups/:groupId/bookmarks/tags': { kind: 'group', list: [] },
  'PATCH /v1/groups/:groupId/bookmarks/tags': { kind: 'group', body: { tag: 'zt', to: 'zu' }, replay: false },
  'DELETE /v1/groups/:groupId/bookmarks/tags': { kind: 'group', replay: false },
  'GET /v1/groups/:groupId/bookmarks/duplicates': { kind: 'group', list: [] },
  'POST /v1/groups/:groupId/bookmarks/:id/move': { kind: 'bookmark', body: {}, replay: false },
  'GET /v1/groups/:groupId/bookmarks/export': { kind: 'group' },
  'POST /v1/groups/:groupId/bookmarks/import': {
    kind: 'group',
    body: { format: 'sync-hub-bookmarks', version: 1, bookmarks: [] },
    replay: false
  },
  'GET /v1/groups/:groupId/settings': { kind: 'group', list: [] },
  'GET /v1/groups/:groupId/settings/:id': { kind: 'setting' },
  'PUT /v1/groups/:groupId/settings/:id': { kind: 'setting', replay: false, body: setting },
  'PATCH /v1/groups/:groupId/settings/:id': {
    kind: 'setting',
    replay: false,
    body: { value: 'changed by an attacker' }
  },
  'DELETE /v1/groups/:groupId/settings/:id': { kind: 'setting', replay: false },
  'GET /v1/groups/:groupId/trash': { kind: 'group', list: ['type'] },
  'POST /v1/groups/:groupId/trash/:type/:id/restore': { kind: 'trashed', type: 'bookmark', replay: false },
  'POST /v1/groups/:groupId/changes/:n/revert': { kind: 'change', replay: false },
  'GET /v1/invitations': { list: [] },
  'POST /v1/invitations/:id/accept': { kind: 'invitation', replay: false },
  'POST /v1/invitations/:id/decline': { kind: 'invitation', replay: false },
  'GET /v1/blocks': { list: [] },
  'PUT /v1/blocks/:id': { kind: 'block', replay: false },
  'DELETE /v1/blocks/:id': { kind: 'block', replay: false },
  'GET /v1/sessions': {},
  'POST /v1/sessions': { replay: false, body: { name: 'of an attacker', platform: 'x' } },
  'DELETE /v1/sessions': { replay: false, keyed: false },
  'GET /v1/sessions/:id': { kind: 'session' },
  'PATCH /v1/sessions/:id': { kind: 'session', replay: false, body: { name: 'of an attacker' } },
  'DELETE /v1/sessions/:id': { kind: 'session', replay: false },
  'POST /v1/pairings': { replay: false },
  'POST /v1/pairings/claim': {
    open: 'same',
    replay: false,
    body: { code: 'BBBBBBBB', name: 'of an attacker', platform: 'x' }
  },
  'GET /v1/public/settings': { open: 'shared', list: [] },
  'GET /v1/public/settings/:publicId': { open: 'shared', kind: 'public' }
}

const specOf = (route: string) => ROUTES[route.replace(/^HEAD /, 'GET ')]

/** Routes that have no spec, and specs that have no route. */
function strangers (app: FastifyInstance): string[] {
  const routes = routesOf(app)
  return [...routes.filter((route) => specOf(route) === undefined),
    ...Object.keys(ROUTES).filter((route) => !routes.includes(route))]
}

/** The names of someone whom nobody ever was. Those of any two differ in their mark alone. */
function namesOf (mark: string): Target {
  const replays = Object.entries(ROUTES).filter(([name, { replay }]) =>
    !name.startsWith('GET ') && replay !== false
  ).map(([name, { kind = 'none', body: payload }], index) =>
    [name, {
      url: name.split(' ')[1]!.replace(/:\w+/, `zr-${kind}-${mark}`),
      ...payload !== undefined && { payload },
      key: `replay-${index}-${mark}`
    }] as const
  )
  return {
    tenant: `v${mark}`,
    user: `alice-${mark}`,
    ids: {
      bookmark: [0, 1, 2].map((n) => `zb${n}-${mark}`),
      setting: [0, 1].map((n) => `zs${n}.${mark}`),
      trashed: [`zt0-${mark}`],
      batch: [randomUUID()],
      group: [randomUUID()],
      invitation: [randomUUID()],
      session: [randomUUID()],
      member: [`alice-${mark}`],
      block: [`zblocked-${mark}`],
      change: [String(10 ** 9 + Number.parseInt(mark.slice(0, 5), 36))]
    },
    own: `zz-${mark}`,
    rev: 1,
    key: `key-${mark}`,
    publicId: randomBytes(16).toString('base64url'),
    cursors: [],
    replays: Object.fromEntries(replays)
  }
}

/**
 * A victim whose every field holds a canary, someone who never was, and everything of the victim's that
 * nobody may see.
 */
async function settle (
  hub: Hub
): Promise<{ victim: Target, nobody: Target, secrets: string[], formers: Attacker[] }> {
  const names = namesOf(mark())
  const { tenant, user, ids } = names
  const secrets = [tenant, user]
  const canary = () => {
    const word = `canary${mark()}${mark()}`
    secrets.push(word)
    return word
  }
  const person = await hub.as({ tenant, user })
  const does = async (method: string, url: string, payload?: unknown, headers?: Record<string, string>) => {
    const answer = await person.request(method, url, payload, headers)
    if (answer.status >= 400 && answer.status !== 412) throw new Error(`${method} ${url}: ${answer.text}`)
    return answer
  }
  const page = () => ({
    url: `https://${canary()}.example/${canary()}`,
    title: canary(),
    description: canary(),
    tags: [canary(), canary()],
    folderId: canary(),
    position: canary(),
    favorite: true
  })
  for (const id of [...ids.bookmark!, canary(), canary()]) {
    await does('PUT', `/v1/bookmarks/${id}`, page(), { 'idempotency-key': canary() })
  }
  await does('POST', '/v1/bookmarks', page())
  for (const id of [...ids.setting!, canary(), canary()]) {
    await does('PUT', `/v1/settings/${id}`, { value: { [canary()]: [canary(), { deep: canary() }] } }, {
      'idempotency-key': canary()
    })
  }
  // Someone who was told of a conflict, as the victim's own devices are.
  for (const id of ids.bookmark!) await does('PUT', `/v1/bookmarks/${id}`, page(), { 'if-match': '"999999"' })
  for (const id of ids.setting!) {
    await does('PUT', `/v1/settings/${id}`, { value: canary() }, { 'if-match': '"999999"' })
  }
  for (const [name, { url, payload, key }] of Object.entries(names.replays)) {
    await does(name.split(' ')[0]!, url, payload, { 'idempotency-key': key })
  }
  for (const id of ids.trashed!) {
    await does('PUT', `/v1/bookmarks/${id}`, page())
    await does('DELETE', `/v1/bookmarks/${id}`)
  }
  const { body: { id: batch } } = await does('POST', '/v1/sync?batch=true', {
    changes: [{ type: 'bookmark', id: 'staged', act: 'put', record: page() }]
  })
  // A group with all that a space may hold, someone who was in it, a device, one that was signed out, and an
  // invitation to another's group.
  const group = await foundGroup(person, canary())
  for (const id of [...ids.bookmark!, ...ids.trashed!]) {
    await does('PUT', `/v1/groups/${group}/bookmarks/${id}`, page())
  }
  for (const id of ids.setting!) await does('PUT', `/v1/groups/${group}/settings/${id}`, { value: canary() })
  for (const id of ids.trashed!) await does('DELETE', `/v1/groups/${group}/bookmarks/${id}`)
  await does('POST', `/v1/groups/${group}/invitations`, { userId: canary() })
  const [former, friend] = await Promise.all(
    [`former-${mark()}`, `friend-${mark()}`].map(async (user) => ({
      user,
      person: await hub.as({ tenant, user })
    }))
  ) as [Named, Named]
  await join(person, group, former, 'owner')
  await does('DELETE', `/v1/groups/${group}/members/${former.user}`)
  const invitation = await foundGroup(friend.person, canary())
  await friend.person.post(`/v1/groups/${invitation}/invitations`, { userId: user })
  for (const id of ids.block!) await does('PUT', `/v1/blocks/${id}`, undefined)
  const [device, stolen] = [await does('POST', '/v1/sessions', { name: canary(), platform: canary() }),
    await does('POST', '/v1/sessions', { name: canary(), platform: canary() })]
  await does('DELETE', `/v1/sessions/${stolen.body.session.id}`)
  secrets.push(group, invitation, device.body.session.id as string, device.body.deviceToken as string)
  const formers: Attacker[] = [{
    name: 'someone who was taken out of the group',
    token: former.person.token,
    own: [tenant, former.user, group]
  }, {
    name: 'a device that was signed out',
    token: stolen.body.deviceToken as string,
    own: [tenant],
    refused: 401,
    late: true
  }]
  const { body: { publicId } } = await does('PUT', '/v1/settings/in-public', {
    value: `public-${mark()}`,
    isPublic: true
  })

  const lists = [...(await does('GET', '/v1/bookmarks?limit=100')).body.items,
    ...(await does('GET', '/v1/settings?limit=100')).body.items] as {
      id: string,
      createdAt: string,
      updatedAt: string,
      isPublic?: boolean
    }[]
  const known = JSON.stringify(names)
  // Times to the millisecond, all of them before the first attack, and ids that were made up by the hub.
  for (const { id, createdAt, updatedAt, isPublic } of lists) {
    if (isPublic !== true) secrets.push(createdAt, updatedAt, ...known.includes(id) ? [] : [id])
  }
  const cursors = await Promise.all(
    ['bookmarks?limit=1', 'bookmarks?limit=1&sort=-createdAt', 'bookmarks?limit=1&favorite=true',
      'settings?limit=1', 'sync?limit=1', 'sync', 'trash?limit=1', `groups/${group}/bookmarks?limit=1`,
      `groups/${group}/trash?limit=1`].map(async (list) =>
        (await does('GET', `/v1/${list}`)).body.cursor as string
      )
  )
  const { body: { rev } } = await does('GET', `/v1/bookmarks/${ids.bookmark![0]}`)
  // A cursor that nobody was given: of the same length, and sealed by nobody.
  const altered = cursors.map((cursor) =>
    randomBytes(cursor.length).toString('base64url').slice(0, cursor.length)
  )
  return {
    formers,
    victim: {
      ...names,
      ids: {
        ...ids,
        batch: [batch as string],
        group: [group],
        invitation: [invitation],
        session: [device.body.session.id as string]
      },
      rev,
      publicId,
      cursors
    },
    nobody: {
      ...namesOf(mark()),
      rev,
      cursors: altered,
      publicId: `${publicId[0]}${randomBytes(16).toString('base64url').slice(1)}`
    },
    secrets: [...new Set(secrets)]
  }
}

/** What can be read of the secrets, and where: an attacker's own names are no secrets to it. */
function leaksIn (
  parts: Sight['parts'] | { log: string },
  secrets: readonly string[],
  { name, own }: Attacker
): string[] {
  return Object.entries(parts).flatMap(([part, text]) =>
    readable(text, secrets, own).map((secret) => `${secret} in ${part}, seen by ${name}`)
  )
}

/**
 * Makes the text of an answer without what differs between any two requests, and with the names of both targets made
 * one. What is left tells the one target from the other.
 */
function plainBetween (targets: readonly Target[]): (parts: Sight['parts']) => string {
  const names = new Map(
    targets.flatMap(({ tenant, user, ids, own, key, publicId, replays }) =>
      [Object.values(replays).map(({ url, key }) => [url.split('/').at(-1)!, key]), own, user, tenant,
        ids.bookmark!, ids.setting!, ids.trashed!, key, publicId].flat(2).map((name, index) =>
          [name, `<${index}>`] as const
        )
    )
  )
  const anyName = new RegExp(
    [...names.keys()].sort((one, other) => other.length - one.length).map((name) =>
      name.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
    ).join('|'),
    'g'
  )
  return (parts) =>
    Object.values(parts).join('\n')
      .replace(/^(?:date|x-request-id|content-length): .*$/gm, '')
      .replace(/"(?:rev|n)":\d+|etag: "\d+"/g, '<rev>').replace(
        // A position is made of what stands before it: the attacker's own probes, the last one for the other target.
        /"(?:cursor|publicId|deviceToken|code|pairingUri|position)":"[^"]*"|^id: \S+$/gm,
        '<made by the hub>'
      )
      .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>').replace(
        /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g,
        '<uuid>'
      )
      .replace(anyName, (name) => names.get(name)!)
}

/** What the answers about two targets tell of which is which; undefined: nothing. */
function differenceOf (
  { parts }: Sight,
  { parts: others }: Sight,
  plain: (parts: Sight['parts']) => string
): string | undefined {
  const same = parts.body === others.body
  const [one, other] = [parts, others].map((parts) => plain(same ? { ...parts, body: '' } : parts))
  return one === other ? undefined : `${one} and not ${other}`
}

t.test('every route has a place in the matrix, and the other way round', async (t) => {
  const seen: string[] = []
  const watch = fp(async (app) => {
    app.addHook('onRoute', ({ method, url }) => {
      seen.push(...[method].flat().map((method) => `${method} ${url}`))
    })
  })
  const hub = await startHub(t, {}, { plugin: watch })
  await hub.app.ready()
  t.strictSame(strangers(hub.app), [])
  const routes = routesOf(hub.app)
  t.ok(seen.length > 20)
  t.strictSame(seen.filter((route) => !routes.includes(route)), [], 'no route is hidden from the list')
  const described = Object.entries<object>(
    (hub.app.swagger() as unknown as { paths: Record<string, object> }).paths
  ).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`)
  )
  t.strictSame(described.filter((route) => !routes.includes(route)), [])
  const more = await startHub(t, {}, {
    plugin: async (app) => {
      app.get('/v1/new/:id', { schema: { hide: true } }, async () => '')
    }
  })
  await more.app.ready()
  t.strictSame(
    strangers(more.app).sort(),
    ['GET /v1/new/:id', 'HEAD /v1/new/:id'],
    'a route that nobody told the matrix of is noticed'
  )
  figure(t, 'routes', routes.length)
})

t.test('a leak is noticed in a status line, a header, a body, a cursor and a log line', async (t) => {
  let row = {} as Record<string, string>
  const cursor = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const hub = await startHub(t, {}, {
    plugin: async (app) => {
      app.get('/leak/status', async (_request, reply) => {
        reply.raw.statusMessage = row.title!
        return {}
      })
      app.get('/leak/header', async (_request, reply) => {
        reply.header('x-row', encodeURIComponent(`title=${row.title}`))
        return {}
      })
      app.get('/leak/body', async () => ({ current: row }))
      app.get('/leak/cursor', async () => ({ cursor: cursor({ place: cursor({ pk: row.pk }) }) }))
      app.get('/leak/log', async ({ log }) => {
        log.info({ title: row.title })
        return {}
      })
      app.get('/leak/nothing', async () => ({}))
    }
  })
  const { victim, secrets } = await settle(hub)
  const attackers = await attackersOf(hub, victim)
  const { rows } = await readPast(hub, [victim])
  row = rows.find(({ sk }) => sk.includes(victim.ids.bookmark![0]!)) as unknown as typeof row
  for (const attacker of attackers.filter(({ refused }) => refused === undefined)) {
    const seen = async (part: string) => {
      const sight = await fire(hub, attacker.token, { place: '', method: 'GET', url: `/leak/${part}` })
      const lines = hub.log.filter((line) => line.includes(sight.requestId)).join('')
      return [...leaksIn(sight.parts, secrets, attacker), ...leaksIn({ log: lines }, secrets, attacker)]
    }
    t.match(await seen('status'), [/^canary.* in status/])
    t.match(await seen('header'), [/^canary.* in header/])
    t.ok((await seen('body')).length > 8)
    t.match(await seen('cursor'), [/ in body/], `a cursor that names the row to ${attacker.name}`)
    t.match(await seen('log'), [/^canary.* in log/])
    t.strictSame(await seen('nothing'), [])
  }
})

t.test("no route shows or changes what is another's, wherever its names are put and whoever puts them there", async (t) => {
  const { limits } = await testConfig({ table: 'none' })
  const hub = await startHub(t, {
    streamSeconds: 0.05,
    limits: { ...limits, userSessions: 10_000, claimsPerAddress: 0, pairingsPerUser: 0 }
  })
  await hub.app.ready()
  const routes = routesOf(hub.app)
  const found = { leaks: [] as string[], telling: [] as string[], open: [] as string[] }
  const met = new Set<string>()
  const wanted = sized(2000, 20_000)
  let probes = 0
  while (probes < wanted && Object.values(found).flat().length < ENOUGH) {
    probes += await attack(t, hub, routes, wanted - probes, met, found)
  }
  for (const [name, examples] of Object.entries(found)) {
    t.strictSame(examples.slice(0, 5), [], `${name}: ${examples.length}`)
  }
  figure(t, 'probes', probes)
  figure(t, 'leaks', found.leaks.length)
})

t.test('what tells two targets apart is noticed, and what an attacker did itself is not', async (t) => {
  const hub = await startHub(t, {}, {
    plugin: async (app) => {
      app.get<{ Params: { id: string } }>(
        '/tell/:id',
        async ({ params: { id } }, reply) => reply.code(id === victim.own ? 403 : 404).send({})
      )
      app.get<{ Params: { id: string } }>('/tell/length/:id', async ({ params: { id } }) => ({
        records: id === victim.own ? 1 : 0
      }))
      app.get<{ Params: { id: string } }>('/tell/nothing/:id', async ({ params: { id } }) => ({ id }))
    }
  })
  const [victim, nobody] = [namesOf(mark()), namesOf(mark())]
  const { token } = await hub.as({ tenant: 'attacker', user: 'mallory' })
  const plain = plainBetween([victim, nobody])
  const told = async (method: string, path: (own: string) => string, payload?: object) => {
    const [one, other] = [victim, nobody].map(({ own }) => ({
      place: '',
      method,
      url: path(own),
      ...payload && { payload }
    }))
    return differenceOf(await fire(hub, token, one!), await fire(hub, token, other!), plain)
  }
  t.match(await told('GET', (own) => `/tell/${own}`), /^403 /)
  t.match(await told('GET', (own) => `/tell/length/${own}`), /"records":1/)
  t.equal(await told('GET', (own) => `/tell/nothing/${own}`), undefined)
  t.equal(await told('PUT', (own) => `/v1/bookmarks/${own}`, bookmark), undefined)
  // The second stands behind the first, which is the attacker's own.
  t.equal(await told('POST', (own) => `/v1/bookmarks/${own}/move`, {}), undefined)
})

/**
 * Shots in an order in which every route has its turn before one has its next. @param from where in each
 * route's shots to begin, from 0 to 1
 */
function inTurns (shots: readonly { readonly route: string }[], from: number): number[] {
  const byRoute = new Map<string, number[]>()
  for (const [index, { route }] of shots.entries()) byRoute.set(route, [...byRoute.get(route) ?? [], index])
  const rounds = Math.max(...[...byRoute.values()].map(({ length }) => length))
  return Array.from(
    { length: rounds },
    (_, round) =>
      [...byRoute.values()].flatMap((own) =>
        round < own.length ? [own[(round + Math.floor(from * own.length)) % own.length]!] : []
      )
  ).flat()
}

/**
 * One world: a victim, all attackers beside each other, and as many of all shots as are wanted, evenly.
 * @returns how many probes
 */
async function attack (
  t: Test,
  hub: Hub,
  routes: string[],
  wanted: number,
  met: Set<string>,
  found: Record<'leaks' | 'telling' | 'open', string[]>
): Promise<number> {
  const { victim, nobody, secrets, formers } = await settle(hub)
  const of = (target: Target) =>
    routes.flatMap((route) => shotsAt(route, specOf(route)!, target).map((shot) => ({ ...shot, route })))
  const [aimed, control] = [of(victim), of(nobody)]
  const plain = plainBetween([victim, nobody])
  t.strictSame(
    aimed.map(({ place, route }) => [place, route]),
    control.map(({ place, route }) => [place, route])
  )
  const attackers = [...await attackersOf(hub, victim), ...formers].map((attacker) => ({
    ...attacker,
    own: [...attacker.own, ...named(victim).map((value) => JSON.stringify(value))]
  }))
  const before = await readPast(hub, [victim])
  const linesBefore = hub.log.length
  const byRequest = new Map<string, Attacker>()
  let probes = 0

  async function examine (attacker: Attacker, shot: Shot, tries = 4): Promise<Sight> {
    const sight = await fire(hub, attacker.token, shot)
    byRequest.set(sight.requestId, attacker)
    found.leaks.push(
      ...leaksIn(sight.parts, secrets, attacker).map((leak) =>
        `${leak}: ${shot.method} ${shot.url} (${shot.place})`
      )
    )
    // A machine that stalls for seconds makes timeouts come true. Four times, each after the pause that
    // Retry-After asks for, is no chance.
    if (sight.status === 503 && tries > 1) return pause(2000).then(() => examine(attacker, shot, tries - 1))
    if (sight.status >= 500) {
      found.open.push(
        `${sight.parts.status}: ${shot.method} ${shot.url}: ${
          hub.log.filter((line) => line.includes(sight.requestId)).join('')
        }`
      )
    }
    return sight
  }

  await Promise.all(attackers.map(async (attacker, lane) => {
    const share = Math.max(routes.length, Math.min(aimed.length, Math.ceil(wanted / attackers.length)))
    for (const index of inTurns(aimed, lane / attackers.length).slice(0, share)) {
      if (Object.values(found).flat().length >= ENOUGH) break
      const [shot, other] = [aimed[index]!, control[index]!]
      const { open } = specOf(shot.route)!
      // One after the other, and both for all that an attacker does: what it did itself is then the same for
      // both names.
      const [sight, blank] = [await examine(attacker, shot), await examine(attacker, other)]
      const difference = open === 'shared' ? undefined : differenceOf(sight, blank, plain)
      if (difference !== undefined) {
        found.telling.push(
          `${attacker.name}: ${shot.method} ${shot.url} (${shot.place}): ${difference}`
        )
      }
      if (
        open === undefined && attacker.refused !== undefined &&
        ![attacker.refused, 401, ...attacker.late === true ? [400, 413, 415] : []].includes(sight.status)
      ) found.open.push(`${sight.parts.status}: ${attacker.name}: ${shot.method} ${shot.url}`)
      met.add(`${shot.route}, ${attacker.name}`).add(shot.place)
      probes++
    }
    for (
      const list of ['bookmarks?limit=20', 'bookmarks?limit=20&sort=-createdAt', 'settings?limit=20',
        'sync?limit=20', 'trash?limit=20', 'groups?limit=20', 'invitations?limit=20',
        'public/settings?limit=1']
    ) {
      for (let cursor: string | undefined = ''; cursor !== undefined; probes++) {
        const { parts, status } = await examine(attacker, {
          place: 'list',
          method: 'GET',
          url: `/v1/${list}${cursor && `&cursor=${cursor}`}`
        })
        const { cursor: next, more } = status === 200
          ? JSON.parse(parts.body) as { cursor?: string, more?: boolean }
          : {}
        cursor = more === false ? undefined : next
      }
    }
  }))

  const places = new Set(aimed.map(({ place }) => place))
  t.strictSame(
    [...routes.flatMap((route) => attackers.map(({ name }) => `${route}, ${name}`)), ...places].filter((
      pair
    ) => !met.has(pair)),
    [],
    'every route meets every attacker, and every place is tried'
  )
  for (const line of hub.log.slice(linesBefore)) {
    const { requestId } = JSON.parse(line) as { requestId: string }
    const attacker = byRequest.get(requestId)
    found.leaks.push(
      ...leaksIn(
        { log: line.replaceAll(requestId, '') },
        secrets,
        attacker ?? { name: 'nobody', token: '', own: [] }
      )
    )
  }
  t.equal(
    hub.log.slice(linesBefore).filter((line) => line.includes('"msg":"request"')).length,
    byRequest.size,
    'every request is in the log'
  )

  const after = await readPast(hub, [victim])
  const mine = ({ rows }: typeof before) =>
    rows.filter(({ pk }) =>
      [`TENANT#${victim.tenant}#USER#${victim.user}`, `TENANT#${victim.tenant}#GROUP#${victim.ids.group![0]}`]
        .includes(pk)
    ).sort((a, b) => a.sk < b.sk ? -1 : 1)
  t.ok(mine(before).length > 30)
  t.strictSame(mine(after), mine(before), "what is the victim's is what it was")
  t.strictSame(after.logs, before.logs)
  t.strictSame(misplaced(after.rows), [], "every row stands where its owner's rows stand")
  return probes
}
