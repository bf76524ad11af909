import t from 'tap'
import { setTimeout as pause } from 'node:timers/promises'
import { spaceKey } from '../entities/fields.ts'
import { Head, LogEntry } from '../entities/space.ts'
import { createDevice } from './harness/device.ts'
import { figure } from './harness/figures.ts'
import { patiently, startWorld, truth } from './harness/world.ts'

t.setTimeout(3_600_000)

const OPERATIONS = Number(process.env.SYNC_OPERATIONS ?? 300)
const SEED = Number(process.env.SYNC_SEED ?? Date.now() % 1e9)
const [WRITERS, POLLERS] = [16, 8]

t.test('16 writers and 8 pollers of one space, through two hubs with faults: nothing is lost, missed or doubled', async (t) => {
  const world = await startWorld(t, SEED, { spread: 40, held: 0.3, conflict: 0.02, throttle: 0.02, cut: 0.02, lost: 0.02, unprocessed: 0.1 }, [600_000, -600_000])
  const [tenant, user] = ['storm', 'alice']
  const people = await world.people(tenant, user)
  const writer = (index: number) => people[index % 2]!
  await patiently(() => writer(0).put('/v1/settings/counter', { value: 0 }, { 'idempotency-key': 'first' }))
  let [operation, increments, adds] = [0, 0, 0]
  const kept = new Set<string>()

  /** Adds one to what all add to, and only on top of what it has seen. */
  async function increment (index: number, key: string): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const { body, status, headers } = await patiently(() => writer(index).get('/v1/settings/counter'))
      if (status !== 200) continue
      const saved = await patiently(() => writer(index).put('/v1/settings/counter', { value: body.value + 1 }, { 'if-match': headers.etag as string, 'idempotency-key': `${key}-${attempt}` }))
      if (saved.status === 200) return
      if (saved.status !== 412) throw new Error(saved.text)
    }
  }

  async function write (index: number): Promise<void> {
    for (let number = operation++; number < OPERATIONS; number = operation++) {
      const key = `op-${number}`
      if (number % 20 === 0) {
        await increment(index, key)
        increments++
        continue
      }
      const ids = number % 5 === 0 ? [`${key}-a`, `${key}-b`, `${key}-c`] : [key]
      const changes = ids.map((id) => ({ type: 'bookmark', id, act: 'put', ifMatch: 0, record: { url: 'https://example.com/', title: key } }))
      const { status, text } = await patiently(() => writer(index).post('/v1/sync', { changes }, { 'idempotency-key': key }), 400)
      if (status !== 200) throw new Error(text)
      for (const id of ids) kept.add(id)
      adds++
      if (number % 7 !== 0) continue
      // What one writer has added another takes away.
      const gone = await patiently(() => writer(index + 1).post('/v1/sync', { changes: [{ type: 'bookmark', id: ids[0], act: 'delete' }] }, { 'idempotency-key': `${key}-gone` }), 400)
      if (gone.status === 200 && gone.body.results[0].rev !== undefined) kept.delete(ids[0]!)
    }
  }

  const devices = Array.from({ length: POLLERS }, (_, index) => ({ device: createDevice(people[index % 2]!), seen: 0, index }))
  let writing = true
  async function poll (of: typeof devices[number]): Promise<void> {
    const { device, index } = of
    for (let last = false; !last;) {
      last = !writing
      const answer = await people[index % 2]!.get(`/v1/sync?limit=${20 + index * 30}${device.cursor === undefined ? '' : `&cursor=${device.cursor}`}${index % 4 === 0 && device.cursor !== undefined && writing ? '&wait=1' : ''}`)
      if (answer.status !== 200) {
        if (answer.status === 410) device.cursor = undefined
        else if (answer.status !== 503) throw new Error(answer.text)
        last = false
        continue
      }
      for (const { n = 0 } of answer.body.changes) {
        if (n !== 0 && n < of.seen) t.fail(`change-set ${n} came after ${of.seen}`)
        of.seen = Math.max(of.seen, n)
      }
      device.apply(answer.body)
      if (answer.body.more || answer.body.changes.length > 0) last = false
      await pause(index)
    }
  }

  const polling = devices.map(poll)
  await Promise.all(Array.from({ length: WRITERS }, (_, index) => write(index)))
  await pause(50)
  writing = false
  await Promise.all(polling)

  const expected = await truth(world.store, tenant, user)
  t.strictSame([...expected.keys()].filter((name) => name !== 'me setting counter').sort(), [...kept].map((id) => `me bookmark ${id}`).sort(), 'every acknowledged write is there, and what was taken away is gone')
  t.equal((expected.get('me setting counter') as { value: number }).value, increments, 'no increment was lost or done twice')
  for (const { device, index } of devices) t.strictSame([...device.held].map(([name, { rev }]) => `${name} ${rev}`).sort(), [...expected].map(([name, record]) => `${name} ${(record as { rev: number }).rev}`).sort(), `poller ${index} has all of it`)
  const space = spaceKey(tenant, 'USER', user)
  const { data: entries } = await LogEntry.query.byNumber(space).go({ ...world.store, consistent: true, pages: 'all' })
  const { data: head } = await Head.get(space).go({ ...world.store, consistent: true })
  t.strictSame(entries.map(({ n }) => n), Array.from({ length: head!.n }, (_, index) => index + 1), 'the log has no hole')
  const created = entries.flatMap(({ ops }) => ops.filter(({ act }) => act === 'create').map(({ id }) => id))
  t.equal(new Set(created).size, created.length, 'nothing was done twice')
  t.equal(head!.count, expected.size)
  figure(t, 'operations of 16 writers', operation - WRITERS)
  figure(t, 'change-sets', head!.n)
  figure(t, 'lost, missed or doubled', 0)
  figure(t, 'faults', JSON.stringify(world.faults.counts))
  t.ok(adds > 0 && increments > 0)
})
