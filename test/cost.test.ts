import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { startTracedHub } from './harness/client.ts'
import { createDevice } from './harness/device.ts'
import { person, type Answer } from './harness/hub.ts'

/**
 * What every route costs: calls to the store, and capacity units (on-demand DynamoDB bills both
 * kinds of unit; an index is billed apart from its table). The table is printed for docs/costs.md, which a test
 * holds to it.
 */
const { hub, traced } = await startTracedHub(t)
const alice = await hub.as({ tenant: 'acme', user: 'alice' })
const page = {
  url: 'https://example.com/some/page',
  title: 'A page of about usual length',
  tags: ['reading']
}
// The space is known to this process and holds a page of bookmarks before anything is counted.
await Promise.all(
  Array.from(
    { length: 60 },
    (_, index) => alice.put(`/v1/bookmarks/b${String(index).padStart(2, '0')}`, page)
  )
)
await alice.put('/v1/settings/theme', { value: 'dark' })
await alice.put('/v1/settings/shared', { value: 'x', isPublic: true })
const { body: { publicId } } = await alice.get('/v1/settings/shared')

interface Cost {
  trips: number
  read?: number
  write?: number
  index?: number
}
const rows: string[] = []

/** Runs one request and holds what it cost. */
async function costs (t: Test, title: string, expected: Cost, request: () => Promise<Answer>): Promise<void> {
  traced.reset()
  const { status } = await request()
  const writes = traced.calls.filter(({ name }) => /^(?:TransactWrite|BatchWrite)/.test(name))
  const reads = traced.calls.filter((call) => !writes.includes(call))
  const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0)
  const actual = {
    trips: traced.calls.length,
    read: sum(reads.map(({ table, indexes }) => table + indexes)),
    write: sum(writes.map(({ table }) => table)),
    index: sum(writes.map(({ indexes }) => indexes))
  }
  rows.push(
    `| ${title} | ${actual.trips} | ${actual.read || '-'} | ${actual.write || '-'} | ${actual.index || '-'} |`
  )
  t.ok(status < 400, `${title}: ${status}`)
  t.strictSame(actual, { read: 0, write: 0, index: 0, ...expected }, title)
}

t.test('each route costs what docs/costs.md says', async (t) => {
  await costs(
    t,
    '`GET /v1/bookmarks/{id}`, `GET /v1/settings/{id}`',
    { trips: 1, read: 1 },
    () => alice.get('/v1/bookmarks/b00')
  )
  await costs(
    t,
    '`GET /v1/bookmarks`, 50 of about 400 bytes',
    { trips: 1, read: 5 },
    () => alice.get('/v1/bookmarks')
  )
  await costs(
    t,
    '`GET /v1/bookmarks?sort=-createdAt`, 50',
    { trips: 2, read: 52 },
    () => alice.get('/v1/bookmarks?sort=-createdAt')
  )
  await costs(t, '`GET /v1/settings`', { trips: 1, read: 1 }, () => alice.get('/v1/settings'))
  await costs(
    t,
    '`PUT` a bookmark or setting that exists',
    { trips: 1, write: 6 },
    () => alice.put('/v1/bookmarks/b00', page)
  )
  await costs(
    t,
    '`PUT`, `POST` a new bookmark or setting',
    { trips: 1, write: 6, index: 1 },
    () => alice.post('/v1/bookmarks', page)
  )
  await costs(
    t,
    '`PUT` with an `Idempotency-Key`',
    { trips: 2, read: 1, write: 8 },
    () => alice.put('/v1/bookmarks/b00', page, { 'idempotency-key': 'k' })
  )
  await costs(
    t,
    '`PATCH`',
    { trips: 2, read: 1, write: 6 },
    () => alice.patch('/v1/bookmarks/b00', { title: 'x' })
  )
  await costs(
    t,
    '`DELETE`',
    { trips: 2, read: 1, write: 6, index: 1 },
    () => alice.delete('/v1/bookmarks/b01')
  )
  await costs(
    t,
    '`PUT` a new public setting',
    { trips: 1, write: 6, index: 2 },
    () => alice.put('/v1/settings/shared2', { value: 'x', isPublic: true })
  )
  await costs(
    t,
    '`GET /v1/public/settings/{publicId}`',
    { trips: 1, read: 0.5 },
    () => hub.anyone.get(`/v1/public/settings/${publicId}`)
  )
  await costs(
    t,
    '`GET /v1/public/settings`, all ten shards, once in 60 s',
    { trips: 10, read: 5 },
    () => hub.anyone.get('/v1/public/settings')
  )
  await costs(t, '`GET /v1/tenant`', { trips: 2, read: 1.5 }, () => alice.get('/v1/tenant'))
  await costs(t, '`GET /ready`', { trips: 1, read: 0.5 }, () => hub.anyone.get('/ready'))
  await costs(
    t,
    '`GET /health`, `GET /v1/limits`, `GET /openapi.json`',
    { trips: 0 },
    () => hub.anyone.get('/v1/limits')
  )
})

const small = (id: string, title = 'x') => ({
  type: 'bookmark',
  id,
  act: 'put',
  record: { url: 'https://example.com', title }
})

t.test('a push costs 2 WCU a record and 4, in one round trip; an idle pull 1 RCU', async (t) => {
  const carl = await hub.as({ tenant: 'acme', user: 'carl' })
  await carl.post('/v1/sync', { changes: Array.from({ length: 98 }, (_, index) => small(`c${index}`)) })
  const { body: { cursor } } = await carl.get('/v1/sync')
  await costs(
    t,
    '`GET /v1/sync`, nothing new',
    { trips: 1, read: 1 },
    () => carl.get(`/v1/sync?cursor=${cursor}`)
  )
  await costs(
    t,
    '`POST /v1/sync`, 1 record',
    { trips: 1, write: 6 },
    () => carl.post('/v1/sync', { changes: [small('c0', 'y')] })
  )
  await costs(
    t,
    '`POST /v1/sync`, 20 records',
    { trips: 1, write: 44 },
    () =>
      carl.post('/v1/sync', { changes: Array.from({ length: 20 }, (_, index) => small(`c${index}`, 'z')) })
  )
  await costs(
    t,
    '`POST /v1/sync`, 98 records',
    { trips: 1, write: 200 },
    () =>
      carl.post('/v1/sync', { changes: Array.from({ length: 98 }, (_, index) => small(`c${index}`, 'w')) })
  )
  const { body: { cursor: current } } = await carl.get('/v1/sync')
  for (let index = 0; index < 50; index++) await carl.put(`/v1/bookmarks/c${index}`, page)
  await costs(
    t,
    '`GET /v1/sync`, 50 edits of 50 records',
    { trips: 3, read: 54 },
    () => carl.get(`/v1/sync?cursor=${current}`)
  )
  await costs(t, '`GET /v1/sync` without a cursor, 98 small records, and the last changes told again', {
    trips: 11,
    read: 119
  }, () => carl.get('/v1/sync'))
  await carl.delete('/v1/bookmarks/c1')
  await costs(t, '`GET /v1/trash`, 1 of 55 changes', { trips: 3, read: 5 }, () => carl.get('/v1/trash'))
  await costs(
    t,
    '`POST /v1/trash/{type}/{id}/restore`',
    { trips: 2, read: 1, write: 6, index: 1 },
    () => carl.post('/v1/trash/bookmark/c1/restore', undefined)
  )
})

t.test('people and devices', async (t) => {
  const [dora, emil] = await Promise.all(['dora', 'emil'].map((user) => hub.as({ tenant: 'acme', user })))
  await Promise.all([dora!, emil!].map((who) => who.put('/v1/bookmarks/b', page)))
  let id = ''
  await costs(t, '`POST /v1/groups`', { trips: 4, read: 3, write: 16, index: 3 }, async () => {
    const made = await dora!.post('/v1/groups', { name: 'Team' })
    id = made.body.id as string
    return made
  })
  await costs(t, '`GET /v1/groups`, one of them', { trips: 2, read: 2 }, () => dora!.get('/v1/groups'))
  await costs(
    t,
    '`POST .../invitations`',
    { trips: 9, read: 8, write: 16, index: 2 },
    () => dora!.post(`/v1/groups/${id}/invitations`, { userId: 'emil', role: 'editor' })
  )
  await costs(
    t,
    '`POST /v1/invitations/{id}/accept`',
    { trips: 8, read: 7, write: 16, index: 2 },
    () => emil!.post(`/v1/invitations/${id}/accept`, undefined)
  )
  await dora!.put(`/v1/groups/${id}/bookmarks/b`, page)
  await costs(
    t,
    '`GET /v1/groups/{groupId}/bookmarks/{id}`',
    { trips: 2, read: 2 },
    () => emil!.get(`/v1/groups/${id}/bookmarks/b`)
  )
  await costs(
    t,
    '`PUT` a bookmark of a group',
    { trips: 2, read: 1, write: 6 },
    () => dora!.put(`/v1/groups/${id}/bookmarks/b`, page)
  )
  const { body: { cursor } } = await emil!.get('/v1/sync')
  await costs(
    t,
    '`GET /v1/sync`, nothing new in two spaces',
    { trips: 3, read: 3 },
    () => emil!.get(`/v1/sync?cursor=${cursor}`)
  )
  await costs(
    t,
    '`DELETE .../members/{userId}`',
    { trips: 8, read: 7, write: 14, index: 2 },
    () => dora!.delete(`/v1/groups/${id}/members/emil`)
  )
  const { body: { deviceToken } } = await dora!.post('/v1/sessions', { name: 'Phone', platform: 'Android' })
  const device = person(hub.app, deviceToken as string)
  await device.get('/v1/tenant')
  await costs(
    t,
    'any request with a device token, beside its own',
    { trips: 1, read: 1 },
    () =>
      device.get('/v1/bookmarks/b').then((answer) => {
        traced.calls.splice(traced.calls.findIndex(({ name }) => name === 'GetItemCommand'), 1)
        return answer
      })
  )
  await costs(
    t,
    '`POST /v1/sessions`',
    { trips: 3, read: 2, write: 6, index: 1 },
    () => dora!.post('/v1/sessions', { name: 'Tablet', platform: 'iPadOS' })
  )
  await costs(t, '`GET /v1/sessions`', { trips: 2, read: 1.5 }, () => dora!.get('/v1/sessions'))
})

t.test('a staged batch costs its text twice, and once more when that is deleted', async (t) => {
  const fay = await hub.as({ tenant: 'acme', user: 'fay' })
  await fay.put('/v1/settings/first', { value: 1 })
  const changes = Array.from({ length: 192 }, (_, index) => ({
    type: 'bookmark',
    id: `b${index}`,
    act: 'put',
    record: page
  }))
  const begin = async () => (await fay.post('/v1/sync?batch=true', { changes })).body.id as string
  await fay.delete(`/v1/sync/batches/${await begin()}`)
  let id = ''
  await costs(
    t,
    '`POST /v1/sync?batch=true`, 192 small records',
    { trips: 2, read: 1, write: 64 },
    async () => {
      const answer = await fay.post('/v1/sync?batch=true', { changes })
      id = answer.body.id as string
      return answer
    }
  )
  await costs(
    t,
    '`POST .../batches/{id}/commit` of them',
    { trips: 12, read: 203, write: 434, index: 192 },
    () => fay.post(`/v1/sync/batches/${id}/commit`, {})
  )
  id = await begin()
  await costs(
    t,
    '`DELETE .../batches/{id}`',
    { trips: 6, read: 3, write: 34 },
    () => fay.delete(`/v1/sync/batches/${id}`)
  )
})

t.test('what is read from memory costs 1 RCU, or a look at what changed', async (t) => {
  const dan = await hub.as({ tenant: 'acme', user: 'dan' })
  const link = (index: number) =>
    `<DT><A HREF="https://example.com/${index}" ADD_DATE="1600000000" TAGS="reading">A page of about usual length</A>\n`
  const file = (from: number, count: number) =>
    Array.from({ length: count }, (_, index) => link(from + index)).join('')
  const bring = (text: string) => dan.post('/v1/bookmarks/import', text, { 'content-type': 'text/html' })
  await dan.put('/v1/settings/first', { value: 1 })
  await costs(t, '`POST /v1/bookmarks/import`, 60 links that are new, and the first look of a process', {
    trips: 7,
    read: 6,
    write: 126,
    index: 60
  }, () => bring(file(0, 60)))
  const eli = await hub.as({ tenant: 'acme', user: 'eli' })
  await eli.put('/v1/settings/first', { value: 1 })
  await costs(
    t,
    '`POST /v1/bookmarks/import`, 500 links that are new',
    { trips: 31, read: 546, write: 1453, index: 500 },
    () => eli.post('/v1/bookmarks/import', file(0, 500), { 'content-type': 'text/html' })
  )
  await costs(
    t,
    'the same file again, and the changes of the first time',
    { trips: 3, read: 62 },
    () => bring(file(0, 60))
  )
  await dan.get('/v1/bookmarks/tree')
  await costs(
    t,
    '`GET /v1/bookmarks?q=`, `?url=`, `/tree`, `/tags`, `/duplicates`, `/export`, where nothing changed',
    { trips: 1, read: 1 },
    () => dan.get('/v1/bookmarks?q=usual')
  )
  await dan.put('/v1/bookmarks/f', { kind: 'folder', title: 'F' })
  await costs(
    t,
    'the same, where one bookmark changed',
    { trips: 3, read: 3 },
    () => dan.get('/v1/bookmarks/tree')
  )
  await costs(
    t,
    '`PUT` a folder within one folder',
    { trips: 2, read: 1, write: 8, index: 1 },
    () => dan.put('/v1/bookmarks/g', { kind: 'folder', title: 'G', folderId: 'f' })
  )
  await dan.post('/v1/sync', {
    changes: Array.from(
      { length: 10 },
      (_, index) => ({ type: 'bookmark', id: `in${index}`, act: 'put', record: { ...page, folderId: 'g' } })
    )
  })
  await dan.get('/v1/bookmarks/tree')
  await dan.post('/v1/bookmarks/in1/move', { after: 'in5' })
  await dan.get('/v1/bookmarks/tree')
  await costs(
    t,
    '`POST /v1/bookmarks/{id}/move`',
    { trips: 3, read: 2, write: 6 },
    () => dan.post('/v1/bookmarks/in0/move', { after: 'in5' })
  )
  await dan.get('/v1/bookmarks/tree')
  await costs(t, '`DELETE` a folder with 10 bookmarks and a folder in it', {
    trips: 4,
    read: 14,
    write: 28,
    index: 12
  }, () => dan.delete('/v1/bookmarks/f'))
})

t.test('what a pull costs does not grow with the space', async (t) => {
  const delta = async (user: string, records: number) => {
    const person = await hub.as({ tenant: 'acme', user })
    for (let from = 0; from < records; from += 98) {
      await person.post('/v1/sync', {
        changes: Array.from({ length: Math.min(98, records - from) }, (_, index) => small(`r${from + index}`))
      })
    }
    const device = createDevice(person)
    await device.pull()
    for (let index = 0; index < 50; index++) await person.put(`/v1/bookmarks/r${index}`, page)
    traced.reset()
    t.equal((await device.pull())[0]!.changes.length, 50)
    return {
      calls: traced.calls.map(({ name }) => name),
      read: traced.calls.reduce((sum, { table }) => sum + table, 0)
    }
  }
  const [few, many] = [await delta('few', 100), await delta('many', 2000)]
  t.strictSame(many.calls, few.calls)
  t.ok(
    Math.abs(many.read - few.read) <= 1,
    `${few.read} and ${many.read} RCU: change numbers have more digits`
  )
})

t.test('the first write to a space that this process has not seen reads HEAD, and founds the space', async (t) => {
  const bob = await hub.as({ tenant: 'acme', user: 'bob' })
  await costs(t, 'first `PUT` ever in a space (two of the calls at once)', {
    trips: 3,
    read: 2,
    write: 8,
    index: 1
  }, () => bob.put('/v1/bookmarks/b', page))
})

t.test('50 writers of one space at once share their transactions', async (t) => {
  traced.reset()
  await Promise.all(
    Array.from(
      { length: 50 },
      (_, index) => alice.put(`/v1/bookmarks/b${String(index + 2).padStart(2, '0')}`, page)
    )
  )
  const written = traced.calls.reduce((sum, { table }) => sum + table, 0)
  t.ok(written <= 50 * 4 + 2 * 6, `${written} WCU for 50 edits`)
})

t.test('a request that is refused costs the store nothing', async (t) => {
  traced.reset()
  await alice.put('/v1/bookmarks/b00', { url: 'javascript:1', title: '' })
  await alice.put('/v1/bookmarks/b00', { nope: 1 })
  await hub.anyone.get('/v1/bookmarks')
  await alice.get('/v1/bookmarks?cursor=x')
  t.strictSame(traced.calls, [])
})

t.test('docs/costs.md shows this table', (t) => {
  const table = ['| request | calls | RCU | WCU | index WCU |', '|---|---|---|---|---|', ...rows].join('\n')
  t.comment(`\n${table}`)
  t.ok(readFileSync('docs/costs.md', 'utf8').includes(table))
  t.end()
})
