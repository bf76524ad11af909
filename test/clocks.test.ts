import t from 'tap'
import { spaceKey } from '../entities/fields.ts'
import { LogEntry } from '../entities/space.ts'
import type { Overrides } from '../src/app.ts'
import { startTracedHub } from './harness/client.ts'
import { createDevice } from './harness/device.ts'
import { person, startApp } from './harness/hub.ts'
import { logOf } from './harness/log.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
const YEAR = 365 * DAY
const { hub, store } = await startTracedHub(t)
const page = { url: 'https://example.com', title: 'x', tags: [] }

/** One user at a further hub, whose clock is another. */
async function at (user: string, overrides: Pick<Overrides, 'now' | 'clock'>) {
  const app = await startApp(t, hub.config, overrides)
  return person(app, (await hub.as({ tenant: 'acme', user })).token)
}
/** How far from now a stored time is. */
const off = (time: unknown) => Math.abs(Date.parse(time as string) - Date.now())

for (const [name, skew] of Object.entries({ ahead: YEAR, behind: -YEAR })) {
  t.test(`what a machine stamps whose clock is a year ${name} is the time of the store`, async (t) => {
    const user = await at(`clock-${name}`, { clock: () => Date.now() + skew })
    const { body } = await user.put('/v1/bookmarks/one', page)
    t.ok(off(body.createdAt) < 10 * MINUTE)
    await user.delete('/v1/bookmarks/one')
    const { body: { items: [trashed] } } = await user.get('/v1/trash')
    t.ok(off(trashed.expiresAt) < 92 * DAY)
  })
}

t.test('a space that was stamped a year ahead goes back to time as it is', async (t) => {
  const late = await at('poisoned', { now: () => Date.now() + YEAR })
  await late.put('/v1/bookmarks/future', page)
  const user = await hub.as({ tenant: 'acme', user: 'poisoned' })
  const { body } = await user.put('/v1/bookmarks/present', page)
  t.equal(body.rev, 2)
  t.ok(off(body.updatedAt) < 10 * MINUTE)
  t.ok(off((await logOf(store, 'poisoned')).head!.at) < 10 * MINUTE)
  await user.delete('/v1/bookmarks/future')
  const { body: { items: [trashed] } } = await user.get('/v1/trash')
  t.ok(off(trashed.deletedAt) < 10 * MINUTE)
  t.ok(off(trashed.expiresAt) < 92 * DAY)
  const device = createDevice(user)
  await device.pull()
  t.strictSame([...device.held.keys()], ['me bookmark present'])
})

t.test('a first sync ends where TTL swept what was written after a wrong clock, and left what that had stamped', async (t) => {
  const late = await at('swept', { now: () => Date.now() + YEAR })
  await late.put('/v1/bookmarks/b1', page)
  const user = await hub.as({ tenant: 'acme', user: 'swept' })
  for (const id of ['b2', 'b3', 'b4']) await user.put(`/v1/bookmarks/${id}`, page)
  const later = await at('swept', { now: () => Date.now() + 120 * DAY })
  await later.put('/v1/bookmarks/b5', page)
  for (const n of [2, 3, 4]) await LogEntry.delete({ ...spaceKey('acme', 'USER', 'swept'), n }).go(store)
  let cursor: string | undefined
  const seen = new Set<string>()
  for (let asked = 0; asked < 10; asked++) {
    const answer = await later.get(`/v1/sync${cursor === undefined ? '' : `?cursor=${cursor}`}`)
    t.equal(answer.status, 200)
    for (const { ops } of answer.body.changes as { ops: { id: string }[] }[]) {
      for (const { id } of ops) seen.add(id)
    }
    cursor = answer.body.cursor as string
    if (answer.body.more === false) break
  }
  t.strictSame([...seen].sort(), ['b1', 'b2', 'b3', 'b4', 'b5'])
})

t.test('clocks that are off by ten minutes, each to its side, never turn time back', async (t) => {
  const [ahead, behind] = await Promise.all([at('both', { now: () => Date.now() + 10 * MINUTE }),
    at('both', { now: () => Date.now() - 10 * MINUTE })])
  const times: string[] = []
  for (const user of [ahead, behind, ahead, behind]) {
    times.push((await user.put('/v1/bookmarks/one', page)).body.updatedAt as string)
  }
  t.strictSame(times, [...times].sort())
})

t.test('a key whose outcome was stamped by a wrong clock is free again', async (t) => {
  const late = await at('keyed', { now: () => Date.now() + YEAR })
  const key = { 'idempotency-key': 'once' }
  t.equal((await late.post('/v1/bookmarks', page, key)).status, 201)
  const user = await hub.as({ tenant: 'acme', user: 'keyed' })
  t.equal((await user.post('/v1/bookmarks', { ...page, title: 'other' }, key)).status, 201)
})
