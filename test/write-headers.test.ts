import fp from 'fastify-plugin'
import t from 'tap'
import { createDevice } from './harness/device.ts'
import { join } from './harness/groups.ts'
import { startHub, type Answer, type Person } from './harness/hub.ts'

/** What a write route does with the headers that promise something: takes them, or refuses them by name. */
type Taken = 'key' | 'match' | 'none-match'
const HEADERS = { key: 'idempotency-key', match: 'if-match', 'none-match': 'if-none-match' } as const

const [RECORD, MATCHING, KEY, NOTHING]: [Taken[], Taken[], Taken[], Taken[]] = [['key', 'match',
  'none-match'], ['key', 'match'], ['key'], []]
const SPACE: Readonly<Record<string, Taken[]>> = {
  'POST /bookmarks': KEY,
  'PUT /bookmarks/:id': RECORD,
  'PATCH /bookmarks/:id': RECORD,
  'DELETE /bookmarks/:id': RECORD,
  'POST /bookmarks/:id/move': MATCHING,
  'PATCH /bookmarks/tags': KEY,
  'DELETE /bookmarks/tags': KEY,
  'POST /bookmarks/import': NOTHING,
  'PUT /settings/:id': RECORD,
  'PATCH /settings/:id': RECORD,
  'DELETE /settings/:id': RECORD,
  'POST /trash/:type/:id/restore': MATCHING,
  'POST /changes/:n/revert': KEY
}
const inSpace = (prefix: string) =>
  Object.fromEntries(
    Object.entries(SPACE).map(([route, taken]) => [route.replace(' ', ` ${prefix}`), taken])
  )
/** Every write of the hub. A route that is not here has not been decided about. */
const DECIDED: Readonly<Record<string, Taken[]>> = {
  ...inSpace('/v1'),
  ...inSpace('/v1/groups/:groupId'),
  'POST /v1/groups': KEY,
  'PUT /v1/groups/:groupId': RECORD,
  'PATCH /v1/groups/:groupId': RECORD,
  'DELETE /v1/groups/:groupId': ['match'],
  'PUT /v1/groups/:groupId/members/:userId': MATCHING,
  'DELETE /v1/groups/:groupId/members/:userId': MATCHING,
  'POST /v1/groups/:groupId/invitations': KEY,
  'DELETE /v1/groups/:groupId/invitations/:userId': MATCHING,
  'PUT /v1/blocks/:id': KEY,
  'DELETE /v1/blocks/:id': KEY,
  'POST /v1/invitations/:id/accept': KEY,
  'POST /v1/invitations/:id/decline': KEY,
  'POST /v1/sync': KEY,
  'POST /v1/sync/batches/:id': NOTHING,
  'POST /v1/sync/batches/:id/commit': NOTHING,
  'DELETE /v1/sync/batches/:id': NOTHING,
  'POST /v1/sessions': NOTHING,
  'DELETE /v1/sessions': NOTHING,
  'PATCH /v1/sessions/:id': RECORD,
  'DELETE /v1/sessions/:id': KEY,
  'POST /v1/pairings': NOTHING,
  'POST /v1/pairings/claim': NOTHING
}

const routes: string[] = []
const hub = await startHub(t, {}, {
  plugin: fp(async (app) => {
    app.addHook('onRoute', ({ method, url }) => {
      for (const one of [method].flat()) if (!/^(?:GET|HEAD|OPTIONS)$/.test(one)) routes.push(`${one} ${url}`)
    })
  })
})
let people = 0
const someone = () => hub.as({ tenant: 'acme', user: `u${++people}` })
const page = { url: 'https://example.com', title: 'x' }

t.test('each write takes each header that promises something, or refuses it by name', async (t) => {
  t.strictSame(routes.toSorted(), Object.keys(DECIDED).sort())
  const alice = await someone()
  const { body: { id: groupId } } = await alice.post('/v1/groups', { name: 'x' })
  for (const [route, taken] of Object.entries(DECIDED)) {
    const [method, url] = route.split(' ') as [string, string]
    const path = url.replace(':groupId', groupId).replace(':type', 'bookmark').replace(':n', '1')
      .replace(/:\w+/g, 'none')
    for (const [name, header] of Object.entries(HEADERS)) {
      const { status, body } = await alice.request(method, path, undefined, { [header]: '"garbage' })
      const refused = status === 400 && body.errors?.[0].pointer === `headers/${header}` &&
        /not taken here/.test(body.errors[0].detail)
      t.equal(refused, !taken.includes(name as Taken), `${route}: ${header}, ${status}`)
    }
  }
})

t.test('a request that is repeated under its key is answered as it was, whatever others did since', async (t) => {
  const alice = await someone()
  const mate = await someone()
  const { body: { id: groupId } } = await alice.post('/v1/groups', { name: 'x' })
  await join(alice, groupId, { user: mateId(mate), person: mate }, 'owner')
  const base = `/v1/groups/${groupId}`
  for (const id of ['a', 'b']) await alice.put(`${base}/bookmarks/${id}`, page)
  const key = { 'idempotency-key': 'once' }
  const again = async (ask: () => Promise<Answer>, meanwhile: () => Promise<Answer>) => {
    const first = await ask()
    t.ok(first.status < 300, first.text)
    t.ok((await meanwhile()).status < 300)
    const second = await ask()
    t.strictSame([second.status, second.text, second.headers.etag], [first.status, first.text,
      first.headers.etag])
  }
  // The second has no position, so that moving the first beside it writes both.
  await again(
    () => alice.post(`${base}/bookmarks/a/move`, { after: 'b' }, { 'idempotency-key': 'move' }),
    () => mate.patch(`${base}/bookmarks/a`, { title: 'of the mate' })
  )
  await mate.delete(`${base}/bookmarks/a`)
  await again(
    () => alice.post(`${base}/trash/bookmark/a/restore`, undefined, { 'idempotency-key': 'restore' }),
    () => mate.patch(`${base}/bookmarks/a`, { title: 'again' })
  )
  await again(
    () => alice.put(`${base}/members/${mateId(mate)}`, { role: 'viewer' }, { 'idempotency-key': 'role' }),
    () => alice.put(`${base}/members/${mateId(mate)}`, { role: 'editor' })
  )
  const changes = [{ type: 'bookmark', id: 'staged', act: 'put', record: page }]
  let batch = ''
  await again(async () => {
    const answer = await alice.post('/v1/sync?batch=true', { changes }, key)
    batch = answer.body.id
    return answer
  }, () => alice.post(`/v1/sync/batches/${batch}/commit`, {}))
  t.match(await alice.post('/v1/sync?batch=true', { changes: [{ ...changes[0], id: 'other' }] }, key), {
    status: 422
  })
  const [one, two] = await Promise.all(
    [1, 2].map(() => alice.post('/v1/sync?batch=true', { changes }, { 'idempotency-key': 'race' }))
  )
  t.ok(one!.status === 409 || two!.status === 409 || one!.body.id === two!.body.id)
  t.match(await mate.delete(`${base}/members/${mateId(mate)}`, key), {
    status: 400,
    body: { errors: [{ pointer: 'headers/idempotency-key' }] }
  }, 'who leaves can ask for nothing any more')
})

t.test('a record that moved on is not written where a revision is named', async (t) => {
  const alice = await someone()
  const mate = await someone()
  const { body: { id: groupId } } = await alice.post('/v1/groups', { name: 'x' })
  await join(alice, groupId, { user: mateId(mate), person: mate }, 'editor')
  const base = `/v1/groups/${groupId}`
  const device = createDevice(alice)
  const holds = async (write: (match: string) => Promise<Answer>, current: unknown) => {
    await device.pull()
    const before = JSON.stringify([...device.held])
    t.match(await write('"999999", "888888"'), { status: 412, body: { errorType: 'PRECONDITION_FAILED' } })
    await device.pull()
    t.equal(JSON.stringify([...device.held]), before)
    t.ok((await write(`"1", "${String(current)}"`)).status < 300)
  }
  const { body: bookmark } = await alice.put(`${base}/bookmarks/b`, page)
  await holds((match) => alice.post(`${base}/bookmarks/b/move`, {}, { 'if-match': match }), bookmark.rev)
  await alice.delete(`${base}/bookmarks/b`)
  const { body: { items: [{ n }] } } = await alice.get(`${base}/trash`)
  await holds((match) => alice.post(`${base}/trash/bookmark/b/restore`, undefined, { 'if-match': match }), n)
  const member = async (list: string) =>
    (await alice.get(`${base}/${list}`)).body.items.find(({ id }: { id: string }) => id === mateId(mate)).rev
  await holds(
    (match) => alice.put(`${base}/members/${mateId(mate)}`, { role: 'viewer' }, { 'if-match': match }),
    await member('members')
  )
  await holds(
    (match) => alice.delete(`${base}/members/${mateId(mate)}`, { 'if-match': match }),
    await member('members')
  )
  await alice.post(`${base}/invitations`, { userId: mateId(mate) })
  await holds(
    (match) => alice.delete(`${base}/invitations/${mateId(mate)}`, { 'if-match': match }),
    await member('invitations')
  )
})

/** The user id in a token. */
const mateId = ({ token }: Person): string =>
  (JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { sub: string }).sub
