import t from 'tap'
import { QueryCommand } from '@aws-sdk/lib-dynamodb'
import { loadConfig } from '../src/config.ts'
import { startTracedHub } from './harness/client.ts'
import { found } from './harness/groups.ts'
import { type Person, person, startApp } from './harness/hub.ts'
import { logOf } from './harness/log.ts'

let clock = 0
const now = () => Date.now() + clock
const limits = { ...loadConfig({}).limits, stagedBatches: 3, stagedBytes: 60_000 }
const { hub, traced, store } = await startTracedHub(t, { commitLeaseSeconds: 0.3, limits }, { now })
const HOURS = 3600_000
const page = { url: 'https://example.com', title: 'x' }
const puts = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => ({
    type: 'bookmark',
    id: `b${from + index}`,
    act: 'put',
    record: page
  }))
const start = (user: Person, changes: object[]) => user.post('/v1/sync?batch=true', { changes })
const begin = async (user: Person, changes: object[]) => (await start(user, changes)).body.id as string
const commit = (user: Person, id: string) => user.post(`/v1/sync/batches/${id}/commit`, {})
const usageOf = async (user: Person) => (await user.get('/v1/tenant')).body.usage as Record<string, number>

/** Parts of batches that lie in the user's space, whatever the hub says of them. */
async function partsOf (user: string): Promise<string[]> {
  const { Items = [] } = await store.client.send(
    new QueryCommand({
      TableName: store.table,
      KeyConditionExpression: 'pk = :pk AND begins_with(sk, :sk)',
      ExpressionAttributeValues: { ':pk': `TENANT#acme#USER#${user}`, ':sk': 'BATCH#' }
    })
  )
  return Items.map(({ sk }) => sk as string).filter((sk) => /#\d{5}$/.test(sk))
}

/** Breaks a commit off once so many parts of it are written. */
function dieAfter (parts: number, user: string): void {
  hub.mayLog(/"errorType":"STORE_UNAVAILABLE".*"message":"gone"/)
  traced.fault = async (name, next) => {
    if (name.startsWith('TransactWrite') && (await logOf(store, user)).head?.lock?.part === parts) {
      throw Object.assign(new Error('gone'), { name: 'TimeoutError' })
    }
    return next()
  }
}

t.beforeEach(() => {
  clock = 0
  traced.fault = undefined
  traced.reset()
})

t.test('batches that are staged are counted, and so are their bytes: who has too many is told which limit', async (t) => {
  const ann = await hub.as({ tenant: 'acme', user: 'ann' })
  const ids = [await begin(ann, puts(10)), await begin(ann, puts(10)), await begin(ann, puts(10))]
  const usage = await usageOf(ann)
  t.match(usage, { records: 0, bytes: 0, stagedBatches: 3 })
  t.ok(usage.stagedBytes! > 3 * 10 * 60)
  t.match(await start(ann, puts(1)), {
    status: 507,
    body: {
      errorType: 'QUOTA_EXCEEDED',
      limit: { name: 'stagedBatches', value: 3, sent: 4 },
      detail: new RegExp(`oldest is ${ids[0]}`)
    }
  })
  const bob = await hub.as({ tenant: 'acme', user: 'bob' })
  t.equal((await start(bob, puts(1))).status, 201, "a limit is one user's own")

  t.equal((await ann.delete(`/v1/sync/batches/${ids[0]}`)).status, 204)
  t.match(await usageOf(ann), { stagedBatches: 2 })
  t.match((await commit(ann, ids[1]!)).body, { state: 'committed' })
  t.match(await usageOf(ann), { records: 10, stagedBatches: 1 })

  const large = { ...puts(1)[0], record: { ...page, description: 'd'.repeat(2000) } }
  const much = Array.from({ length: 29 }, (_, index) => ({ ...large, id: `l${index}` }))
  t.match(await ann.post(`/v1/sync/batches/${ids[2]}`, { offset: 10, changes: much }), {
    status: 507,
    body: { errorType: 'QUOTA_EXCEEDED', limit: { name: 'stagedBytes', value: 60_000 } }
  })
  t.match((await ann.get(`/v1/sync/batches/${ids[2]}`)).body, { changes: 10 }, 'and nothing of it is staged')
  t.match(await ann.post(`/v1/sync/batches/${ids[2]}`, { offset: 10, changes: puts(5) }), { status: 200 })
  t.match(await usageOf(ann), { stagedBatches: 1 }, 'what is added to a batch is no other batch')
  t.match((await ann.get('/v1/limits')).body, { stagedBatches: 3, stagedBytes: 60_000 })
})

t.test('who begins many at once, through two processes, has no more than the limit', async (t) => {
  const cat = await hub.as({ tenant: 'acme', user: 'cat' })
  const other = person(await startApp(t, hub.config, { now }), cat.token)
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, index) => start(index % 2 === 0 ? cat : other, puts(1)))
  )
  t.strictSame(answers.map(({ status }) => status).sort(), [201, 201, 201, ...Array.from({ length: 9 }, () =>
    507)])
  t.equal((await partsOf('cat')).length, 3)
  t.match(await usageOf(cat), { stagedBatches: 3 })
})

t.test('what was staged is deleted when its batch is committed or abandoned', async (t) => {
  const dan = await hub.as({ tenant: 'acme', user: 'dan' })
  const [committed, abandoned] = [await begin(dan, puts(200)), await begin(dan, puts(200))]
  t.equal((await partsOf('dan')).length, 6)
  t.match((await commit(dan, committed)).body, { state: 'committed', committed: 200 })
  t.equal((await partsOf('dan')).length, 3)
  t.equal((await dan.delete(`/v1/sync/batches/${abandoned}`)).status, 204)
  t.strictSame(await partsOf('dan'), [])
  t.match(await commit(dan, committed), { status: 200, body: { state: 'committed', committed: 200 } })

  const links = Array.from(
    { length: 150 },
    (_, link) => `<DT><A HREF="https://example.com/${link}">${link}</A>`
  )
  const file = { 'content-type': 'text/html' }
  t.equal((await dan.post('/v1/bookmarks/import', links.join('\n'), file)).body.created, 150)
  t.strictSame(await partsOf('dan'), [], 'also where the hub itself has staged it')
  t.match(await usageOf(dan), { records: 350, stagedBatches: 0, stagedBytes: 0 })
})

t.test('a batch that another finished is deleted, too, and counts no longer', async (t) => {
  const eve = await hub.as({ tenant: 'acme', user: 'eve' })
  const id = await begin(eve, puts(250))
  dieAfter(1, 'eve')
  t.equal((await commit(eve, id)).status, 503)
  traced.fault = undefined
  t.equal((await partsOf('eve')).length, 3)
  t.equal((await eve.put('/v1/bookmarks/next', page)).status, 201)
  t.strictSame(await partsOf('eve'), [])
  t.match(await usageOf(eve), { records: 251, stagedBatches: 0 })
  t.match((await commit(eve, id)).body, { state: 'committed', committed: 250 })
})

t.test('a batch whose device is signed out half way is deleted, too', async (t) => {
  const ira = await hub.as({ tenant: 'acme', user: 'ira' })
  const group = `group:${await found(ira)}`
  const { body: { deviceToken, session } } = await ira.post('/v1/sessions', { name: 'x', platform: 'y' })
  const device = person(hub.app, deviceToken as string)
  const id = await begin(device, puts(250).map((change) => ({ ...change, space: group })))
  t.equal((await partsOf('ira')).length, 3)
  let steps = 0
  traced.fault = async (name, next) => {
    const result: unknown = await next()
    if (name.startsWith('TransactWrite') && ++steps === 2) {
      traced.fault = undefined
      t.equal((await ira.delete(`/v1/sessions/${session.id}`)).status, 204)
    }
    return result
  }
  t.equal((await commit(device, id)).status, 401)
  t.match((await ira.get(`/v1/sync/batches/${id}`)).body, { state: 'stopped', committed: 96 })
  t.strictSame(await partsOf('ira'), [])
  t.match(await usageOf(ira), { stagedBatches: 0 })
})

t.test('what ran out of time is swept when the next batch begins; what is being committed is not', async (t) => {
  const fay = await hub.as({ tenant: 'acme', user: 'fay' })
  const [late, dying] = [await begin(fay, puts(100)), await begin(fay, puts(250, 100))]
  dieAfter(1, 'fay')
  t.equal((await commit(fay, dying)).status, 503)
  traced.fault = undefined
  clock = 5 * HOURS
  t.equal((await start(fay, puts(1))).status, 201)
  t.notOk((await partsOf('fay')).some((sk) => sk.includes(late)), 'nobody can commit that one any more')
  t.equal((await partsOf('fay')).filter((sk) => sk.includes(dying)).length, 3)
  t.match((await commit(fay, dying)).body, { state: 'committed', committed: 250 })
  t.match(await usageOf(fay), { records: 250, stagedBatches: 1 })
})

t.test("a store that does not delete stands in nobody's way, and the next batch makes up for it", async (t) => {
  const gil = await hub.as({ tenant: 'acme', user: 'gil' })
  traced.fault = async (name, next) => {
    if (name.startsWith('BatchWrite')) throw Object.assign(new Error('no'), { name: 'AccessDeniedException' })
    return next()
  }
  for (let at = 0; at < 3; at++) {
    t.match((await commit(gil, await begin(gil, puts(100, at * 100)))).body, { state: 'committed' })
  }
  t.equal((await partsOf('gil')).length, 6)
  t.match(await usageOf(gil), { stagedBatches: 3 })
  traced.fault = undefined
  t.equal((await start(gil, puts(1))).status, 201)
  t.equal((await partsOf('gil')).length, 1)
  t.match(await usageOf(gil), { records: 300, stagedBatches: 1 })
})

t.test('what the hub stages itself counts as well, and nothing happens where there is no room', async (t) => {
  const hal = await hub.as({ tenant: 'acme', user: 'hal' })
  for (let at = 0; at < 3; at++) await begin(hal, puts(1))
  const links = Array.from(
    { length: 150 },
    (_, link) => `<DT><A HREF="https://example.com/${link}">${link}</A>`
  )
  t.match(await hal.post('/v1/bookmarks/import', links.join('\n'), { 'content-type': 'text/html' }), {
    status: 507,
    body: { errorType: 'QUOTA_EXCEEDED', limit: { name: 'stagedBatches', value: 3, sent: 4 } }
  })
  t.match(await usageOf(hal), { records: 0, stagedBatches: 3 })
  clock = 2 * HOURS + 1000
  t.match(await usageOf(hal), { stagedBatches: 0 }, 'what ran out of time counts for nobody')
  t.match((await hal.post('/v1/bookmarks/import', links.join('\n'), { 'content-type': 'text/html' })).body, {
    created: 150
  })
})
