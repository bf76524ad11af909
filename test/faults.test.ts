import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import {
  BatchGetCommand,
  DeleteCommand,
  GetCommand,
  PutCommand,
  QueryCommand,
  TransactGetCommand,
  TransactWriteCommand,
  UpdateCommand
} from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import { bookmark } from '../entities/bookmark.ts'
import type { Definition } from '../entities/definition.ts'
import { spaceKey } from '../entities/fields.ts'
import { readRows } from '../src/engine/rows.ts'
import { createTable } from '../src/local/create-table.ts'
import { openClient } from '../src/store/client.ts'
import { createFaults, seeded, type Rates } from './harness/faults.ts'
import { figure, sized } from './harness/figures.ts'
import {
  type Answer,
  pastTheHub,
  person,
  type Person,
  startApp,
  startHub,
  storeEndpoint,
  testConfig
} from './harness/hub.ts'
import { logOf } from './harness/log.ts'
import { watchLog } from './harness/watched-log.ts'
import { UNLUCKY } from './harness/world.ts'

const config = await testConfig()
/** Its rows are of no kind: they lie in a table that no hub has. */
const TableName = `rows-${randomUUID()}`
await createTable(await storeEndpoint(), TableName)
const raw = openClient(pastTheHub(config))
/** So long that it does not end while a test runs. */
const FOREVER = 1e9
let partitions = 0

interface Row {
  pk: string
  sk: string
  [name: string]: unknown
}
type Client = typeof raw

/** A partition of its own, and clients of two hubs that see it through the same faults. */
function world (rates: Partial<Rates>, seed = 1) {
  const faults = createFaults({ random: seeded(seed), ...rates })
  const pk = `TENANT#acme#USER#w${++partitions}`
  const row = (sk: string, v: unknown, more: object = {}): Row => ({
    pk,
    sk,
    v,
    gsi1pk: pk,
    gsi1sk: sk,
    ...more
  })
  return { faults, pk, row, one: faults.open(pastTheHub(config)), two: faults.open(pastTheHub(config)) }
}

const put = (client: Client, ...rows: Row[]) =>
  client.send(new TransactWriteCommand({ TransactItems: rows.map((Item) => ({ Put: { TableName, Item } })) }))
const get = async (client: Client, { pk, sk }: Row) =>
  (await client.send(new GetCommand({ TableName, Key: { pk, sk }, ConsistentRead: true }))).Item
const batch = (client: Client, rows: readonly Row[]) =>
  client.send(
    new BatchGetCommand({
      RequestItems: { [TableName]: { Keys: rows.map(({ pk, sk }) => ({ pk, sk })), ConsistentRead: true } }
    })
  )
const query = async (client: Client, pk: string, after = '-', index?: string) =>
  (await client.send(
    new QueryCommand({
      TableName,
      KeyConditionExpression: '#p = :p AND #s > :s',
      ExpressionAttributeNames: {
        '#p': index === undefined ? 'pk' : `${index}pk`,
        '#s': index === undefined ? 'sk' : `${index}sk`
      },
      ExpressionAttributeValues: { ':p': pk, ':s': after },
      ...index === undefined ? { ConsistentRead: true } : { IndexName: index }
    })
  )) as unknown as { Items: Row[], Count: number, ScannedCount: number }
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: Error & { code?: string, CancellationReasons?: { Code: string }[] }) => error
  )
const codes = async (promise: Promise<unknown>) =>
  (await failure(promise))?.CancellationReasons?.map(({ Code }) => Code)

t.test('a committed transaction is seen in pieces, never backwards, and whole once it is quiet', async (t) => {
  const { faults, pk, row, one, two } = world({ spread: 400 })
  const keys = Array.from({ length: 30 }, (_, index) => `R${index + 10}`)
  await put(raw, ...keys.slice(0, 20).map((sk) => row(sk, 1)))
  let done = false
  const writing = put(one, ...keys.map((sk) => row(sk, 2))).finally(() => {
    done = true
  })
  const looks: number[][] = []
  while (!done || looks.at(-1)!.some((v) => v !== 2)) {
    const items = new Map((await query(two, pk)).Items.map(({ sk, v }) => [sk, v as number]))
    looks.push(keys.map((sk) => items.get(sk) ?? 0))
  }
  await writing
  t.ok(
    looks.some((look) => look.includes(2) && look.includes(1) && look.includes(0)),
    'some new, some as they were, some not there yet'
  )
  t.ok(looks.every((look, turn) => turn === 0 || look.every((v, index) => v >= looks[turn - 1]![index]!)))
  faults.rates.spread = 1000
  await put(one, ...keys.map((sk) => row(sk, 3)))
  t.ok((await query(two, pk)).Items.some(({ v }) => v === 2))
  await faults.quiet()
  t.ok((await query(two, pk)).Items.every(({ v }) => v === 3))
  t.ok(faults.counts.delayed > 30 && faults.counts.stale > 30)
})

t.test('every kind of read gives an item as it was, or none; conditions see what was committed', async (t) => {
  const { faults, pk, row, one, two } = world({ spread: FOREVER })
  const [kept, changed, fresh, moved] = [row('a', 1),
    row('b', 1, { gsi2pk: pk, gsi2sk: 'b', value: [1], other: 1 }), row('c', 1), row('d', 1)]
  await put(raw, kept, changed, moved)
  await one.send(
    new TransactWriteCommand({
      TransactItems: [{
        ConditionCheck: {
          TableName,
          Key: { pk, sk: 'a' },
          ConditionExpression: 'v = :v',
          ExpressionAttributeValues: { ':v': 1 }
        }
      }, { Put: { TableName, Item: { ...changed, v: 2, value: [2] } } }, { Put: { TableName, Item: fresh } },
        {
          Update: {
            TableName,
            Key: { pk, sk: 'd' },
            UpdateExpression: 'SET v = :v, gsi1sk = :s',
            ExpressionAttributeValues: { ':v': 2, ':s': 'z' }
          }
        }]
    })
  )
  for (const client of [one, two]) {
    t.strictSame([await get(client, kept), await get(client, changed), await get(client, fresh),
      await get(client, moved)], [kept, changed, undefined, moved])
    t.strictSame(
      (await batch(client, [kept, changed, fresh, moved])).Responses![TableName]!.sort((a, b) =>
        a.sk < b.sk ? -1 : 1
      ),
      [kept, changed, moved]
    )
    t.match(await query(client, pk), { Items: [kept, changed, moved], Count: 3, ScannedCount: 4 })
    t.strictSame(
      (await query(client, pk, '-', 'gsi1')).Items,
      [kept, changed].map(({ sk }) => ({ pk, sk, gsi1pk: pk, gsi1sk: sk }))
    )
    t.strictSame((await query(client, pk, '-', 'gsi2')).Items, [{
      pk,
      sk: 'b',
      gsi2pk: pk,
      gsi2sk: 'b',
      value: [1]
    }], 'only what the index holds')
    t.strictSame(
      (await client.send(
        new GetCommand({
          TableName,
          Key: { pk, sk: 'b' },
          ProjectionExpression: 'pk, sk, #v',
          ExpressionAttributeNames: { '#v': 'v' }
        })
      )).Item,
      { pk, sk: 'b', v: 1 }
    )
  }
  t.equal((await query(raw, pk)).Items.length, 4)
  const next = (was: number, v: number) =>
    two.send(
      new TransactWriteCommand({
        TransactItems: [{
          Put: {
            TableName,
            Item: { ...changed, v },
            ConditionExpression: 'v = :v',
            ExpressionAttributeValues: { ':v': was }
          }
        }]
      })
    )
  t.strictSame(await codes(next(1, 3)), ['ConditionalCheckFailed'])
  t.equal((await get(one, changed))?.v, 1)
  await next(2, 3)
  t.equal((await get(one, changed))?.v, 1)
  faults.rates.spread = 0
  await next(3, 4)
  t.equal((await get(one, changed))?.v, 4, 'what comes after is visible, so all before it is')
  await one.send(
    new UpdateCommand({
      TableName,
      Key: { pk, sk: 'c' },
      UpdateExpression: 'SET v = :v',
      ExpressionAttributeValues: { ':v': 5 }
    })
  )
  t.equal((await get(one, fresh))?.v, 5, 'a write of one item is visible at once')
  for (
    const command of [
      new TransactGetCommand({ TransactItems: [{ Get: { TableName, Key: { pk, sk: 'a' } } }] }),
      new TransactWriteCommand({ TransactItems: [{ Delete: { TableName, Key: { pk, sk: 'a' } } }] })
    ]
  ) {
    t.match(
      await failure(one.send(command as TransactWriteCommand)),
      { message: /does not know/ },
      'what is not modelled is not passed on'
    )
  }
})

t.test('a held reply comes when all is visible', async (t) => {
  const { faults, pk, row, one, two } = world({ spread: 30, held: 1 })
  for (let v = 1; v <= 5; v++) {
    await put(one, row('a', v), row('b', v), row('c', v))
    t.strictSame((await query(two, pk)).Items.map((item) => item.v), [v, v, v])
  }
  t.equal(faults.counts.held, 5)
})

t.test('a transaction is refused for a conflict on one action, always where two meet, and nothing of it happens', async (t) => {
  const { faults, pk, row, one, two } = world({ conflict: 1 })
  const refused = new Set<number>()
  for (let turn = 0; turn < 20; turn++) {
    const reasons = (await codes(put(one, row('a', 1), row('b', 1), row('c', 1))))!
    t.strictSame(reasons.toSorted(), ['None', 'None', 'TransactionConflict'])
    refused.add(reasons.indexOf('TransactionConflict'))
  }
  t.equal(refused.size, 3)
  t.strictSame([(await query(raw, pk)).Items, faults.counts.conflict], [[], 20])

  faults.rates.conflict = 0
  const results = await Promise.all([codes(put(one, row('a', 1), row('b', 1))),
    codes(put(two, row('b', 2), row('c', 2))),
    failure(one.send(new PutCommand({ TableName, Item: row('a', 3) })))])
  t.strictSame(results.slice(0, 2), [undefined, ['TransactionConflict', 'None']])
  t.match(results[2], { name: 'TransactionConflictException' })
  t.strictSame([(await query(raw, pk)).Items.map(({ v }) => v), faults.counts.clash], [[1, 1], 2])
})

t.test('a store without capacity refuses reads and writes, and nothing happens', async (t) => {
  const { faults, pk, row, one } = world({ throttle: 1 })
  const names = new Set<string>()
  const told = new Set<string>()
  for (let turn = 0; turn < 8; turn++) {
    const asked = [get(one, row('a', 1)), batch(one, [row('a', 1)]), query(one, pk),
      one.send(new PutCommand({ TableName, Item: row('a', 1) })),
      one.send(new DeleteCommand({ TableName, Key: { pk, sk: 'a' } }))]
    for (const error of await Promise.all(asked.map(failure))) names.add(error!.name)
    const { name, CancellationReasons = [] } = (await failure(put(one, row('a', 1), row('b', 1))))!
    told.add([name, ...CancellationReasons.map(({ Code }) => Code).sort()].join(' '))
  }
  t.strictSame([...names].sort(), ['ProvisionedThroughputExceededException', 'ThrottlingException'])
  t.strictSame([...told].sort(), ['ProvisionedThroughputExceededException', 'ThrottlingException',
    'TransactionCanceledException None ThrottlingError'])
  t.strictSame(
    [(await query(raw, pk)).Items, faults.counts.throttle],
    [[], 48],
    'and the SDK has given up already'
  )
})

t.test('a batch of reads leaves keys out, and the hub asks for them again', async (t) => {
  const { faults, pk, row, one } = world({ unprocessed: 1 })
  const rows = ['a', 'b', 'c', 'd', 'e'].map((sk) => row(sk, 1))
  await put(raw, ...rows)
  const { Responses, UnprocessedKeys } = await batch(one, rows)
  const [done, left] = [Responses![TableName]!, UnprocessedKeys![TableName]!.Keys!]
  t.ok(done.length > 0 && left.length > 0)
  t.strictSame([...done, ...left].map(({ sk }) => sk).sort(), ['a', 'b', 'c', 'd', 'e'])
  t.equal((await batch(one, [row('a', 1)])).Responses![TableName]!.length, 1, 'something always gets done')
  t.equal(faults.counts.unprocessed, 1)
  const ids = Array.from({ length: 40 }, (_, index) => `b${index}`)
  const space = spaceKey('acme', 'USER', `w${partitions}`)
  const stamps = { ...space, rev: 1, createdAt: 'x', updatedAt: 'x', url: 'x', title: 'x', tags: [] }
  await put(
    raw,
    ...ids.map((id) => bookmark.entity.put({ ...stamps, id }).params({ table: TableName }).Item as Row)
  )
  t.strictSame(
    (await readRows({ client: one, table: TableName }, bookmark as unknown as Definition, space, ids)).map((
      { id }
    ) => id).sort(),
    ids.toSorted()
  )
  t.ok(faults.counts.unprocessed > 1 && pk !== '')
})

t.test('a cut reply and a lost request look the same; the first has happened and the second has not', async (t) => {
  const seen = { cut: new Set<string>(), lost: new Set<string>() }
  for (const fault of ['cut', 'lost'] as const) {
    const { faults, pk, row, one } = world({ [fault]: 1, spread: 0 })
    for (let turn = 0; turn < 8; turn++) {
      const writing = [put(one, row(`a${turn}`, 1), row('b', 1)),
        one.send(new PutCommand({ TableName, Item: row(`c${turn}`, 1) }))]
      for (const error of await Promise.all(writing.map(failure))) {
        seen[fault].add(`${error!.name} ${error!.code ?? ''}`)
      }
    }
    t.equal((await query(raw, pk)).Items.length, fault === 'cut' ? 17 : 0)
    t.equal(faults.counts[fault], 16)
  }
  t.strictSame([...seen.cut].sort(), ['Error ECONNRESET', 'TimeoutError '])
  t.strictSame([...seen.lost].sort(), ['Error ECONNRESET', 'TimeoutError '])
})

t.test('the sweep takes some of what has expired, in no order, and nothing else', async (t) => {
  const { faults, pk, row, one } = world({ spread: FOREVER })
  const rows = Array.from(
    { length: 40 },
    (_, index) => row(`LOG#${index + 10}`, 1, { ttl: index < 30 ? 1000 : 2000 })
  )
  await put(one, ...rows, row('HEAD', 40))
  const store = { client: raw, table: TableName }
  const swept = await faults.sweep(store, 1_500_000)
  t.ok(swept.length > 3 && swept.length < 27, `${swept.length} of 30`)
  t.notSame(swept, swept.toSorted())
  t.strictSame((await query(raw, pk)).Items.map(({ sk }) => sk), ['HEAD', ...rows.map(({ sk }) =>
    sk
  ).filter((sk) => !swept.includes(sk))])
  await faults.sweep(store, 1_500_000, 1)
  t.strictSame([(await query(raw, pk)).Items.length, faults.counts.swept], [11, 30])
})

t.test('clocks are wrong by up to 10 minutes, and chance repeats itself', async (t) => {
  const { faults } = world({})
  t.equal(faults.skewed(() => 5000, -600_000)(), -595_000)
  const offsets = Array.from({ length: 100 }, () => faults.skewed(() => 0)())
  t.ok(
    offsets.every((offset) => Math.abs(offset) <= 600_000) && Math.min(...offsets) < -400_000 &&
      Math.max(...offsets) > 400_000
  )
  const [a, b, c] = [seeded(7), seeded(7), seeded(8)].map((random) => Array.from({ length: 1000 }, random))
  t.strictSame(a, b)
  t.notSame(a, c)
  t.ok(a!.every((value) => value >= 0 && value < 1))
})

/** Asks until it is answered, however often the store fails. */
async function insist (request: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    const answer = await request()
    if (answer.status < 500 && answer.body?.errorType !== 'IDEMPOTENCY_IN_PROGRESS') return answer
  }
}

t.test('the hub loses nothing: 8 writers of one space through 3 hubs whose clocks disagree, with all faults at once', async (t) => {
  const { faults } = world({
    spread: 50,
    held: 0.3,
    conflict: 0.1,
    throttle: 0.05,
    lost: 0.03,
    cut: 0.25,
    unprocessed: 0.3
  }, 4)
  const log = watchLog(t)
  log.mayLog(UNLUCKY)
  const hub = await startHub(t, config, { open: faults.open })
  hub.mayLog(UNLUCKY)
  const others = await Promise.all(
    [-600_000, 600_000].map((milliseconds) =>
      startApp(t, hub.config, {
        open: faults.open,
        log,
        now: faults.skewed(Date.now, milliseconds)
      })
    )
  )
  const { token } = await hub.as({ tenant: 'acme', user: 'fay' })
  const people = [hub.app, ...others].map((app) => person(app, token))
  const page = (title: string) => ({ url: 'https://example.com', title })
  /** Title by id, and the change-sets that were acknowledged. */
  const acknowledged = new Map<string, string>()
  const told: number[] = []
  const unseen = () =>
    Object.entries(faults.counts).some(([fault, count]) => count === 0 && fault !== 'swept')

  async function write (to: Person, writer: number, turn: number): Promise<void> {
    const [title, key] = [`${writer}.${turn}`, { 'idempotency-key': `${writer}.${turn}` }]
    const ids = Array.from({ length: 5 }, (_, index) => `push-${writer}-${index}`)
    const { status, body } = await insist(() =>
      writer < 4
        ? to.put(`/v1/bookmarks/own-${writer}-${turn % 3}`, page(title))
        : writer < 6
        ? to.post('/v1/bookmarks', page(title), key)
        : to.post('/v1/sync', {
          changes: ids.map((id) => ({ type: 'bookmark', id, act: 'put', record: page(title) }))
        }, key)
    )
    if (status > 201) throw new Error(`${status} ${body.errorType}`)
    for (const id of writer < 6 ? [body.id] : ids) acknowledged.set(id, title)
    told.push(writer < 6 ? body.rev : body.n)
  }

  const tablet = new Map<string, { rev: number }>()
  let cursor = ''
  async function pull (): Promise<boolean> {
    const { status, body } = await insist(() => people[told.length % 3]!.get(`/v1/sync${cursor}`))
    if (status !== 200) throw new Error(`${status} ${body.errorType}`)
    for (const { id, rev, record } of body.changes.flatMap(({ ops }: { ops: object[] }) => ops)) {
      if (rev >= (tablet.get(id)?.rev ?? 0)) tablet.set(id, record)
    }
    cursor = `?cursor=${body.cursor}`
    return body.more
  }
  await pull()
  let writing = true
  const pulling = (async () => {
    while (writing) await Promise.all([pull(), pause(25)])
  })()
  await Promise.all(Array.from({ length: 8 }, async (_, writer) => {
    for (let turn = 0; turn < 4 || (unseen() && turn < 50); turn++) {
      await write(people[(writer + turn) % 3]!, writer, turn)
    }
  }))
  writing = false
  await pulling
  await faults.quiet()
  while (await pull());

  const { head, entries } = await logOf({ client: raw, table: config.table }, 'fay')
  t.strictSame(entries.map(({ n }) => n), Array.from({ length: head!.n }, (_, index) => index + 1))
  t.ok(
    told.every((n) => n <= head!.n) && new Set(told).size === told.length,
    'no two writes were told the same change-set'
  )
  const { body } = await people[0]!.get('/v1/bookmarks?limit=100')
  t.strictSame(new Map(body.items.map(({ id, title }: Record<string, string>) => [id, title])), acknowledged)
  t.equal(head!.count, acknowledged.size, 'and nothing twice')
  t.strictSame(
    new Map([...tablet].sort()),
    new Map(body.items.map((record: { id: string }) => [record.id, record])),
    'a device that pulled meanwhile holds the same'
  )
  t.notOk(unseen(), JSON.stringify(faults.counts))
})

interface Design {
  /** Where a row stands in the order of changes. */
  readonly place: (n: number) => string
  /** What a pull finds, and where the next one goes on. */
  readonly pull: (
    client: Client,
    pk: string,
    look: () => Promise<Row[]>
  ) => Promise<{ rows: Row[], cursor: unknown }>
}

let latest = 0
const DESIGNS: Record<string, Design> = {
  'updatedAt > since': {
    place: () => new Date(latest = Math.max(Date.now(), latest + 1)).toISOString(),
    async pull (_client, _pk, look) {
      const rows = await look()
      return { rows, cursor: rows.map(({ gsi2sk }) => gsi2sk).sort().at(-1) }
    }
  },
  'rev > cursor, up to a counter of the same transaction': {
    place: (n) => `${n}`.padStart(6, '0'),
    async pull (client, pk, look) {
      const head = await get(client, { pk, sk: 'HEAD' })
      return { rows: head === undefined ? [] : await look(), cursor: head?.gsi1sk }
    }
  }
}

/**
 * How many readers miss changes for good: each pulls while a writer writes, and once more when everything is
 * visible.
 */
async function missed (design: Design, trials: number, rates: Partial<Rates>): Promise<number> {
  const { faults, one, two } = world(rates, 5)
  const readers: { pull: () => Promise<void>, missing: () => number }[] = []
  async function trial (): Promise<void> {
    const pk = `TENANT#acme#USER#w${++partitions}`
    const held = new Set<string>()
    let [cursor, written] = ['-', 0]
    async function pull (): Promise<void> {
      const found = await design.pull(two, pk, async () => (await query(two, pk, cursor, 'gsi2')).Items)
      for (const { sk } of found.rows) held.add(sk)
      cursor = found.cursor as string | undefined ?? cursor
    }
    readers.push({ pull, missing: () => written - held.size })
    const writing = (async () => {
      for (let n = 1; n <= 3; n++) {
        const gsi2sk = design.place(n)
        await put(
          one,
          { pk, sk: 'HEAD', gsi1pk: pk, gsi1sk: gsi2sk },
          ...['a', 'b'].map((name): Row => ({ pk, sk: `ROW#${n}${name}`, gsi2pk: pk, gsi2sk }))
        )
        written += 2
      }
    })()
    while (written < 6) await Promise.all([pull(), pause(8)])
    await writing
  }
  await Promise.all(Array.from({ length: 4 }, async () => {
    for (let turn = 0; turn < trials; turn += 4) await trial()
  }))
  await faults.quiet()
  for (const { pull } of readers) await pull()
  return readers.filter(({ missing }) => missing() > 0).length
}

const TRIALS = sized(80, 300)
for (const [name, design] of Object.entries(DESIGNS)) {
  t.test(`a reader that asks for ${name}, misses changes for good`, async (t) => {
    const wrong = await missed(design, TRIALS, { spread: 50 })
    t.ok(wrong > 0)
    figure(t, `replicas of ${TRIALS} that stay wrong, ${name}`, wrong)
    t.equal(await missed(design, 12, { spread: 0 }), 0, 'the embedded store alone would not show it')
  })
}
