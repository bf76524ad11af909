import type { Test } from 'tap'
import { setTimeout as pause } from 'node:timers/promises'
import { spaceKey } from '../../entities/fields.ts'
import { Head, LogEntry } from '../../entities/space.ts'
import type { Store } from '../../src/store/store.ts'
import { createDevice } from './device.ts'
import { figure } from './figures.ts'
import type { Person } from './hub.ts'
import { patiently, truth } from './world.ts'

export interface Storm {
  /** The same person at each of two hubs. */
  readonly people: readonly Person[]
  readonly tenant: string
  readonly user: string
  /** The store as it is. */
  readonly store: Store
  readonly writers: number
  readonly pollers: number
  readonly operations: number
  /**
   * Milliseconds that the first poller rests between two pulls, once it has caught up; the second twice as
   * long, and so on.
   */
  readonly rest: number
}

/**
 * Writers add, take away and count in one space through two hubs, while pollers pull it; then nothing may be
 * lost, missed or done twice, in the store, the log and every poller's hands.
 */
export async function storm (
  t: Test,
  { people, tenant, user, store, writers, pollers, operations, rest }: Storm
): Promise<void> {
  const writer = (index: number) => people[index % 2]!
  await patiently(() => writer(0).put('/v1/settings/counter', { value: 0 }, { 'idempotency-key': 'first' }))
  let [operation, increments, adds, pulls] = [0, 0, 0, 0]
  const kept = new Set<string>()

  /** Adds one to what all add to, and only on top of what it has seen. */
  async function increment (index: number, key: string): Promise<void> {
    for (let attempt = 0;; attempt++) {
      const { body, status, headers } = await patiently(() => writer(index).get('/v1/settings/counter'))
      if (status !== 200) continue
      const saved = await patiently(() =>
        writer(index).put('/v1/settings/counter', { value: body.value + 1 }, {
          'if-match': headers.etag as string,
          'idempotency-key': `${key}-${attempt}`
        })
      )
      if (saved.status === 200) return
      if (saved.status !== 412) throw new Error(saved.text)
    }
  }

  async function write (index: number): Promise<void> {
    for (let number = operation++; number < operations; number = operation++) {
      const key = `op-${number}`
      if (number % 10_000 === 0 && number > 0) t.comment(`${number} operations`)
      if (number % 20 === 0) {
        await increment(index, key)
        increments++
        continue
      }
      const ids = number % 5 === 0 ? [`${key}-a`, `${key}-b`, `${key}-c`] : [key]
      const changes = ids.map((id) => ({
        type: 'bookmark',
        id,
        act: 'put',
        ifMatch: 0,
        record: { url: 'https://example.com/', title: key }
      }))
      const { status, text } = await patiently(
        () => writer(index).post('/v1/sync', { changes }, { 'idempotency-key': key }),
        400
      )
      if (status !== 200) throw new Error(text)
      for (const id of ids) kept.add(id)
      adds++
      if (number % 7 !== 0) continue
      // What one writer has added another takes away.
      const gone = await patiently(
        () =>
          writer(index + 1).post('/v1/sync', { changes: [{ type: 'bookmark', id: ids[0], act: 'delete' }] }, {
            'idempotency-key': `${key}-gone`
          }),
        400
      )
      if (gone.status === 200 && gone.body.results[0].rev !== undefined) kept.delete(ids[0]!)
    }
  }

  const devices = Array.from(
    { length: pollers },
    (_, index) => ({ device: createDevice(people[index % 2]!), seen: 0, index })
  )
  let writing = true
  async function poll (of: typeof devices[number]): Promise<void> {
    const { device, index } = of
    for (let last = false; !last;) {
      last = !writing
      const answer = await people[index % 2]!.get(
        `/v1/sync?limit=${20 + index * 30}${device.cursor === undefined ? '' : `&cursor=${device.cursor}`}${
          index % 4 === 0 && device.cursor !== undefined && writing ? '&wait=1' : ''
        }`
      )
      pulls++
      if (answer.status !== 200) {
        if (answer.status === 410) [device.cursor, of.seen] = [undefined, 0]
        else if (answer.status !== 503) throw new Error(answer.text)
        last = false
        continue
      }
      for (const { n = 0 } of answer.body.changes) {
        if (n !== 0 && n <= of.seen) t.fail(`change-set ${n} came after ${of.seen}`)
        of.seen = Math.max(of.seen, n)
      }
      // What a record is like its revision tells.
      for (const { ops } of answer.body.changes) {
        for (const op of ops) if (op.record !== undefined) op.record = { rev: op.rev }
      }
      device.apply(answer.body)
      if (answer.body.more || answer.body.changes.length > 0) last = false
      if (writing && answer.body.more === false) await pause((index + 1) * rest)
    }
  }

  const begun = performance.now()
  const polling = devices.map(poll)
  await Promise.all(Array.from({ length: writers }, (_, index) => write(index)))
  const seconds = (performance.now() - begun) / 1000
  await pause(50)
  writing = false
  await Promise.all(polling)

  const expected = await truth(store, tenant, user)
  t.strictSame(
    unlike(
      [...expected.keys()].filter((name) => name !== 'me setting counter'),
      [...kept].map((id) => `me bookmark ${id}`)
    ),
    [],
    'every acknowledged write is there, and what was taken away is gone'
  )
  t.equal(
    (expected.get('me setting counter') as { value: number }).value,
    increments,
    'no increment was lost or done twice'
  )
  const revisions = (of: ReadonlyMap<string, unknown>) =>
    [...of].map(([name, record]) => `${name} ${(record as { rev: number }).rev}`)
  for (const { device, index } of devices) {
    t.strictSame(unlike(revisions(device.held), revisions(expected)), [], `poller ${index} has all of it`)
  }
  const space = spaceKey(tenant, 'USER', user)
  const { data: entries } = await LogEntry.query.byNumber(space).go({
    ...store,
    consistent: true,
    pages: 'all'
  })
  const { data: head } = await Head.get(space).go({ ...store, consistent: true })
  t.equal(entries.findIndex(({ n }, index) => n !== index + 1), -1, 'the log has no hole')
  t.equal(entries.length, head!.n, 'and reaches as far as HEAD')
  const created = entries.flatMap(({ ops }) => ops.filter(({ act }) => act === 'create').map(({ id }) => id))
  t.equal(new Set(created).size, created.length, 'nothing was done twice')
  t.equal(head!.count, expected.size)
  t.ok(adds > 0 && increments > 0)
  figure(t, `operations of ${writers} writers`, operation - writers)
  figure(t, 'in seconds', Math.round(seconds))
  figure(t, 'change-sets', head!.n)
  figure(t, `pulls of ${pollers} pollers`, pulls)
  figure(t, 'lost, missed or doubled', t.passing() ? 0 : 'see above')
}

/** What is in one list only. */
function unlike (some: readonly string[], others: readonly string[]): string[] {
  const [a, b] = [new Set(some), new Set(others)]
  return [...some.filter((name) => !b.has(name)), ...others.filter((name) => !a.has(name))].slice(0, 20)
}
