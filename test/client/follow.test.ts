import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { memoryStore, type Client } from '../../src/client/index.ts'
import { devicesOf, home, into, never, newUser, problem, timeout } from '../harness/app-device.ts'
import { startHub, type Hub } from '../harness/hub.ts'

const hub = await startHub(t)
const { device } = devicesOf(hub)

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
  { timeout: 30_000 },
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

t.test('where nothing can be streamed, long polls do', { timeout: 30_000 }, async (t) => {
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
  t.ok(asked.some((path) => path.endsWith('wait=10')))
})

t.test(
  'a stream that ends, breaks, is refused or says nothing is not the end',
  { timeout: 30_000 },
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
      timeout: (milliseconds, signal) => silent ? pause(50) : timeout(milliseconds, signal)
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
      timeout: (_, signal) => Promise.race([timeout(0, signal), pause(20)])
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

t.test('a follower can be ended at any moment', { timeout: 30_000 }, async (t) => {
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
