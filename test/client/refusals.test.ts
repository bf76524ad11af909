import t from 'tap'
import { memoryStore, type Rejected } from '../../src/client/index.ts'
import { devicesOf, home, into, isPush, newUser, problem } from '../harness/app-device.ts'
import { startHub } from '../harness/hub.ts'

const hub = await startHub(t)
const { device } = devicesOf(hub)

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
