import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { SILENCE_MS } from '../../src/client/http.ts'
import type { Options } from '../../src/client/index.ts'
import { devicesOf, home, into, isPush, never, newUser, timeout } from '../harness/app-device.ts'
import { startHub } from '../harness/hub.ts'

/** Tokens and networks as browsers and proxies have them. */

const hub = await startHub(t)
const { device } = devicesOf(hub)
const bearerOf = (init: RequestInit | undefined) =>
  (init!.headers as Record<string, string>).authorization!.slice('Bearer '.length)
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const jwt = (exp: number, name = '') => `${part({ alg: 'none' })}.${part({ exp, name })}.x`

/** A hub that is asked with any token, and notes it. */
const asked =
  (seen: string[], token: string, refuses: (token: string) => Response | undefined): typeof fetch =>
  async (input, init) => {
    const bearer = bearerOf(init)
    seen.push(bearer)
    const refusal = refuses(bearer)
    if (refusal !== undefined) return refusal
    return into(hub)(input, {
      ...init,
      headers: { ...init!.headers as object, authorization: `Bearer ${token}` }
    })
  }

t.test('a token that is about to expire is not sent any more', async (t) => {
  const user = newUser()
  const { token } = await hub.as(user)
  const [seen, refused]: [string[], (string | undefined)[]] = [[], []]
  let now = 1_000_000_000
  const tokens = [jwt(1_000_100, 'old'), jwt(1_003_600, 'new'), jwt(1, 'of a clock that is wrong')]
  const [old, fresh, wrong] = tokens as [string, string, string]
  const one = await device(t, user, {
    now: () => now,
    token: (before) => {
      refused.push(before)
      return tokens.shift()!
    },
    fetch: asked(seen, token, () => undefined)
  })
  await one.pull()
  now += 60_000
  await one.pull()
  now += 11_000
  await one.pull()
  t.strictSame(refused, [undefined, old], 'which one is over is told')
  t.strictSame([...new Set(seen)], [old, fresh])
  now += 3_600_000
  await one.pull()
  await one.pull()
  t.strictSame(
    refused,
    [undefined, old, fresh],
    'one that seems to be over when it comes is sent all the same'
  )
  t.equal(seen.at(-1), wrong)
})

t.test('a 401 that a browser shows as no answer at all leads to a new token, asked for once', async (t) => {
  const user = newUser()
  const { token } = await hub.as(user)
  const [seen, refused]: [string[], (string | undefined)[]] = [[], []]
  const one = await device(t, user, {
    token: async (before) => {
      refused.push(before)
      return before === undefined ? 'opaque' : 'another'
    },
    fetch: asked(seen, token, (bearer) => {
      if (bearer === 'opaque') throw new TypeError('Failed to fetch')
      return undefined
    })
  })
  await one.sync()
  t.strictSame(refused, [undefined, 'opaque'])
  t.strictSame([...new Set(seen)], ['opaque', 'another'])

  const off: (string | undefined)[] = []
  let isOffline = true
  const away = await device(t, user, {
    token: async (before) => {
      off.push(before)
      if (off.length > 1 && off.length < 4) throw new TypeError('offline as well')
      return `${off.length}`
    },
    fetch: asked([], token, () => {
      if (isOffline) throw new TypeError('Failed to fetch')
      return undefined
    })
  })
  for (let n = 0; n < 5; n++) await t.rejects(away.pull())
  t.strictSame(off, [undefined, '1', '1', '1'], 'where a new one gets no answer either, it is the network')
  isOffline = false
  await away.pull()
})

t.test('nobody is signed in where the app says null', async (t) => {
  const one = await device(t, newUser(), { token: () => null })
  t.match(await one.pull().catch((error: unknown) => error), { status: 401, errorType: 'SIGNED_OUT' })
  t.equal(one.status().state, 'signed-out')
})

t.test('what is too large for something in between goes in halves, whether it says so or cuts the line', async (t) => {
  for (const says of [413, 0]) {
    const user = newUser()
    const sizes: number[] = []
    const one = await device(t, user, {
      fetch: async (...ask) => {
        if (!isPush(ask[1])) return into(hub)(...ask)
        const { length } = ask[1]!.body as string
        if (length > 60_000) {
          if (says === 0) throw new TypeError('Failed to fetch')
          return new Response('<html>413 Request Entity Too Large</html>', { status: says })
        }
        sizes.push(length)
        return into(hub)(...ask)
      }
    })
    for (let n = 0; n < 40; n++) await one.settings.put(`s${n}`, { value: 'x'.repeat(5_000) })
    await one.sync()
    t.equal(one.settings.list().length, 40)
    t.strictSame([one.pending(), one.rejected()], [[], []])
    t.ok(sizes.length >= 4 && sizes.length < 12, `${sizes.length} pushes: what gets through is learnt`)
  }
  const one = await device(t, newUser(), {
    fetch: async (...ask) => isPush(ask[1]) ? new Response('', { status: 413 }) : into(hub)(...ask)
  })
  await one.settings.put('s', { value: 1 })
  await one.sync()
  t.match(one.rejected(), [{ id: 's', problem: { status: 413 } }], 'one edit alone can be too large')
})

t.test('a connection that says nothing is given up within 15 s, whatever was asked', async (t) => {
  const waits: number[] = []
  // Time passes for who waits longest.
  const passing: Options['timeout'] = (milliseconds, signal) => {
    waits.push(milliseconds)
    return Promise.race([timeout(milliseconds, signal), pause(20)])
  }
  const silent = await device(t, newUser(), { timeout: passing, fetch: (_, init) => never(init) })
  t.match(await silent.pull().catch((error: unknown) => error), { status: 0 })
  t.equal(silent.status().state, 'offline')

  let head = true
  const half = await device(t, newUser(), {
    timeout: passing,
    fetch: async () => {
      head = !head
      return new Response(
        new ReadableStream({
          start (controller) {
            controller.enqueue(new TextEncoder().encode('{"changes":'))
          }
        })
      )
    }
  })
  const ended = half.pull().catch((error: unknown) => error)
  t.match(await ended, { status: 0, message: /read/ })

  const streaming = await device(t, newUser(), {
    timeout: passing,
    fetch: async (...ask) => (ask[0] as string).includes('/live') ? never(ask[1]) : into(hub)(...ask)
  })
  const followed = streaming.follow()
  while (!waits.some((milliseconds) => milliseconds > SILENCE_MS)) await pause(5)
  await streaming.close()
  await followed
  t.ok(waits.every((milliseconds) => milliseconds <= 15_000), `${Math.max(...waits)} ms at most`)

  // What is sent may take its time.
  const sending: number[] = []
  const one = await device(t, newUser(), {
    timeout: (milliseconds, signal) => {
      sending.push(milliseconds)
      return timeout(milliseconds, signal)
    }
  })
  for (let n = 0; n < 15; n++) await one.settings.put(`s${n}`, { value: 'x'.repeat(60_000) })
  await one.bookmarks.put('b', home)
  await one.push()
  t.ok(Math.max(...sending) > 60_000)
})
