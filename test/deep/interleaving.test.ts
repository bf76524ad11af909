import { isDeepStrictEqual } from 'node:util'
import { setTimeout as pause } from 'node:timers/promises'
import fp from 'fastify-plugin'
import t from 'tap'
import { misplaced, readPast } from '../harness/attack.ts'
import { traceClient } from '../harness/client.ts'
import { figure, sized } from '../harness/figures.ts'
import { person, startHub, testConfig, type Answer, type Person } from '../harness/hub.ts'
import { startPools } from '../harness/tokens.ts'

t.setTimeout(1_800_000)

const TENANTS = 50
const IN_FLIGHT = 64
const REQUESTS = sized(1500, 10_000)
/** Faults after which there is nothing more to learn. */
const ENOUGH = 20
/** As a network would: mostly at once, sometimes late enough to be overtaken by many. */
const wait = () => Math.random() < 0.5 ? undefined : pause(Math.random() * 12)
const any = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)]!

interface Kept {
  readonly content: object
  readonly rev: number
  readonly createdAt: string
}

/**
 * One user, and what the hub must hold of them: they ask one thing at a time, so every answer is known before
 * it comes.
 */
interface User {
  readonly tenant: string
  readonly user: string
  /** Stands in everything that the user writes. */
  readonly owner: string
  readonly person: Person
  readonly bookmarks: Map<string, Kept>
  readonly settings: Map<string, Kept>
  n: number
  keys: number
}

const wrong: string[] = []
const unexpected: string[] = []

t.test('requests that overtake each other stay with their tenants: answers, rows and log lines', async (t) => {
  const config = await testConfig()
  const traced = traceClient(config)
  traced.fault = async (_name, next) => {
    await wait()
    const result = await next()
    await wait()
    return result
  }
  // Between all steps of a request, too: what one step leaves lying about, another request's step would find.
  const slow = fp(async (app) => {
    for (const name of ['onRequest', 'preParsing', 'preHandler', 'preSerialization'] as const) {
      app.addHook(name as 'onRequest', async () => {
        await wait()
      })
    }
  })
  const pools = await startPools(t)
  // Prefixes of each other, `co-1` and `co-10`; some have a pool of their own, whose keys come late, the
  // others share one.
  const tenants = Array.from({ length: TENANTS }, (_, index) => `co-${index}`)
  const shared = pools.pool('shared')
  const own = tenants.map((tenant, index) =>
    index % 5 > 0 ? shared : pools.pool(tenant, { tenant: { fixed: tenant } })
  )
  for (const pool of [shared, ...own]) {
    pool.misbehave = (_request, response) => {
      void pause(Math.random() * 100).then(() =>
        response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: pool.keys }))
      )
    }
  }
  const hub = await startHub(t, { ...config, issuers: pools.entries() }, { open: traced.open, plugin: slow })
  t.teardown(() => traced.client.destroy())

  // The same two names, ids and Idempotency-Keys in every tenant: only the tenant tells them apart.
  const users = tenants.flatMap((tenant, index) =>
    ['alice', 'bob'].map((user): User => ({
      tenant,
      user,
      owner: `${tenant}/${user}`,
      person: person(hub.app, own[index]!.token({ sub: user, 'custom:tenant_id': tenant })),
      bookmarks: new Map(),
      settings: new Map(),
      n: 0,
      keys: 0
    }))
  )
  /** By request id: the tenant that its lines must name. */
  const asked = new Map<string, string | undefined>()
  const askOne: Ask = (...request) => ask(asked, ...request)
  // First a few at a time, for keys are waited for no longer than some seconds; those who wait are overtaken
  // all the same.
  const first = [...users]
  await Promise.all(Array.from({ length: 6 }, async () => {
    for (let user = first.shift(); user !== undefined; user = first.shift()) await whoAmI(user, askOne)
  }))
  const idle = [...users]
  await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
    while (asked.size < REQUESTS && wrong.length + unexpected.length < ENOUGH) {
      const [user] = idle.splice(Math.floor(Math.random() * idle.length), 1)
      await any(DEEDS)(user!, askOne, users)
      idle.push(user!)
    }
  }))

  for (const line of hub.log) {
    const { requestId, tenantId } = JSON.parse(line) as { requestId: string, tenantId?: string }
    if (asked.get(requestId) !== tenantId) (tenantId === undefined ? unexpected : wrong).push(line)
  }
  t.equal(
    hub.log.filter((line) => line.includes('"msg":"request"')).length,
    asked.size,
    'each request has its line'
  )
  readBack(users, await readPast(hub, users))
  t.strictSame(wrong.slice(0, 5), [], 'nothing is under a wrong tenant')
  t.strictSame(unexpected.slice(0, 5), [], "every answer is the one that its user's own requests lead to")
  t.ok(users.reduce((sum, { n }) => sum + n, 0) > REQUESTS / 5, 'much was written')
  figure(t, 'interleaved requests', asked.size)
  figure(t, 'rows, answers or log lines under a wrong tenant', wrong.length)
})

type Ask = (
  user: User,
  method: string,
  path: string,
  payload?: object,
  headers?: Record<string, string>
) => Promise<Answer>

/** Asks as a user, and holds the answer against who that is. */
async function ask (
  asked: Map<string, string | undefined>,
  user: User,
  method: string,
  path: string,
  payload?: object,
  headers?: Record<string, string>
): Promise<Answer> {
  const id = `request-${asked.size}`
  const isPublic = path.startsWith('public')
  asked.set(id, isPublic ? undefined : user.tenant)
  const answer = await user.person.request(method, `/v1/${path}`, payload, { ...headers, 'x-request-id': id })
  if (!isPublic && othersIn(answer.text, user)) wrong.push(`${user.owner}: ${method} ${path}: ${answer.text}`)
  if (answer.headers['x-request-id'] !== id) {
    wrong.push(`${user.owner}: the answer to ${String(answer.headers['x-request-id'])}`)
  }
  return answer
}

/** Whether a text holds what another user wrote. */
const othersIn = (text: string, { owner }: User) =>
  (text.match(/co-\d+\/(?:alice|bob)/g) ?? []).some((name) => name !== owner)

function expect (user: User, what: string, found: unknown, wanted: unknown): void {
  if (!isDeepStrictEqual(found, wanted)) {
    unexpected.push(`${user.owner}: ${what}: ${JSON.stringify(found)} and not ${JSON.stringify(wanted)}`)
  }
}

const shown = (id: string, { content, rev, createdAt }: Kept) => ({ id, ...content, rev, createdAt })
const withoutTime = ({ updatedAt: _, publicId: __, ...record }: Record<string, unknown>) => record
const page = ({ owner, n }: User) => ({
  url: `https://example.com/${owner}/${n}`,
  title: `${owner} ${Math.random()}`,
  tags: [owner]
})
const someId = () => any(['r1', 'r2', 'r3', 'r4'])

/** What a successful write leads to: the next change of the user's own space, and of no other. */
function saved (
  user: User,
  kept: Map<string, Kept>,
  id: string,
  content: object,
  { status, body }: Answer
): void {
  const before = kept.get(id)
  const now = {
    content,
    rev: ++user.n,
    createdAt: before?.createdAt ?? (body as Kept | undefined)?.createdAt ?? ''
  }
  expect(user, `wrote ${id}`, [status, withoutTime(body as object as Record<string, unknown>)], [
    before === undefined ? 201 : 200,
    shown(id, now)
  ])
  kept.set(id, now)
}

const DEEDS: readonly ((user: User, ask: Ask, users: readonly User[]) => Promise<void>)[] = [
  async function put (user, ask) {
    const [id, content] = [someId(), page(user)]
    saved(user, user.bookmarks, id, content, await ask(user, 'PUT', `bookmarks/${id}`, content))
  },
  async function post (user, ask) {
    const content = page(user)
    const answer = await ask(user, 'POST', 'bookmarks', content)
    saved(user, user.bookmarks, String(answer.body?.id), content, answer)
  },
  async function conditional (user, ask) {
    const [id, content] = [someId(), page(user)]
    const kept = user.bookmarks.get(id)
    const { status, body } = await ask(user, 'PUT', `bookmarks/${id}`, content, { 'if-match': '"999999"' })
    expect(user, 'the conflict', [status,
      body?.current && withoutTime(body.current as Record<string, unknown>)], [412, kept && shown(id, kept)])
    if (kept !== undefined) {
      saved(
        user,
        user.bookmarks,
        id,
        content,
        await ask(user, 'PUT', `bookmarks/${id}`, content, { 'if-match': `"${kept.rev}"` })
      )
    }
  },
  async function patch (user, ask) {
    const [id, { title }] = [someId(), page(user)]
    const kept = user.bookmarks.get(id)
    const answer = await ask(user, 'PATCH', `bookmarks/${id}`, { title })
    if (kept === undefined) expect(user, `patch of ${id}`, answer.status, 404)
    else saved(user, user.bookmarks, id, { ...kept.content, title }, answer)
  },
  async function remove (user, ask) {
    const id = someId()
    const { status } = await ask(user, 'DELETE', `bookmarks/${id}`)
    if (user.bookmarks.delete(id)) user.n++
    else return expect(user, `delete of ${id}`, status, 404)
    expect(user, `delete of ${id}`, status, 204)
  },
  async function idempotent (user, ask) {
    const [id, content, headers] = [someId(), page(user), { 'idempotency-key': `key-${user.keys++}` }]
    const first = await ask(user, 'PUT', `bookmarks/${id}`, content, headers)
    saved(user, user.bookmarks, id, content, first)
    const [again, other] = [await ask(user, 'PUT', `bookmarks/${id}`, content, headers),
      await ask(user, 'PUT', `bookmarks/${id}`, page(user), headers)]
    expect(user, 'the same key', [again.status, again.text, other.status], [first.status, first.text, 422])
  },
  async function publish (user, ask) {
    const [id, content] = [someId(), {
      value: { owner: user.owner, n: user.n },
      isPublic: Math.random() < 0.5
    }]
    const answer = await ask(user, 'PUT', `settings/${id}`, content)
    saved(user, user.settings, id, content, answer)
    if (!content.isPublic) return
    const { status, body } = await ask(user, 'GET', `public/settings/${String(answer.body?.publicId)}`)
    expect(user, 'the public setting', [status, body?.id, body?.value], [200, id, content.value])
  },
  async function get (user, ask) {
    for (const [path, kept] of [['bookmarks', user.bookmarks], ['settings', user.settings]] as const) {
      const id = someId()
      const record = kept.get(id)
      const { status, body } = await ask(user, 'GET', `${path}/${id}`)
      expect(
        user,
        `read ${id}`,
        record === undefined ? status : withoutTime(body as Record<string, unknown>),
        record === undefined ? 404 : shown(id, record)
      )
    }
  },
  async function list (user, ask, users) {
    const all = [...user.bookmarks].sort(([a], [b]) => a < b ? -1 : 1).map(([id, kept]) => shown(id, kept))
    const { body } = await ask(user, 'GET', 'bookmarks?limit=2')
    expect(
      user,
      'the first page',
      (body?.items as Record<string, unknown>[] | undefined)?.map(withoutTime),
      all.slice(0, 2)
    )
    if (body?.cursor === undefined) return
    const [next, stolen] = await Promise.all(
      [user, any(users.filter((other) => other !== user))].map((who) =>
        ask(who, 'GET', `bookmarks?limit=100&cursor=${String(body.cursor)}`)
      )
    )
    expect(user, 'the stolen cursor', stolen!.status, 400)
    expect(
      user,
      'the next page',
      (next!.body?.items as Record<string, unknown>[] | undefined)?.map(withoutTime),
      all.slice(2)
    )
    if (stolen!.status === 200) {
      wrong.push(`a cursor of ${user.owner} was taken from someone else: ${stolen!.text}`)
    }
  },
  async function newest (user, ask) {
    const { body } = await ask(user, 'GET', 'bookmarks?sort=-createdAt&limit=100')
    expect(
      user,
      'all by time',
      (body?.items as { id: string }[] | undefined)?.map(({ id }) => id).sort(),
      [...user.bookmarks.keys()].sort()
    )
  },
  whoAmI
]

async function whoAmI (user: User, ask: Ask): Promise<void> {
  const { status, body } = await ask(user, 'GET', 'tenant')
  if (status === 200 && (body.tenantId !== user.tenant || body.userId !== user.user)) {
    wrong.push(`${user.owner}: ${JSON.stringify(body)}`)
  }
  expect(user, 'usage', [status, body?.usage?.records], [200, user.bookmarks.size + user.settings.size])
}

/** Holds every row of the table, and every log, against whose it is. */
function readBack (users: readonly User[], { rows, logs }: Awaited<ReturnType<typeof readPast>>): void {
  const owners = new Map(users.map((user) => [`TENANT#${user.tenant}#USER#${user.user}`, user]))
  wrong.push(...misplaced(rows))
  for (const row of rows) {
    const owner = owners.get(row.pk)
    if (
      owner !== undefined
        ? othersIn(JSON.stringify(row), owner)
        : !/^(?:TENANT#co-\d+$|OPS#)/.test(row.pk)
    ) wrong.push(JSON.stringify(row))
  }
  for (const [index, user] of users.entries()) {
    const { head, entries } = logs[index]!
    expect(user, 'the log', [head?.n ?? 0, entries.map(({ n }) => n)], [user.n,
      Array.from({ length: user.n }, (_, n) => n + 1)])
    expect(user, 'what the space holds', head?.count ?? 0, user.bookmarks.size + user.settings.size)
  }
}
