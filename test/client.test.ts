import { setTimeout as pause } from 'node:timers/promises'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import {
  createClient,
  memoryStore,
  storageStore,
  type Client,
  type Conflict,
  type Options,
  type Rejected,
  type Store
} from '../src/client/index.ts'
import { createEventReader } from '../src/client/events.ts'
import { merge, same } from '../src/client/merge.ts'
import type { ChangeSet, Page } from '../src/client/wire.ts'
import { startHub, type Hub } from './harness/hub.ts'

/**
 * The client for apps, against the real hub: what a user did is never lost, never done twice, and devices
 * agree in the end.
 */

const hub = await startHub(t)
let users = 0
const newUser = () => ({ tenant: 'acme', user: `user${++users}` })
type User = ReturnType<typeof newUser>

/** Requests straight into a hub, without a network. */
const into = ({ app }: Hub): typeof fetch => async (input, { method, headers, body } = {}) => {
  const { statusCode, headers: sent, payload } = await app.inject({
    method: method as 'GET',
    url: (input as string).slice('http://hub'.length),
    headers: headers as Record<string, string>,
    ...body !== undefined && { payload: body as string }
  })
  return new Response(payload, { status: statusCode, headers: sent as Record<string, string> })
}

/** Waits that take no time, so that a test does not either. */
const sleep: Options['sleep'] = (milliseconds, signal) =>
  milliseconds > 30_000
    ? new Promise((resolve) => {
      signal?.addEventListener('abort', () => {
        resolve()
      })
    })
    : pause(0)

/** A device of a user. What it keeps outlives it in `store`. */
async function device (t: Test, user: User, options: Partial<Options> = {}, at: Hub = hub): Promise<Client> {
  const { token } = await at.as(user)
  const client = await createClient({ url: 'http://hub', token, fetch: into(at), sleep, ...options })
  t.teardown(() => client.close())
  return client
}

const two = async (t: Test, user = newUser(), options: Partial<Options> = {}) =>
  [await device(t, user, options), await device(t, user)] as const
const home = { url: 'https://example.com', title: 'Home', tags: ['a'] }
const problem = (
  status: number,
  errorType: string,
  more: object = {},
  headers: Record<string, string> = {}
) =>
  new Response(JSON.stringify({ status, errorType, ...more }), {
    status,
    headers: { 'content-type': 'application/problem+json', ...headers }
  })
/** A request without an answer. */
const never = (init: RequestInit | undefined) =>
  new Promise<Response>((_resolve, reject) => {
    const abort = () => {
      reject(new TypeError('aborted'))
    }
    init!.signal!.addEventListener('abort', abort)
    if (init!.signal!.aborted) abort()
  })
const isPush = (init: RequestInit | undefined) => init?.method === 'POST'

/** A hub that answers pulls with given pages. */
function pagesOf (...pages: Partial<Page>[]): typeof fetch {
  let n = 0
  return async (_, init) => {
    if (isPush(init)) return problem(404, 'NOT_FOUND')
    const page = pages.shift() ?? {}
    return Response.json({ changes: [], more: pages.length > 0, cursor: `c${++n}`, ...page })
  }
}
const put = (id: string, rev: number, title = id) =>
  ({
    type: 'bookmark',
    id,
    act: 'put',
    rev,
    record: { id, rev, url: 'https://example.com', title, tags: [], createdAt: '', updatedAt: '' }
  }) as const

t.test('two devices are in step after both have synced', async (t) => {
  const [one, other] = await two(t)
  await one.bookmarks.put('home', home)
  await one.settings.put('editor.theme', { value: { dark: true } })
  t.match(one.bookmarks.get('home'), { id: 'home', ...home }, 'an edit is seen at once')
  t.equal(one.bookmarks.get('home')!.rev, undefined, 'and what the hub sets is missing until it has it')
  t.equal(one.pending().length, 2)
  await one.sync()
  t.strictSame(one.pending(), [])
  await other.sync()
  t.strictSame(other.bookmarks.list(), one.bookmarks.list())
  t.strictSame(other.settings.get('editor.theme'), one.settings.get('editor.theme'))
  t.type(one.bookmarks.get('home')!.createdAt, 'string')
  await other.bookmarks.update('home', { title: 'New', tags: undefined })
  await other.settings.delete('editor.theme')
  await other.sync()
  await one.sync()
  t.match(one.bookmarks.get('home'), { title: 'New', url: home.url, tags: [] })
  t.strictSame(one.settings.list(), [])
})

t.test('edits of one record that were not sent are one, and none where all is as it was', async (t) => {
  const one = await device(t, newUser())
  await one.bookmarks.put('b', home)
  await one.bookmarks.update('b', { title: 'Once' })
  t.equal(one.pending().length, 1)
  await one.bookmarks.delete('b')
  t.strictSame(one.pending(), [], 'made and deleted: the hub need not know')
  await one.bookmarks.put('b', home)
  await one.sync()
  const { rev } = one.bookmarks.get('b')!
  await one.bookmarks.update('b', { title: 'Twice' })
  await one.bookmarks.put('b', { ...one.bookmarks.get('b')!, title: 'Home' })
  t.strictSame(one.pending(), [])
  await one.sync()
  t.equal(one.bookmarks.get('b')!.rev, rev)
})

t.test('more than fits one push goes in several, in order', async (t) => {
  const sizes: number[] = []
  const [one, other] = await two(t, newUser(), {
    fetch: async (...ask) => {
      if (isPush(ask[1])) {
        sizes.push((JSON.parse(ask[1]!.body as string) as { changes: unknown[] }).changes.length)
      }
      return into(hub)(...ask)
    }
  })
  for (let n = 0; n < 130; n++) await one.bookmarks.put(`b${n}`, { ...home, title: `${n}` })
  for (let n = 0; n < 20; n++) await one.settings.put(`s${n}`, { value: 'x'.repeat(60_000) })
  await one.sync()
  t.equal(sizes[0], 97)
  t.equal(sizes.reduce((sum, size) => sum + size, 0), 150)
  t.equal(sizes.length, 3, 'by number, then by bytes')
  await other.sync()
  t.equal(other.bookmarks.list().length, 130)
  t.equal(other.settings.list().length, 20)
})

t.test('a lost reply, or a process that ends between send and answer, writes nothing twice', async (t) => {
  const user = newUser()
  const keys: (string | undefined)[] = []
  const losing: typeof fetch = async (...ask) => {
    const answer = await into(hub)(...ask)
    if (!isPush(ask[1])) return answer
    keys.push((ask[1]!.headers as Record<string, string>)['idempotency-key'])
    if (keys.length < 3) throw new TypeError('fetch failed')
    return answer
  }
  const one = await device(t, user, { fetch: losing })
  await one.bookmarks.put('b', home)
  await one.sync()
  t.equal(new Set(keys).size, 1, 'the same key each time')
  t.equal(one.bookmarks.get('b')!.rev, 1)

  const store = memoryStore()
  const killed = await device(t, user, {
    store,
    fetch: async (...ask) => {
      const answer = await into(hub)(...ask)
      return isPush(ask[1]) ? never(ask[1]) : answer
    }
  })
  await killed.pull()
  await killed.bookmarks.update('b', { title: 'Second' })
  killed.push().catch(() => {})
  const person = await hub.as(user)
  while ((await person.get('/v1/bookmarks/b')).body.rev !== 2) await pause(5)
  const again = await device(t, user, { store })
  t.equal(again.bookmarks.get('b')!.title, 'Second')
  t.equal(again.pending().length, 1)
  await again.bookmarks.update('b', { favorite: true })
  await again.sync()
  t.match(again.bookmarks.get('b'), { rev: 3, title: 'Second', favorite: true })
  t.strictSame(again.pending(), [])
})

t.test('a replay that the hub has forgotten the key of writes nothing twice', async (t) => {
  const user = newUser()
  let fetch: typeof globalThis.fetch = async (...ask) => {
    // As after more than a day: the effect is there, the key is not.
    const [input, init] = ask
    if (!isPush(init)) return into(hub)(...ask)
    await into(hub)(input, {
      ...init,
      headers: { ...init!.headers as Record<string, string>, 'idempotency-key': 'another' }
    })
    throw new TypeError('fetch failed')
  }
  const one = await device(t, user, { fetch: (...ask) => fetch(...ask) })
  await one.bookmarks.put('b', home)
  await t.rejects(one.push(), { name: 'HubProblem', message: /reached/ })
  fetch = into(hub)
  await one.sync()
  t.match(one.bookmarks.get('b'), { ...home, rev: 1 })
  t.strictSame(one.pending(), [])
})

t.test('two edits that did not know of each other are merged, field by field', async (t) => {
  const conflicts: Conflict[] = []
  const [one, other] = await two(t, newUser(), {
    merge: (conflict) => {
      conflicts.push(conflict)
      return conflict.merged
    }
  })
  await one.bookmarks.put('b', { ...home, tags: ['a', 'b'] })
  await one.settings.put('s', { value: { font: 'x', size: 1, deep: { kept: true } } })
  await one.sync()
  await other.sync()
  await other.bookmarks.update('b', { title: 'Theirs', description: 'theirs', tags: ['b', 'c'] })
  await other.settings.put('s', { value: { font: 'y', size: 1, deep: { kept: true, theirs: 1 } } })
  await other.sync()
  await one.bookmarks.update('b', { title: 'Mine', favorite: true, tags: ['a', 'b', 'd'] })
  await one.settings.put('s', { value: { font: 'x', size: 2, deep: { kept: true } } })
  // Without a pull first: the hub has to say that they do not fit.
  await one.push()
  await one.sync()
  await other.sync()
  t.match(one.bookmarks.get('b'), { title: 'Mine', description: 'theirs', favorite: true })
  t.strictSame(new Set(one.bookmarks.get('b')!.tags), new Set(['b', 'c', 'd']))
  t.strictSame(one.settings.get('s')!.value, { font: 'y', size: 2, deep: { kept: true, theirs: 1 } })
  t.strictSame(other.bookmarks.list(), one.bookmarks.list())
  t.strictSame(other.settings.list(), one.settings.list())
  t.strictSame(
    conflicts.map(({ id, fields }) => ({ id, fields })),
    [{ id: 'b', fields: ['/title'] }],
    'the app is asked where both changed the same'
  )
})

t.test('an edit wins over a delete, whoever made it; the app may say otherwise', async (t) => {
  for (const decides of [false, true]) {
    for (const [mine, theirs] of [['edit', 'delete'], ['delete', 'edit']] as const) {
      const [one, other] = await two(t, newUser(), decides ? { merge: () => undefined } : {})
      await one.bookmarks.put('b', home)
      await one.sync()
      await other.sync()
      for (const [client, act] of [[other, theirs], [one, mine]] as const) {
        if (act === 'edit') await client.bookmarks.update('b', { title: 'Edited' })
        else await client.bookmarks.delete('b')
        await client.push()
      }
      await one.sync()
      await other.sync()
      t.equal(
        one.bookmarks.get('b')?.title,
        decides ? undefined : 'Edited',
        `${mine} of mine, ${theirs} of theirs`
      )
      t.strictSame(other.bookmarks.list(), one.bookmarks.list())
      t.strictSame([one.pending(), one.rejected()], [[], []])
    }
  }
})

t.test('what was done on top of an edit that is on its way is not lost, however that ends', async (t) => {
  for (const ends of ['applied', 'conflict', 'refused'] as const) {
    const user = newUser()
    let during: (() => Promise<void>) | undefined
    const one = await device(t, user, {
      fetch: async (...ask) => {
        const [work] = isPush(ask[1]) ? [during] : []
        if (work !== undefined) during = undefined
        await work?.()
        if (work !== undefined && ends === 'refused') {
          return problem(400, 'VALIDATION_FAILED', {
            errors: [{ pointer: '/changes/0/record/title', detail: 'no' }]
          })
        }
        return into(hub)(...ask)
      }
    })
    await one.bookmarks.put('b', home)
    await one.sync()
    await one.bookmarks.update('b', { title: 'First' })
    during = async () => {
      await one.bookmarks.update('b', { description: 'second' })
      if (ends === 'conflict') await (await hub.as(user)).patch('/v1/bookmarks/b', { favorite: true })
    }
    await one.sync()
    t.match(one.bookmarks.get('b'), {
      title: 'First',
      description: 'second',
      ...ends === 'conflict' && { favorite: true }
    }, ends)
    t.strictSame(one.pending(), [])
    t.equal(one.rejected().length, ends === 'refused' ? 1 : 0)
  }
})

t.test('an answer that comes late does not bring back what is gone', async (t) => {
  const user = newUser()
  const one: Client = await device(t, user, {
    fetch: async (...ask) => {
      const answer = await into(hub)(...ask)
      if (!isPush(ask[1])) return answer
      await (await hub.as(user)).delete('/v1/bookmarks/b')
      await one.pull()
      return answer
    }
  })
  await one.bookmarks.put('b', home)
  await one.push()
  t.strictSame([one.bookmarks.list(), one.pending()], [[], []])
})

t.test('edits without an answer are compared with a snapshot, and not just sent again', async (t) => {
  const keys = new Set<string>()
  let answers = false
  const pull = pagesOf({ reset: true, more: false }, {
    reset: true,
    more: false,
    changes: [{ space: 'me', ops: [put('b', 7, 'Theirs')] }]
  })
  let lost = false
  const one = await device(t, newUser(), {
    fetch: async (...ask) => {
      if (!isPush(ask[1])) {
        if (lost) {
          lost = false
          return problem(410, 'CURSOR_EXPIRED')
        }
        return pull(...ask)
      }
      keys.add((ask[1]!.headers as Record<string, string>)['idempotency-key']!)
      if (!answers) throw new TypeError('fetch failed')
      t.match(JSON.parse(ask[1]!.body as string), { changes: [{ ifMatch: 7 }] })
      return Response.json({ n: 8, results: [{ type: 'bookmark', id: 'b', status: 200, rev: 8 }] })
    }
  })
  await one.bookmarks.put('b', home)
  await one.push().catch(() => {})
  ;[answers, lost] = [true, true]
  await one.pull()
  t.equal(one.pending().length, 1)
  await one.push()
  t.equal(keys.size, 2)
  t.match(one.bookmarks.get('b'), { title: 'Home', rev: 8 })
})

t.test('what the hub refuses for good is handed to the app, and stays until it is dismissed', async (t) => {
  const user = newUser()
  const store = memoryStore()
  const told: Rejected[] = []
  const one = await device(t, user, {
    store,
    onRejected: (rejected) => {
      told.push(rejected)
    }
  })
  await one.bookmarks.put('good', home)
  await one.bookmarks.put('bad', { ...home, url: 'javascript:alert(1)' })
  await one.sync()
  t.strictSame(one.bookmarks.list().map(({ id }) => id), ['good'], 'the others went through')
  t.match(told, [{
    type: 'bookmark',
    id: 'bad',
    record: { title: 'Home' },
    problem: { status: 400, errorType: 'URL_NOT_ALLOWED', errors: [{ pointer: /url/ }] }
  }])
  const again = await device(t, user, { store })
  t.strictSame(again.rejected(), told)
  await again.dismiss(told[0]!.key)
  t.strictSame(again.rejected(), [])

  // It does not say which: halves are tried until it is known.
  const full = await device(t, user, {
    fetch: async (...ask) =>
      isPush(ask[1]) && (ask[1]!.body as string).includes('huge')
        ? problem(507, 'QUOTA_EXCEEDED')
        : into(hub)(...ask)
  })
  for (const id of ['a', 'b', 'huge', 'c', 'd']) await full.settings.put(id, { value: id })
  await full.sync()
  t.strictSame(full.settings.list().map(({ id }) => id).sort(), ['a', 'b', 'c', 'd'])
  t.match(full.rejected(), [{ id: 'huge', problem: { status: 507 } }])
})

t.test('a problem that is not about an edit costs no edit', async (t) => {
  const user = newUser()
  for (
    const [status, errorType] of [[401, 'UNAUTHENTICATED'], [403, 'TENANT_SUSPENDED'], [404, 'NOT_FOUND'], [
      405,
      ''
    ]] as const
  ) {
    const one = await device(t, user, {
      fetch: async (...ask) => isPush(ask[1]) ? problem(status, errorType) : into(hub)(...ask)
    })
    await one.bookmarks.put('b', home)
    t.match(await one.sync().catch((error: unknown) => error), { name: 'HubProblem', status })
    t.equal(one.pending().length, 1)
    t.strictSame(one.rejected(), [])
  }
  const { token } = await hub.as(user)
  const asked: (string | undefined)[] = []
  const renewing = await device(t, user, {
    token: (refused) => {
      asked.push(refused)
      return refused === undefined ? 'old' : token
    }
  })
  await renewing.sync()
  t.strictSame(asked, [undefined, 'old'], 'a new token is asked for once')
})

t.test('the hub is waited for as long as it asks, and asked for the same again', async (t) => {
  const waits: number[] = []
  const bodies: unknown[] = []
  const answers = [problem(429, 'RATE_LIMITED', {}, { 'retry-after': '7' }),
    problem(503, 'CONTENTION', {}, { 'retry-after': '1' }),
    problem(409, 'IDEMPOTENCY_IN_PROGRESS', {}, { 'retry-after': '1' }),
    new Response('<html>', { status: 502 })]
  const one = await device(t, newUser(), {
    sleep: async (milliseconds) => {
      waits.push(milliseconds)
    },
    fetch: async (...ask) => {
      if (!isPush(ask[1])) return into(hub)(...ask)
      bodies.push([ask[1]!.headers, ask[1]!.body])
      return answers.shift() ?? into(hub)(...ask)
    }
  })
  await one.bookmarks.put('b', home)
  await one.push()
  t.equal(one.pending().length, 0)
  t.ok(waits[0]! >= 7000 && waits[1]! >= 1000 && waits[2]! >= 1000 && waits[3]! <= 4000, waits.join())
  t.equal(bodies.length, 5)
  for (const body of bodies) t.strictSame(body, bodies[0])
})

t.test('deletes of most of a space are made only where the app says so', async (t) => {
  const user = newUser()
  const one = await device(t, user)
  for (let n = 0; n < 60; n++) await one.bookmarks.put(`b${n}`, home)
  await one.sync()
  for (let n = 0; n < 59; n++) await one.bookmarks.delete(`b${n}`)
  await one.bookmarks.put('new', home)
  await one.sync()
  t.equal(one.bookmarks.list().length, 61, 'what was not deleted is there again')
  t.equal(one.rejected().length, 59)
  const sure = await device(t, user, { confirm: ({ errorType }) => errorType === 'CONFIRMATION_REQUIRED' })
  await sure.pull()
  for (let n = 0; n < 59; n++) await sure.bookmarks.delete(`b${n}`)
  await sure.sync()
  t.equal(sure.bookmarks.list().length, 2)
  t.strictSame(sure.rejected(), [])
})

t.test('a cursor that leads nowhere begins a snapshot; what was shown stays until it is complete, what was not pushed stays on top', async (t) => {
  const user = newUser()
  let lost: Response | undefined
  let pages = 0
  const shown: number[] = []
  const one: Client = await device(t, user, {
    fetch: async (...ask) => {
      const [input, init] = ask
      if (isPush(init)) return into(hub)(...ask)
      const answer = lost
      lost = undefined
      if (answer !== undefined) return answer
      pages++
      shown.push(one.bookmarks.list().length)
      return into(hub)(`${input as string}${(input as string).includes('?') ? '&' : '?'}limit=2`, init)
    }
  })
  for (let n = 0; n < 5; n++) await one.bookmarks.put(`b${n}`, home)
  await one.sync()
  await (await hub.as(user)).delete('/v1/bookmarks/b0')
  for (const answer of [problem(410, 'CURSOR_EXPIRED'), problem(400, 'INVALID_CURSOR')]) {
    await one.bookmarks.update('b1', { title: 'Mine' })
    ;[lost, pages, shown.length] = [answer, 0, 0]
    await one.pull()
    t.ok(pages > 2, 'several pages')
    t.notOk(shown.includes(0), 'at no time was there nothing')
    t.strictSame(one.bookmarks.list().map(({ id }) => id).sort(), ['b1', 'b2', 'b3', 'b4'])
    t.equal(one.bookmarks.get('b1')!.title, 'Mine')
  }
  await one.sync()
  t.match((await (await hub.as(user)).get('/v1/bookmarks/b1')).body, { title: 'Mine' })
})

t.test('a device that was away for longer than the log reaches back is in step again', async (t) => {
  let now = Date.now()
  const hub = await startHub(t, {}, { now: () => now })
  const user = newUser()
  const statuses: number[] = []
  const noting: typeof fetch = async (...ask) => {
    const answer = await into(hub)(...ask)
    statuses.push(answer.status)
    return answer
  }
  const [one, other] = [await device(t, user, { fetch: noting }, hub), await device(t, user, {}, hub)]
  for (const id of ['kept', 'edited', 'deleted', 'both']) await one.bookmarks.put(id, home)
  await one.sync()
  await other.sync()
  await other.bookmarks.update('edited', { title: 'Theirs' })
  await other.bookmarks.delete('deleted')
  await other.bookmarks.delete('both')
  await other.sync()
  await one.bookmarks.update('both', { title: 'Mine' })
  now += 100 * 24 * 3600_000
  await other.bookmarks.put('new', home)
  await other.sync()
  await one.pull()
  t.ok(statuses.includes(410))
  t.strictSame(one.bookmarks.list().map(({ id, title }) => [id, title]).sort(), [['both', 'Mine'], ['edited',
    'Theirs'], ['kept', 'Home'], ['new', 'Home']])
  await one.sync()
  await other.sync()
  t.strictSame(new Set(other.bookmarks.list()), new Set(one.bookmarks.list()))
})

/** Waits until something holds on a device. */
const until = (client: Client, holds: () => boolean) =>
  new Promise<void>((resolve) => {
    const look = () => {
      if (!holds()) return
      end()
      resolve()
    }
    const end = client.subscribe(look)
    look()
  })

/** The path and query of requests that came through. */
function watched (asked: string[], fetch: typeof globalThis.fetch): typeof globalThis.fetch {
  return (input, init) => {
    asked.push(`${init?.method} ${(input as string).replace(/^https?:\/\/[^/]+|(?<=cursor=)[^&]+/g, '')}`)
    return fetch(input, init)
  }
}

const listening = async (hub: Hub) => ({
  url: await hub.app.listen({ port: 0, host: '127.0.0.1' }),
  fetch: globalThis.fetch
})
const listened = await listening(hub)

t.test(
  'who follows is in step, over a stream, and sends edits as they are made',
  async (t) => {
    const user = newUser()
    const asked: string[] = []
    const [one, other] = [await device(t, user, { ...listened, fetch: watched(asked, fetch) }),
      await device(t, user, listened)]
    const ending = new AbortController()
    const followed = [one.follow(ending.signal), other.follow()]
    await one.bookmarks.put('b', home)
    await until(other, () => other.bookmarks.get('b') !== undefined)
    await other.bookmarks.update('b', { title: 'New' })
    await until(one, () => one.bookmarks.get('b')!.title === 'New')
    await one.settings.put('s', { value: 1 })
    await until(other, () => other.settings.get('s') !== undefined)
    t.equal(asked.filter((path) => path.startsWith('GET /v1/sync/live')).length, 1, 'one stream')
    ending.abort()
    await other.close()
    await Promise.all(followed)
  }
)

t.test('where nothing can be streamed, long polls do', async (t) => {
  const hub = await startHub(t, { streamSeconds: 0 })
  const user = newUser()
  const asked: string[] = []
  const options = await listening(hub)
  const [one, other] = [await device(t, user, { ...options, fetch: watched(asked, fetch) }, hub),
    await device(t, user, options, hub)]
  const followed = one.follow()
  await other.bookmarks.put('b', home)
  await other.sync()
  await until(one, () => one.bookmarks.get('b') !== undefined)
  await one.close()
  await followed
  t.equal(asked.filter((path) => path.startsWith('GET /v1/sync/live')).length, 1)
  t.ok(asked.some((path) => path.endsWith('wait=25')))
})

t.test(
  'a stream that ends, breaks, is refused or says nothing is not the end',
  async (t) => {
    const user = newUser()
    const asked: string[] = []
    const stream = (text: string, end: (controller: ReadableStreamDefaultController) => void) =>
      new Response(
        new ReadableStream({
          start (controller) {
            controller.enqueue(new TextEncoder().encode(text))
            end(controller)
          }
        }),
        { headers: { 'content-type': 'text/event-stream' } }
      )
    let silent = false
    const answers = [() => problem(429, 'TOO_MANY_CONNECTIONS', {}, { 'retry-after': '1' }),
      () =>
        stream(':\n\n', (controller) => {
          controller.close()
        }), () =>
      stream(': cut\n\ndata: {"cha', (controller) => {
        setImmediate(() => {
          controller.error(new TypeError('terminated'))
        })
      }), () =>
      stream(
        `event: problem\ndata: ${JSON.stringify({ status: 410, errorType: 'CURSOR_EXPIRED' })}\n\n`,
        (controller) => {
          controller.close()
        }
      ), () =>
      stream(
        `event: problem\ndata: ${JSON.stringify({ status: 503, errorType: 'STORE_UNAVAILABLE' })}\n\n`,
        (controller) => {
          controller.close()
        }
      ), () => problem(503, 'NOT_READY'), () =>
      stream(':\n\n', () => {
        silent = true
      }), () => {
      silent = false
      return problem(400, 'INVALID_CURSOR')
    }]
    const fake: typeof fetch = async (...ask) =>
      (ask[0] as string).includes('/live') ? answers.shift()?.() ?? fetch(...ask) : fetch(...ask)
    const one = await device(t, user, {
      ...listened,
      fetch: watched(asked, fake),
      // Time passes for the stream that is silent.
      sleep: (milliseconds, signal) =>
        silent && milliseconds > 30_000 ? pause(50) : sleep(milliseconds, signal)
    })
    const followed = one.follow()
    const other = await device(t, user, listened)
    await other.bookmarks.put('b', home)
    await other.sync()
    while (answers.length > 0) await pause(5)
    await until(one, () => one.bookmarks.get('b') !== undefined)
    await one.close()
    await followed
    t.notOk(asked.some((path) => path.includes('wait=')), 'always a stream again')

    const gathering = await device(t, user, {
      ...listened,
      fetch: watched(asked, (...ask) => (ask[0] as string).includes('/live') ? never(ask[1]) : fetch(...ask)),
      sleep: (milliseconds, signal) => milliseconds > 30_000 ? pause(20) : sleep(milliseconds, signal)
    })
    const polled = gathering.follow()
    while (!asked.some((path) => path.includes('wait='))) await pause(5)
    await gathering.close()
    await polled
    t.ok('something in between gathers what it should pass on: long polls get through')
  }
)

t.test('a follower that is refused ends, and says why', async (t) => {
  const one = await device(t, newUser(), { fetch: async () => problem(401, 'UNAUTHENTICATED') })
  t.match(await one.follow().catch((error: unknown) => error), { name: 'HubProblem', status: 401 })
})

t.test('a follower can be ended at any moment', async (t) => {
  for (let at = 1; at <= 6; at++) {
    const store = memoryStore()
    let steps = 0
    const step = <T>(result: T) => {
      if (++steps === at) void one.close()
      return result
    }
    const one: Client = await device(t, newUser(), {
      store: { read: () => store.read(), write: async (changes) => step(await store.write(changes)) },
      fetch: async (...ask) =>
        (ask[0] as string).includes('/live') ? step(never(ask[1])) : step(await into(hub)(...ask))
    })
    await one.bookmarks.put('b', home)
    await one.follow()
    t.equal(steps >= at, true, `closed at step ${at}`)
  }
})

const join = {
  type: 'membership',
  id: 'g1',
  act: 'join',
  rev: 1,
  record: { id: 'g1', role: 'editor', rev: 1 }
} as const

t.test('a group begins with its join, and is dropped as a whole with its leave', async (t) => {
  const one = await device(t, newUser(), {
    fetch: pagesOf(
      {
        reset: true,
        changes: [{ space: 'me', ops: [put('mine', 1), join] }, {
          space: 'group:g1',
          ops: [put('theirs', 4)]
        }],
        more: false
      },
      { changes: [{ space: 'me', n: 9, ops: [{ type: 'membership', id: 'g1', act: 'leave', rev: 9 }] }] }
    )
  })
  const group = one.space('group:g1')
  await one.pull()
  t.match(one.memberships(), [{ id: 'g1', role: 'editor' }])
  t.strictSame(group.bookmarks.list().map(({ id }) => id), ['theirs'])
  await group.bookmarks.put('edit', home)
  await one.pull()
  t.strictSame([one.memberships(), group.bookmarks.list()], [[], []])
  t.strictSame(one.bookmarks.list().map(({ id }) => id), ['mine'])
  t.match(
    one.rejected(),
    [{ space: 'group:g1', id: 'edit', problem: { status: 404 } }],
    "an edit that can't get there any more is not lost"
  )
  await group.bookmarks.put('late', home)
  await one.push()
  t.equal(one.rejected().length, 2, 'nor one that the hub refuses for its space')
  t.throws(() => one.space('everyone'), TypeError)
})

t.test('changes that are told twice, or late, change nothing', async (t) => {
  const one = await device(t, newUser(), {
    fetch: pagesOf(
      { reset: true, more: false, changes: [{ space: 'me', ops: [put('a', 5, 'new'), put('b', 5)] }] },
      {
        changes: [{
          space: 'me',
          n: 3,
          ops: [put('a', 3, 'old'), { type: 'bookmark', id: 'b', act: 'delete', rev: 3 }]
        }, { space: 'me', n: 5, ops: [put('a', 5, 'new')] }]
      }
    )
  })
  await one.pull()
  const before = one.bookmarks.list()
  one.subscribe(() => t.fail('nothing changed'))
  await one.pull()
  t.strictSame(one.bookmarks.list(), before)
})

t.test('of a batch a device shows all or nothing, also when its process ends in between', async (t) => {
  const part = (part: number): ChangeSet => ({
    space: 'me',
    n: part + 1,
    batch: { id: 'x', part, parts: 3 },
    ops: [put(`b${part}`, part + 1)]
  })
  const store = memoryStore()
  const user = newUser()
  const seen: number[] = []
  const after: ChangeSet = { space: 'me', n: 5, ops: [put('after', 5)] }
  const first = await device(t, user, {
    store,
    fetch: pagesOf({ reset: true, more: false }, {
      changes: [{ space: 'me', n: 1, ops: [put('before', 1)] }, part(1)],
      more: false
    })
  })
  await first.pull()
  await first.pull()
  t.strictSame(first.bookmarks.list(), [])
  const one = await device(t, user, {
    store,
    fetch: pagesOf({ changes: [part(2)], more: false }, { changes: [part(3), after], more: false }),
    onChange: () => {
      seen.push(one.bookmarks.list().length)
    }
  })
  await one.pull()
  t.strictSame(one.bookmarks.list(), [])
  await one.pull()
  t.strictSame(one.bookmarks.list().map(({ id }) => id).sort(), ['after', 'b1', 'b2', 'b3', 'before'])
  await pause(0)
  t.strictSame(seen, [5])
})

t.test('wherever a process is killed, the next one goes on: nothing is lost, nothing is done twice', async (t) => {
  const counted = { steps: 1, kills: 0 }
  for (let at = 1; at <= counted.steps; at++) {
    for (const when of ['before', 'after'] as const) {
      const user = newUser()
      const person = await hub.as(user)
      await person.put('/v1/bookmarks/b', home)
      const kept = memoryStore()
      let steps = 0
      // Whatever goes out of the process may be the last thing that it does; then it hangs.
      const mortal = async <T>(work: () => Promise<T>): Promise<T> => {
        steps++
        if (steps > at || (steps === at && when === 'before')) throw new Error('killed')
        const result = await work()
        if (steps >= at) throw new Error('killed')
        return result
      }
      const store: Store = { read: () => kept.read(), write: (changes) => mortal(() => kept.write(changes)) }
      // What the user was told is kept, and what may or may not be.
      const [done, begun] = [new Set<string>(), new Set<string>()]
      const edit = async (name: string, work: () => Promise<void>) => {
        begun.add(name)
        await work()
        done.add(name)
      }
      const one = await device(t, user, { store, fetch: (...ask) => mortal(() => into(hub)(...ask)) })
      const work = async () => {
        await one.pull()
        await edit('b', () => one.bookmarks.update('b', { title: 'Mine' }))
        await person.patch('/v1/bookmarks/b', { description: 'theirs' })
        await edit('c', () => one.bookmarks.put('c', home))
        await one.sync()
        await edit('not c', () => one.bookmarks.delete('c'))
        await one.sync()
      }
      if (!await work().then(() => true, () => false)) counted.kills++
      if (steps >= at) counted.steps = at + 1
      const next = await device(t, user, { store: kept })
      await next.sync()
      const { items } = (await person.get('/v1/bookmarks')).body
      t.strictSame(
        next.bookmarks.list().sort((one, other) => one.id.localeCompare(other.id)),
        items,
        `killed ${when} step ${at}`
      )
      const [b, c] = ['b', 'c'].map((id) => items.find((item: { id: string }) => item.id === id))
      if (done.has('b')) t.match(b, { title: 'Mine' })
      if (begun.has('c')) t.match(b, { description: 'theirs' })
      if (done.has('c') && !begun.has('not c')) t.ok(c)
      if (done.has('not c')) t.notOk(c)
      t.ok(b.rev <= 3, 'nothing twice')
    }
  }
  t.ok(counted.kills > 30, `${counted.kills} kills`)
})

t.test('devices that did anything, in any order, on a network that loses anything, agree in the end', async (t) => {
  const step = fc.record({
    device: fc.nat(2),
    act: fc.constantFrom('put', 'put', 'update', 'update', 'delete', 'sync', 'push', 'pull', 'restart'),
    id: fc.constantFrom('a', 'b', 'c'),
    lost: fc.constantFrom('no', 'no', 'request', 'answer')
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
      const user = newUser()
      let lost = 'no'
      const fetch: typeof globalThis.fetch = async (...ask) => {
        if (lost === 'request') throw new TypeError('fetch failed')
        const answer = await into(hub)(...ask)
        if (lost === 'answer') throw new TypeError('fetch failed')
        return answer
      }
      const stores = [memoryStore(), memoryStore(), memoryStore()]
      const devices = await Promise.all(stores.map((store) => device(t, user, { store, fetch })))
      for (const [n, { device: at, act, id, lost: loses }] of steps.entries()) {
        const { bookmarks } = devices[at]!
        lost = loses
        if (act === 'put') await bookmarks.put(id, { ...home, title: `${n}`, tags: [`${n}`] })
        else if (act === 'update') await bookmarks.update(id, { description: `${n}` }).catch(() => {})
        else if (act === 'delete') await bookmarks.delete(id)
        else if (act === 'restart') devices[at] = await device(t, user, { store: stores[at]!, fetch })
        else await devices[at]![act]().catch(() => {})
      }
      lost = 'no'
      for (const each of [...devices, ...devices]) await each.sync()
      const { items } = (await (await hub.as(user)).get('/v1/bookmarks')).body
      for (const each of devices) {
        t.strictSame(each.bookmarks.list().sort((one, other) => one.id.localeCompare(other.id)), items)
        t.strictSame([each.pending(), each.rejected()], [[], []])
      }
    }),
    { numRuns: 20 }
  )
})

const json = fc.jsonValue({ maxDepth: 3 })
const content = fc.record({
  title: fc.constantFrom('a', 'b', 'c'),
  value: json,
  description: fc.constantFrom('x', 'y'),
  tags: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'))
}, { requiredKeys: ['title', 'tags'] })
const version = fc.option(content, { nil: undefined })

t.test('a merge keeps what one side alone changed, and is the same from both sides where nobody has to decide', async (t) => {
  fc.assert(
    fc.property(version, version, (base, other) => {
      t.ok(same(merge(base, base, other).content, other))
      t.ok(same(merge(base, other, base).content, other))
      t.strictSame(merge(base, other, other), { content: other })
    }),
    { numRuns: 300 }
  )
  fc.assert(
    fc.property(version, version, version, (base, mine, theirs) => {
      const [one, other] = [merge(base, mine, theirs), merge(base, theirs, mine)]
      t.equal(one.conflict === undefined, other.conflict === undefined)
      const sorted = (content: object | undefined) =>
        content && { ...content, tags: new Set((content as { tags: string[] }).tags) }
      if (one.conflict === undefined) t.strictSame({ ...sorted(one.content) }, { ...sorted(other.content) })
      const [tags, otherTags] = [one, other].map(({ content }) => new Set(content?.tags as string[]))
      if (mine !== undefined && theirs !== undefined) t.strictSame(tags, otherTags)
      for (const tag of tags!) {
        t.ok([...mine?.tags ?? [], ...theirs?.tags ?? []].some((known) => known === tag))
      }
      if (mine !== undefined || theirs !== undefined) {
        t.ok(
          one.content !== undefined || same(base, mine) || same(base, theirs),
          'an edit is never lost to a delete'
        )
      }
      t.ok(same(merge(one.content, one.content, theirs).content, theirs))
    }),
    { numRuns: 300 }
  )
  fc.assert(fc.property(json, json, (one, other) => {
    t.equal(same(one, other), same(other, one))
    t.ok(same(one, JSON.parse(JSON.stringify(one))))
  }))
})

t.test('events are read as the standard says, however the bytes are cut', async (t) => {
  const text =
    '\uFEFFretry: 1000\r\n\r\n: heartbeat\n\nid: c1\nevent: changes\ndata: {"a":\rdata: "ü€🙂"}\r\revent:problem\ndata:x\n\ndata\n\nevent: never\n\ndata: cut'
  const events = [{ event: 'changes', data: '{"a":\n"ü€🙂"}' }, { event: 'problem', data: 'x' }, {
    event: 'message',
    data: ''
  }]
  fc.assert(fc.property(fc.array(fc.nat(12)), (sizes) => {
    const [read, bytes] = [createEventReader(), new TextEncoder().encode(text)]
    let at = 0
    const found = [...sizes, bytes.length].flatMap((size) => read(bytes.subarray(at, at += size)))
    t.strictSame(found, events)
  }))
})

t.test('a store in localStorage holds all of a write, or nothing', async (t) => {
  const rows = new Map<string, string>()
  let left = Infinity
  const storage = {
    get length () {
      return rows.size
    },
    key: (index: number) => [...rows.keys()][index] ?? null,
    getItem: (key: string) => rows.get(key) ?? null,
    setItem (key: string, value: string) {
      if (left-- <= 0) throw new Error('QuotaExceededError')
      rows.set(key, value)
    },
    removeItem: (key: string) => {
      rows.delete(key)
    }
  }
  rows.set('foreign', 'kept')
  await storageStore(storage, 'alice').write(new Map<string, unknown>([['a', 1], ['b', { x: null }]]))
  await storageStore(storage, 'bob').write(new Map([['a', 2]]))
  const held = new Map<string, unknown>([['a', 1], ['b', { x: null }]])
  for (const fits of [0, 1, 2]) {
    left = fits
    const failed = storageStore(storage, 'alice').write(
      new Map<string, unknown>([['b', undefined], ['a', 3], ['c', 4]])
    )
    left = fits
    await t.rejects(failed.finally(() => {
      left = Infinity
    }))
    t.strictSame(await storageStore(storage, 'alice').read(), held, `${fits} writes fit`)
  }
  const cut = storageStore({
    ...storage,
    get length () {
      return rows.size
    },
    removeItem (key) {
      if (!key.endsWith('journal')) storage.removeItem(key)
    }
  }, 'alice')
  await cut.write(new Map<string, unknown>([['a', 3], ['c', 4]]))
  t.strictSame(await storageStore(storage, 'alice').read(), held, 'a write whose end was not seen')
  t.equal(rows.get('foreign'), 'kept')

  const user = newUser()
  const one = await device(t, user, { store: storageStore(storage, 'carol') })
  await one.bookmarks.put('b', home)
  const again = await device(t, user, { store: storageStore(storage, 'carol') })
  await again.sync()
  t.match((await (await hub.as(user)).get('/v1/bookmarks/b')).body, home)
})

t.test('a write that the store refuses has not happened, and what is no JSON is refused', async (t) => {
  let full = false
  const store = memoryStore()
  const one = await device(t, newUser(), {
    store: {
      read: () => store.read(),
      write: async (changes) => full ? Promise.reject(new Error('full')) : store.write(changes)
    }
  })
  full = true
  await t.rejects(one.bookmarks.put('b', home), { message: 'full' })
  t.strictSame([one.bookmarks.list(), one.pending()], [[], []])
  full = false
  await t.rejects(one.settings.put('s', { value: new Date() }), TypeError)
  await t.rejects(one.settings.put('s', { value: { n: NaN } }), TypeError)
  await t.rejects(one.settings.put('a b', { value: 1 }), TypeError)
  await t.rejects(one.settings.update('s', { value: 1 }), RangeError)
  await one.settings.put('s', { value: { list: [1] } })
  t.throws(
    () => {
      ;(one.settings.get('s')!.value as { list: number[] }).list.push(2)
    },
    TypeError,
    "what is handed out can't be changed"
  )
})
