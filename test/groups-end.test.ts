import { mock } from 'node:test'
import { QueryCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import { STATUS_KNOWN_FOR_MS } from '../src/operations/index.ts'
import { tenants } from '../src/operations/tenants.ts'
import { startTracedHub } from './harness/client.ts'
import { found, join, type Named } from './harness/groups.ts'
import { person, startApp } from './harness/hub.ts'

const DAY = 86_400
// What a process keeps of public lists for their max-age has a test of its own.
const { hub, traced, store } = await startTracedHub(t, { publicMaxAgeSeconds: 0 })
const other = await startApp(t, hub.config, { open: traced.open })
t.beforeEach(() => {
  traced.fault = undefined
})

const page = { url: 'https://example.com', title: 'x' }
let people = 0
async function someone (tenant = 'acme'): Promise<Named> {
  const user = `u${++people}`
  return { user, person: await hub.as({ tenant, user }) }
}
/** A group of an owner and an editor with `content` public settings, as many private ones, and bookmarks. */
async function published (content: number) {
  const [owner, editor] = [await someone(), await someone()]
  const id = await found(owner.person)
  await join(owner.person, id, editor)
  const publicIds: string[] = []
  for (let n = 0; n < content; n++) {
    const { body } = await editor.person.put(`/v1/groups/${id}/settings/pub.${n}`, {
      value: n,
      isPublic: true
    })
    publicIds.push(body.publicId)
    await editor.person.put(`/v1/groups/${id}/settings/own.${n}`, { value: n })
    await editor.person.put(`/v1/groups/${id}/bookmarks/b${n}`, page)
  }
  return { id, path: `/v1/groups/${id}`, owner, editor, publicIds }
}
/** What anyone finds of the names: one by one, and in the pages of the list. */
async function seen (publicIds: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const publicId of publicIds) {
    if ((await hub.anyone.get(`/v1/public/settings/${publicId}`)).status === 200) found.push(publicId)
  }
  for (let cursor = '';;) {
    const { body } = await hub.anyone.get(`/v1/public/settings?limit=3${cursor && `&cursor=${cursor}`}`)
    found.push(
      ...body.items.map((item: { publicId: string }) => item.publicId).filter((id: string) =>
        publicIds.includes(id)
      )
    )
    if (body.cursor === undefined) return found
    cursor = body.cursor
  }
}
async function rowsOf (pk: string) {
  const { Items = [] } = await traced.client.send(
    new QueryCommand({
      TableName: store.table,
      KeyConditionExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': pk },
      ConsistentRead: true
    })
  )
  return Items
}

t.test('who ends a group takes back what it had published, and gives every row of it an end', async (t) => {
  const { id, path, owner, editor, publicIds } = await published(4)
  const mine = (await owner.person.put('/v1/settings/mine', { value: 1, isPublic: true })).body.publicId
  await editor.person.delete(`${path}/bookmarks/b0`)
  await owner.person.patch(path, { name: 'y' }, { 'idempotency-key': 'one' })
  await owner.person.post(`${path}/invitations`, { userId: 'never-came' })
  t.equal((await seen(publicIds)).length, 8)
  const before = Math.floor(Date.now() / 1000)
  t.equal((await owner.person.delete(path)).status, 204)

  t.strictSame(await seen(publicIds), [], 'nobody reads them')
  t.equal((await seen([mine])).length, 2, "the owner's own stay")
  const rows = [...await rowsOf(`TENANT#acme#GROUP#${id}`),
    ...(await rowsOf('TENANT#acme')).filter(({ sk }) => sk === `SPACE#GROUP#${id}`)]
  t.ok(rows.length > 20)
  t.ok(rows.some(({ sk }) => sk === 'HEAD'))
  t.equal(rows.at(-1)!.sk, `SPACE#GROUP#${id}`)
  for (const { sk, ttl, gsi2pk } of rows) {
    t.ok(ttl >= before, `${sk} has an end`)
    t.ok(ttl <= before + (hub.config.retentionDays + 3) * DAY, `${sk} ends in time`)
    t.equal(gsi2pk, undefined, `${sk} is not public`)
  }
  t.notOk(
    (await rowsOf(`TENANT#acme#USER#${owner.user}`)).some(({ sk, ttl }) => sk === 'HEAD' && ttl !== undefined)
  )
})

t.test('what ends a group may be broken off after any transaction, and is gone on with when it is sent again', async (t) => {
  hub.expectLog(/"errorType":"STORE_UNAVAILABLE"/)
  for (let after = 1;; after++) {
    const { id, path, owner, editor, publicIds } = await published(2)
    let written = 0
    traced.fault = async (name, next) => {
      const isWrite = /TransactWrite|Update/.test(name)
      if (isWrite && written >= after) throw Object.assign(new Error('gone'), { name: 'TimeoutError' })
      const answer = await next()
      if (isWrite) written++
      return answer
    }
    const first = await owner.person.delete(path)
    traced.fault = undefined
    if (first.status !== 204) {
      t.equal(
        (await person(other, editor.person.token).put(`${path}/settings/late`, { value: 1, isPublic: true }))
          .status,
        404,
        'nothing is published meanwhile'
      )
      t.equal((await person(other, owner.person.token).get(path)).status, 200, 'its owner sees it')
      t.equal((await person(other, owner.person.token).delete(path)).status, 204)
    }
    t.strictSame(await seen(publicIds), [], `after ${after}`)
    t.strictSame((await rowsOf(`TENANT#acme#GROUP#${id}`)).filter(({ ttl }) => ttl === undefined), [])
    if (first.status === 204) break
    t.ok(after < 30)
  }
})

t.test('a setting that is published while its group ends is either taken back or refused', async (t) => {
  // Sent just before a transaction of the other's, from another process: 0 is before that of the publishing.
  for (let nth = 0; nth <= 3; nth++) {
    const { id, path, owner, editor } = await published(1)
    const elsewhere = {
      publish: () =>
        person(other, editor.person.token).put(`${path}/settings/late`, { value: 1, isPublic: true }),
      end: () => person(other, owner.person.token).delete(path)
    }
    let [transactions, late]: [number, { status: number } | undefined] = [0, undefined]
    traced.fault = async (name, next) => {
      if (name.startsWith('TransactWrite') && ++transactions === Math.max(nth, 1)) {
        traced.fault = undefined
        if (nth > 0) late = await elsewhere.publish()
        else t.equal((await elsewhere.end()).status, 204)
      }
      return next()
    }
    if (nth === 0) late = await editor.person.put(`${path}/settings/late`, { value: 1, isPublic: true })
    else t.equal((await owner.person.delete(path)).status, 204)
    traced.fault = undefined
    t.equal(late?.status, nth === 1 ? 201 : 404, `before transaction ${nth}`)
    t.strictSame(
      (await rowsOf(`TENANT#acme#GROUP#${id}`)).filter(({ gsi2pk, ttl }) =>
        gsi2pk !== undefined || ttl === undefined
      ),
      []
    )
  }
})

t.test("a suspended tenant's public settings are nobody's to read within 5 s, its groups' included", async (t) => {
  const desk = tenants(store, Date.now)
  const tick = performance.now.bind(performance)
  let ahead = 0
  mock.method(performance, 'now', () => tick() + ahead)
  t.teardown(() => mock.restoreAll())
  const { publicIds } = await published(3)
  const globex = await someone('globex')
  const theirs = (await globex.person.put('/v1/settings/theirs', { value: 1, isPublic: true })).body.publicId
  t.equal((await seen([...publicIds, theirs])).length, 8)
  await desk.setStatus('acme', 'suspended')
  ahead += STATUS_KNOWN_FOR_MS
  t.strictSame(await seen([...publicIds, theirs]), [theirs, theirs])
  t.match(await hub.anyone.get(`/v1/public/settings/${publicIds[0]}`), {
    status: 404,
    body: { errorType: 'NOT_FOUND', detail: 'There is no such public setting.' }
  })
  await desk.setStatus('acme', 'active')
  ahead += STATUS_KNOWN_FOR_MS
  t.equal((await seen(publicIds)).length, 6, 'and come back with it')
})

t.test('public settings that are deleted are not public, and come back as they were', async (t) => {
  const { path, editor, publicIds } = await published(1)
  t.equal((await editor.person.delete(`${path}/settings/pub.0`)).status, 204)
  t.strictSame(await seen(publicIds), [])
  t.equal((await editor.person.post(`${path}/trash/setting/pub.0/restore`, undefined)).status, 200)
  t.equal((await seen(publicIds)).length, 2)
})
