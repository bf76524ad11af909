import t from 'tap'
import { bookmark } from '../entities/bookmark.ts'
import type { Definition } from '../entities/definition.ts'
import { spaceKey } from '../entities/fields.ts'
import { LogEntry } from '../entities/space.ts'
import type { Outcome, Write } from '../src/engine/change.ts'
import { createWriter } from '../src/engine/writer.ts'
import { startTracedHub } from './harness/client.ts'
import { person, startApp } from './harness/hub.ts'
import { watchLog } from './harness/watched-log.ts'
import { logOf } from './harness/log.ts'

const { hub, traced, store } = await startTracedHub(t)
const { config } = hub
const page = { url: 'https://example.com', title: 'x' }
t.beforeEach(() => {
  traced.fault = traced.wire = undefined
  traced.reset()
})

t.test('a process that slept while others wrote, and the sweep took their entries, does not use their numbers again', async (t) => {
  const other = await startApp(t, config)
  const sleeper = await hub.as({ tenant: 'acme', user: 'sleeper' })
  await sleeper.put('/v1/bookmarks/z1', page)
  await person(other, sleeper.token).put('/v1/bookmarks/z2', page)
  await LogEntry.delete({ ...spaceKey('acme', 'USER', 'sleeper'), n: 2 }).go(store)
  t.equal((await sleeper.put('/v1/bookmarks/z3', page)).body.rev, 3)
  t.match((await logOf(store, 'sleeper')).head, { n: 3, count: 3 })
})

t.test('a lost reply does not write twice', async (t) => {
  const fay = await hub.as({ tenant: 'acme', user: 'fay' })
  let lost = 0
  await fay.put('/v1/bookmarks/f0', page)
  traced.wire = async (next) => {
    const result: unknown = await next()
    if (lost++ > 0) return result
    throw Object.assign(new Error('socket hang up'), { name: 'TimeoutError', $retryable: {} })
  }
  t.equal((await fay.put('/v1/bookmarks/f1', page)).status, 201)
  t.ok(lost > 1, 'the SDK tried again')
  const { head, entries } = await logOf(store, 'fay')
  t.match(head, { n: 2, count: 2 })
  t.equal(entries.length, 2)
})

t.test('when the store fails the answer is a constant 503, and the next write starts from what is really there', async (t) => {
  hub.expectLog(/"errorType":"STORE_UNAVAILABLE".*"name":"TimeoutError"/)
  hub.expectLog(/"the store denied what the hub allowed"/)
  hub.expectLog(/"errorType":"INTERNAL".*"name":"ValidationException"/)
  const gus = await hub.as({ tenant: 'acme', user: 'gus' })
  await gus.put('/v1/bookmarks/g0', page)
  traced.fault = async (_name, next) => {
    await next()
    throw Object.assign(new Error('arn:aws:iam::123456789012:role/secret'), { name: 'TimeoutError' })
  }
  const failed = await gus.put('/v1/bookmarks/g1', page)
  t.match(failed, { status: 503, headers: { 'retry-after': 1 }, body: { errorType: 'STORE_UNAVAILABLE' } })
  t.notMatch(failed.text, /arn|secret|role/)
  traced.fault = undefined
  t.equal((await gus.put('/v1/bookmarks/g1', page)).status, 200, 'it had happened')
  t.equal((await gus.put('/v1/bookmarks/g2', page)).status, 201)
  t.match((await logOf(store, 'gus')).head, { n: 4, count: 3 })

  traced.fault = async () => {
    throw Object.assign(new Error('User: arn:aws:sts::1:x is not authorized'), {
      name: 'AccessDeniedException'
    })
  }
  t.match(await gus.get('/v1/bookmarks/g1'), { status: 403, body: { errorType: 'UNAUTHORIZED_ACCESS' } })
  t.match(await gus.get('/v1/bookmarks'), { status: 403 }, 'and never an empty list')
  traced.fault = async () => {
    throw Object.assign(new Error('the item is {secret}'), { name: 'ValidationException' })
  }
  const broken = await gus.get('/v1/bookmarks/g1')
  t.strictSame([broken.status, Object.keys(broken.body), broken.body.title], [500, ['type', 'title', 'status',
    'instance', 'errorType'], 'Something went wrong on our side'])
  t.notMatch(hub.log.join(''), /\{secret\}/, 'not in the log either')
})

t.test('conflicts are tried again, and in the end the client is told to', async (t) => {
  const hal = await hub.as({ tenant: 'acme', user: 'hal' })
  await hal.put('/v1/bookmarks/h0', page)
  let conflicts = 3
  const conflict = () =>
    Object.assign(new Error('conflict'), {
      name: 'TransactionCanceledException',
      CancellationReasons: [{ Code: 'TransactionConflict' }]
    })
  traced.fault = async (name, next) => {
    if (name.startsWith('TransactWrite') && conflicts-- > 0) throw conflict()
    return next()
  }
  t.equal((await hal.put('/v1/bookmarks/h1', page)).status, 201)
  conflicts = Infinity
  hub.expectLog(/The store refused 8 times in a row/)
  t.match(await hal.put('/v1/bookmarks/h2', page), {
    status: 503,
    headers: { 'retry-after': 1 },
    body: { errorType: 'CONTENTION' }
  })
  t.match((await logOf(store, 'hal')).head, { n: 2, count: 2 })
})

t.test('a batch of reads that the store puts off is asked for again', async (t) => {
  const writer = createWriter({ limits: config.limits, retentionDays: 90, commitLeaseSeconds: 5 })
  const space = spaceKey('acme', 'USER', 'ida')
  const definition = bookmark as unknown as Definition
  const write = (ids: string[]): Write => ({
    store,
    space,
    sessionId: 's1',
    changes: ids.map((id) => ({ definition, id, act: 'put', content: { ...page, tags: [] } }))
  })
  const ids = Array.from({ length: 60 }, (_, index) => `i${index}`)
  await writer.commit(write(ids))
  let put = 0
  traced.fault = async (name, next) => {
    const result = await next()
    const [keys] = Object.values<{ pk: string, sk: string }[]>(result.output.Responses ?? {})
    if (!name.startsWith('BatchGet') || put++ > 0 || keys === undefined) return result
    const [late, ...rest] = keys
    return {
      ...result,
      output: {
        ...result.output,
        Responses: { [config.table]: rest },
        UnprocessedKeys: { [config.table]: { Keys: [{ pk: late!.pk, sk: late!.sk }], ConsistentRead: true } }
      }
    }
  }
  const cold = createWriter({ limits: config.limits, retentionDays: 90, commitLeaseSeconds: 5 })
  const outcome: Outcome = await cold.commit(write(ids))
  t.ok(put > 1)
  t.ok(outcome.results.every(({ created }) => !created), 'all were known to exist')
  t.match((await logOf(store, 'ida')).head, { n: 2, count: 60 })
  t.equal((await logOf(store, 'ida')).entries[0]?.sessionId, 's1')
})

t.test('change numbers and times never go back, whatever the clocks say', async (t) => {
  let clock = Date.parse('2030-01-01')
  const app = await startApp(t, config, { now: () => clock })
  const joe = person(app, (await hub.as({ tenant: 'acme', user: 'joe' })).token)
  const first = await joe.put('/v1/bookmarks/j', page)
  clock -= 600_000
  const second = await joe.put('/v1/bookmarks/j', page)
  t.equal(first.body.updatedAt, '2030-01-01T00:00:00.000Z')
  t.equal(second.body.updatedAt, first.body.updatedAt)
  t.equal(second.body.rev, 2)
})

t.test('an idempotency row ends after 24 hours, to the second and not to the sweep', async (t) => {
  let clock = Date.now()
  const app = await startApp(t, config, { now: () => clock })
  const kim = person(app, (await hub.as({ tenant: 'acme', user: 'kim' })).token)
  const key = { 'idempotency-key': 'day' }
  const first = await kim.put('/v1/bookmarks/k', page, key)
  clock += 86_399_000
  t.equal((await kim.put('/v1/bookmarks/k', page, key)).text, first.text)
  clock += 2000
  t.equal((await kim.put('/v1/bookmarks/k', page, key)).body.rev, 2, 'then the key is free')
})

t.test('two processes with one Idempotency-Key: one effect, one answer', async (t) => {
  const other = await startApp(t, config)
  const here = await hub.as({ tenant: 'acme', user: 'lea' })
  const there = person(other, here.token)
  await Promise.all([here.put('/v1/bookmarks/warm', page), there.put('/v1/bookmarks/warm2', page)])
  for (let round = 0; round < 10; round++) {
    const key = { 'idempotency-key': `both-${round}` }
    const [one, two] = await Promise.all([here.post('/v1/bookmarks', page, key),
      there.post('/v1/bookmarks', page, key)])
    t.strictSame([two.status, two.text], [201, one.text])
    const different = await Promise.all([
      here.post('/v1/bookmarks', page, { 'idempotency-key': `other-${round}` }),
      there.post('/v1/bookmarks', { ...page, title: 'y' }, { 'idempotency-key': `other-${round}` })
    ])
    t.strictSame(different.map(({ status }) => status).sort(), [201, 422])
  }
  t.match((await logOf(store, 'lea')).head, { n: 22, count: 22 })
})

t.test('a record that never stands still is given up, and the client told to come back', async (t) => {
  hub.expectLog(/The records changed at every try/)
  const mia = await hub.as({ tenant: 'acme', user: 'mia' })
  const other = await startApp(t, config)
  const rival = person(other, mia.token)
  await mia.put('/v1/bookmarks/m', page)
  traced.fault = async (name, next) => {
    if (name.startsWith('TransactWrite')) await rival.put('/v1/bookmarks/m', page)
    return next()
  }
  t.match(await mia.patch('/v1/bookmarks/m', { title: 'z' }), {
    status: 503,
    headers: { 'retry-after': 1 },
    body: { errorType: 'CONTENTION' }
  })
})

t.test('a time-ordered page has no holes where the store puts reads off', async (t) => {
  const ned = await hub.as({ tenant: 'acme', user: 'ned' })
  const ids = ['n1', 'n2', 'n3', 'n4', 'n5']
  for (const id of ids) await ned.put(`/v1/bookmarks/${id}`, page)
  let put = 0
  traced.fault = async (name, next) => {
    const result = await next()
    const [rows] = Object.values<{ pk: string, sk: string }[]>(result.output.Responses ?? {})
    if (!name.startsWith('BatchGet') || rows === undefined || put++ > 0) return result
    const [late, ...rest] = rows
    return {
      ...result,
      output: {
        ...result.output,
        Responses: { [config.table]: rest },
        UnprocessedKeys: { [config.table]: { Keys: [{ pk: late!.pk, sk: late!.sk }] } }
      }
    }
  }
  const { body } = await ned.get('/v1/bookmarks?sort=-createdAt')
  t.ok(put > 0)
  t.strictSame(body.items.map(({ id }: { id: string }) => id), ids.toReversed())
})

t.test('a store that is away is 503 for reads and writes', async (t) => {
  const log = watchLog(t)
  log.expectLog(/"errorType":"STORE_UNAVAILABLE"/)
  const app = await startApp(t, { ...config, dynamodbEndpoint: 'http://127.0.0.1:9' }, { log })
  const olga = person(app, (await hub.as({ tenant: 'acme', user: 'olga' })).token)
  for (
    const answer of [await olga.get('/v1/bookmarks/b'), await olga.put('/v1/bookmarks/b', page),
      await olga.get('/v1/bookmarks')]
  ) {
    t.match(answer, { status: 503, headers: { 'retry-after': 1 }, body: { errorType: 'STORE_UNAVAILABLE' } })
  }
})

t.test('a write that another process did under the same Idempotency-Key is not answered with a failure', async (t) => {
  const other = await startApp(t, config)
  const here = await hub.as({ tenant: 'acme', user: 'pia' })
  const there = person(other, here.token)
  for (let round = 0; round < 5; round++) {
    await here.put('/v1/bookmarks/p', page)
    const gone = { 'idempotency-key': `delete-${round}` }
    const deletes = await Promise.all([here.delete('/v1/bookmarks/p', gone),
      there.delete('/v1/bookmarks/p', gone)])
    t.strictSame(deletes.map(({ status }) => status), [204, 204])
    const anew = { 'idempotency-key': `create-${round}`, 'if-none-match': '*' }
    const creates = await Promise.all([here.put('/v1/bookmarks/p', page, anew),
      there.put('/v1/bookmarks/p', page, anew)])
    t.strictSame(creates.map(({ status }) => status), [201, 201])
  }
})

t.test('a request whose first try was done is answered as that was, also where its key can be seen last', async (t) => {
  const rob = await hub.as({ tenant: 'acme', user: 'rob' })
  await rob.put('/v1/bookmarks/gone', page)
  const sent:
    (readonly [string, (key: Record<string, string>) => Promise<{ status: number, text: string }>])[] = [[
      'create',
      (key) => rob.put('/v1/bookmarks/r', page, { ...key, 'if-none-match': '*' })
    ], ['push', (key) =>
      rob.post('/v1/sync', {
        changes: [{ type: 'bookmark', id: 'r2', act: 'put', ifMatch: 0, record: page }]
      }, key)], ['delete',
      (key) => rob.post('/v1/sync', { changes: [{ type: 'bookmark', id: 'gone', act: 'delete' }] }, key)]]
  for (const [name, send] of sent) {
    const key = { 'idempotency-key': name }
    const first = await send(key)
    t.ok(first.status < 300)
    // The records of its transaction are visible, the row under its key is not.
    let [hidden, busy] = [0, 0]
    traced.fault = async (command, next) => {
      if (command === 'TransactWriteItemsCommand' && busy++ === 0) {
        throw Object.assign(new Error('x'), {
          name: 'TransactionCanceledException',
          CancellationReasons: [{ Code: 'TransactionConflict' }]
        })
      }
      const result = await next()
      if (command !== 'GetItemCommand' || !String(result.output.Item?.sk).includes('IDEM')) return result
      hidden++
      return { ...result, output: { ...result.output, Item: undefined } }
    }
    const again = await send(key)
    t.strictSame([again.status, again.text], [first.status, first.text], name)
    t.ok(hidden > 0 && busy > 1, `${hidden} reads saw nothing, ${busy} transactions`)
    traced.fault = undefined
    t.match(await rob.put('/v1/settings/other', { value: 1 }, key), { status: 422 })
  }
  traced.fault = async (command, next) => {
    if (command === 'TransactWriteItemsCommand') {
      throw Object.assign(new Error('x'), {
        name: 'TransactionCanceledException',
        CancellationReasons: [{ Code: 'TransactionConflict' }]
      })
    }
    return next()
  }
  hub.expectLog(/The store did not tell what became of an earlier request/)
  t.match(await rob.put('/v1/bookmarks/r', page, { 'idempotency-key': 'new', 'if-none-match': '*' }), {
    status: 503,
    body: { errorType: 'CONTENTION' }
  }, 'where the store does not tell, nobody is told that it is refused')
})

t.test('a queue that is too long turns writers away at once', async (t) => {
  const quinn = await hub.as({ tenant: 'acme', user: 'quinn' })
  await quinn.put('/v1/bookmarks/q', page)
  const writer = createWriter({ limits: config.limits, retentionDays: 90, commitLeaseSeconds: 5 })
  const space = spaceKey('acme', 'USER', 'quinn')
  const write = (id: string): Write => ({
    store,
    space,
    sessionId: undefined,
    changes: [{ definition: bookmark, id, act: 'put', content: { ...page, tags: [] } }]
  })
  const results = await Promise.allSettled(
    Array.from({ length: 1100 }, (_, index) => writer.commit(write(`q${index}`)))
  )
  const refused = results.filter((result) => result.status === 'rejected')
  t.ok(refused.length > 0 && refused.length < 110, `${refused.length} of 1,100 turned away`)
  t.ok(refused.every(({ reason }) => reason.errorType === 'CONTENTION'))
  t.match((await logOf(store, 'quinn')).head, { count: 1 + 1100 - refused.length })
})
