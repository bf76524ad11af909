import t from 'tap'
import { spaceKey } from '../entities/fields.ts'
import { routesOf } from './harness/attack.ts'
import { startTracedHub } from './harness/client.ts'
import { createDevice } from './harness/device.ts'
import { seeded } from './harness/faults.ts'
import { found, join, type Named } from './harness/groups.ts'
import { type Answer, type Person, person, startApp } from './harness/hub.ts'
import { connect } from './harness/stream.ts'
import { recordsOf, startWorld, truth } from './harness/world.ts'

const DAY = 86_400_000
let clock = 0
const { hub, traced, store } = await startTracedHub(t, {}, { now: () => Date.now() + clock })
const other = await startApp(t, hub.config, {
  open: traced.open,
  now: () => Date.now() + clock
})
t.beforeEach(() => {
  clock = 0
  traced.fault = undefined
})

const page = { url: 'https://example.com', title: 'x' }
let people = 0
/** Someone new in the tenant. */
async function someone (): Promise<Named> {
  const user = `u${++people}`
  return { user, person: await hub.as({ tenant: 'acme', user }) }
}
/** A group with someone in each role. */
async function staffed () {
  const [owner, editor, viewer] = [await someone(), await someone(), await someone()]
  const id = await found(owner.person)
  await join(owner.person, id, editor, 'editor')
  await join(owner.person, id, viewer, 'viewer')
  return { id, owner, editor, viewer, path: `/v1/groups/${id}` }
}
const statuses = (answers: readonly Answer[]) => answers.map(({ status }) => status).sort()
const membersOf = async ({ person }: Named, path: string) =>
  (await person.get(`${path}/members`)).body.items.map(({ id, role }: { id: string, role: string }) =>
    `${id} ${role}`
  )
/** What both sides of a group say of some people, as the rows are; and how many the group counts, and has. */
async function sides (groupId: string, users: readonly string[], of = store) {
  const rows = await recordsOf(of, spaceKey('acme', 'GROUP', groupId))
  const members = [...rows].filter(([name]) => name.startsWith('member ')).map(([, row]) =>
    row as { id: string, role: string, state: 'active' | 'invited' }
  )
  const kinds = { active: 'membership', invited: 'invitation' }
  const pointers = await Promise.all(users.map(async (user) => {
    const own = await recordsOf(of, spaceKey('acme', 'USER', user))
    return Object.values(kinds).flatMap((kind) =>
      own.has(`${kind} ${groupId}`)
        ? [`${kind} ${user} ${(own.get(`${kind} ${groupId}`) as { role: string }).role}`]
        : []
    )
  }))
  const group = rows.get(`group ${groupId}`) as { members: number, invitations: number } | undefined
  return {
    pointers: pointers.flat().sort(),
    inside: members.filter(({ id }) => users.includes(id)).map(({ id, role, state }) =>
      `${kinds[state]} ${id} ${role}`
    ).sort(),
    counted: group && [group.members, group.invitations],
    there: (['active', 'invited'] as const).map((state) =>
      members.filter((member) => member.state === state).length
    )
  }
}

t.test('a group is founded, read, listed, changed and ended', async (t) => {
  const { user, person: anna } = await someone()
  const made = await anna.post('/v1/groups', { name: 'Family', description: 'All of us' }, {
    'idempotency-key': 'family'
  })
  t.match(made, {
    status: 201,
    headers: { etag: '"1"' },
    body: { name: 'Family', description: 'All of us', role: 'owner', members: 1, invitations: 0 }
  })
  const path = made.headers.location as string
  t.equal(path, `/v1/groups/${made.body.id}`)
  const again = await anna.post('/v1/groups', { name: 'Family', description: 'All of us' }, {
    'idempotency-key': 'family'
  })
  t.strictSame(
    [again.status, again.text],
    [made.status, made.text],
    'sent again under its key it is the same group'
  )
  t.match(await anna.post('/v1/groups', { name: 'Other' }, { 'idempotency-key': 'family' }), { status: 422 })
  t.equal((await anna.get(path)).text, made.text)
  t.equal((await anna.get(path, { 'if-none-match': '"1"' })).status, 304)
  t.match((await anna.get('/v1/groups')).body, {
    items: [{ id: made.body.id, name: 'Family', role: 'owner' }]
  })
  t.match(await anna.patch(path, { description: null }, { 'if-match': '"1"' }), {
    status: 200,
    headers: { etag: '"2"' }
  })
  t.match(await anna.put(path, { name: 'Kin' }, { 'if-match': '"1"' }), {
    status: 412,
    body: { current: { name: 'Family', rev: 2 } }
  })
  const renamed = await anna.put(path, { name: 'Kin' })
  t.match(renamed.body, { name: 'Kin', members: 1, role: 'owner' })
  t.notOk('description' in renamed.body)
  for (
    const bad of [{}, { name: '' }, { name: 'x'.repeat(129) }, { name: 'x', role: 'owner' }, {
      name: 'x',
      members: 9
    }]
  ) t.match(await anna.post('/v1/groups', bad), { status: 400, body: { errorType: 'VALIDATION_FAILED' } })
  t.match(await anna.delete(path, { 'if-match': '"1"' }), { status: 412 })
  t.equal((await anna.delete(path)).status, 204)
  for (const gone of [await anna.get(path), await anna.delete(path), await anna.get(`${path}/bookmarks`)]) {
    t.equal(gone.status, 404)
  }
  t.strictSame((await anna.get('/v1/groups')).body, { items: [] })
  t.strictSame(await sides(made.body.id, [user]), {
    pointers: [],
    inside: [],
    counted: undefined,
    there: [0, 0]
  })
})

t.test('what is in a group is served by the handlers of the personal space', async (t) => {
  const { path, owner, editor, viewer } = await staffed()
  const added = await editor.person.post(`${path}/bookmarks`, page)
  t.match(added, { status: 201, headers: { location: `${path}/bookmarks/${added.body.id}` } })
  t.equal((await owner.person.get(added.headers.location as string)).text, added.text)
  t.match(await viewer.person.get(`${path}/bookmarks?sort=-createdAt`), {
    status: 200,
    body: { items: [{ id: added.body.id }] }
  })
  t.match(await editor.person.put(`${path}/settings/theme`, { value: 'dark' }), { status: 201 })
  t.equal((await viewer.person.get('/v1/settings')).body.items.length, 0, "and nobody's own space has it")
  t.equal((await editor.person.delete(`${path}/settings/theme`)).status, 204)
  t.match((await viewer.person.get(`${path}/trash`)).body.items, [{ type: 'setting', id: 'theme' }])
  t.match(await owner.person.post(`${path}/trash/setting/theme/restore`, undefined), { status: 200 })
  const key = { 'idempotency-key': 'same' }
  t.strictSame(
    statuses([await owner.person.post(`${path}/bookmarks`, page, key),
      await editor.person.post(`${path}/bookmarks`, { ...page, title: 'y' }, key)]),
    [201, 201],
    'members choose their keys without knowing of each other'
  )
})

/**
 * What each role may do, route by route: what is sent, and who may. A route of a group that is not here
 * fails.
 */
const TABLE: Readonly<Record<string, { may: 'read' | 'write' | 'manage', body?: object, query?: string }>> = {
  'GET ': { may: 'read' },
  'PUT ': { may: 'manage', body: { name: 'y' } },
  'PATCH ': { may: 'manage', body: { name: 'z' } },
  'DELETE ': { may: 'manage' },
  'GET /members': { may: 'read' },
  'PUT /members/:userId': { may: 'manage', body: { role: 'viewer' } },
  'DELETE /members/:userId': { may: 'manage' },
  'GET /invitations': { may: 'read' },
  'POST /invitations': { may: 'manage', body: { userId: 'nobody-yet' } },
  'DELETE /invitations/:userId': { may: 'manage' },
  'GET /bookmarks': { may: 'read' },
  'POST /bookmarks': { may: 'write', body: page },
  'GET /bookmarks/:id': { may: 'read' },
  'PUT /bookmarks/:id': { may: 'write', body: page },
  'PATCH /bookmarks/:id': { may: 'write', body: { title: 'y' } },
  'DELETE /bookmarks/:id': { may: 'write' },
  'GET /bookmarks/tree': { may: 'read' },
  'GET /bookmarks/tags': { may: 'read' },
  'PATCH /bookmarks/tags': { may: 'write', body: { tag: 'of-all', to: 'of-some' } },
  'DELETE /bookmarks/tags': { may: 'write', query: '?tag=of-all' },
  'GET /bookmarks/duplicates': { may: 'read' },
  'GET /bookmarks/export': { may: 'read', query: '?format=json' },
  'POST /bookmarks/import': {
    may: 'write',
    body: { format: 'sync-hub-bookmarks', version: 1, bookmarks: [page] }
  },
  'POST /bookmarks/:id/move': { may: 'write', body: {} },
  'GET /settings': { may: 'read' },
  'GET /settings/:id': { may: 'read' },
  'PUT /settings/:id': { may: 'write', body: { value: 1 } },
  'PATCH /settings/:id': { may: 'write', body: { value: 2 } },
  'DELETE /settings/:id': { may: 'write' },
  'GET /trash': { may: 'read' },
  'POST /trash/:type/:id/restore': { may: 'write' },
  'POST /changes/:n/revert': { may: 'write' }
}
const ALLOWED = { read: ['owner', 'editor', 'viewer'], write: ['owner', 'editor'], manage: ['owner'] }

/** A group with everything that a route may name. */
async function stage (route: string) {
  const group = await staffed()
  const [guest, asked, stranger] = [await someone(), await someone(), await someone()]
  await join(group.owner.person, group.id, guest)
  await group.owner.person.post(`${group.path}/invitations`, { userId: asked.user })
  for (const id of ['kept', 'gone']) {
    await group.owner.person.put(`${group.path}/bookmarks/${id}`, { ...page, tags: ['of-all'] })
  }
  await group.owner.person.put(`${group.path}/settings/kept`, { value: 1 })
  await group.owner.person.delete(`${group.path}/bookmarks/gone`)
  const { body: { items: [{ n }] } } = await group.owner.person.get(`${group.path}/trash`)
  const ids: Record<string, string> = {
    ':userId': route.startsWith('/members') ? guest.user : asked.user,
    ':type': 'bookmark',
    ':id': route.startsWith('/trash') ? 'gone' : 'kept',
    ':n': String(n)
  }
  return { ...group, stranger, ids }
}

t.test('every role on every route', async (t) => {
  await hub.app.ready()
  const prefix = '/v1/groups/:groupId'
  const routes = routesOf(hub.app).filter((route) => route.includes(prefix) && !route.startsWith('HEAD '))
    .map((route) => route.replace(prefix, ''))
  t.strictSame(routes.filter((route) => !(route in TABLE)), [], 'every route of a group is in the table')
  t.strictSame(Object.keys(TABLE).filter((route) => !routes.includes(route)), [])
  const wrong: string[] = []
  for (const [route, { may, body, query = '' }] of Object.entries(TABLE)) {
    const [method, rest] = route.split(' ') as [string, string]
    let scene = await stage(rest)
    for (const who of ['stranger', 'viewer', 'editor', 'owner'] as const) {
      const { status } = await scene[who].person.request(
        method,
        scene.path + rest.replace(/:\w+/g, (name) => scene.ids[name]!) + query,
        body
      )
      const fits = who === 'stranger'
        ? status === 404
        : ALLOWED[may].includes(who)
        ? status < 300
        : status === 403
      if (!fits) wrong.push(`${who}: ${route}: ${status}`)
      // Who may, has changed it.
      if (may === 'write' && status < 300) scene = await stage(rest)
    }
  }
  t.strictSame(wrong, [])
  const { path, editor, viewer } = await staffed()
  const [pushes, batches] = [{
    changes: [{
      space: `group:${path.split('/').at(-1)}`,
      type: 'bookmark',
      id: 'b',
      act: 'put',
      record: page
    }]
  }, '/v1/sync?batch=true']
  t.strictSame(
    await Promise.all(
      [editor.person.post('/v1/sync', pushes), editor.person.post(batches, pushes),
        viewer.person.post('/v1/sync', pushes), viewer.person.post(batches, pushes)].map(async (answer) =>
          (await answer).status
        )
    ),
    [200, 201, 403, 403],
    'and by sync'
  )
  for (const { user, person } of [editor, viewer]) {
    t.equal((await person.delete(`${path}/members/${user}`)).status, 204, 'anyone may leave')
  }
})

t.test('a group is never without an owner', async (t) => {
  const { path, owner, editor } = await staffed()
  const lonely = [await owner.person.delete(`${path}/members/${owner.user}`),
    await owner.person.put(`${path}/members/${owner.user}`, { role: 'editor' })]
  for (const answer of lonely) t.match(answer, { status: 409, body: { errorType: 'LAST_OWNER' } })
  t.match(await owner.person.put(`${path}/members/${editor.user}`, { role: 'owner' }), {
    status: 200,
    body: { id: editor.user, role: 'owner', state: 'active' }
  })
  t.equal(
    (await owner.person.delete(`${path}/members/${owner.user}`)).status,
    204,
    'with another one the first may go'
  )
  t.match((await editor.person.get(path)).body, { role: 'owner', members: 2 })
})

t.test('of two last owners who go at once one stays, by whatever way they go and through two hubs', async (t) => {
  const random = seeded(5)
  for (let round = 0; round < 12; round++) {
    const { id, path, owner, editor } = await staffed()
    await owner.person.put(`${path}/members/${editor.user}`, { role: 'owner' })
    const [one, two] = [owner.person, person(round % 2 === 0 ? hub.app : other, editor.person.token)]
    const goes = (who: Person, own: string, theirs: string) =>
      [() => who.delete(`${path}/members/${own}`), () =>
        who.put(`${path}/members/${own}`, { role: 'viewer' }), () =>
        who.delete(`${path}/members/${theirs}`)][Math.floor(random() * 3)]!
    const answers = await Promise.all([goes(one, owner.user, editor.user)(),
      goes(two, editor.user, owner.user)()])
    for (const { status } of answers) t.ok([200, 204, 409, 403, 404].includes(status), `${status}`)
    const { inside, counted, there, pointers } = await sides(id, [owner.user, editor.user])
    t.ok(inside.some((line) => line.endsWith(' owner')), inside.join())
    t.strictSame([pointers, counted], [inside, there])
  }
})

t.test('an invitation is made, listed, accepted, declined, withdrawn, and made anew', async (t) => {
  const { id, path, owner } = await staffed()
  const [one, two, three] = [await someone(), await someone(), await someone()]
  const invite = (userId: string, role = 'editor') =>
    owner.person.post(`${path}/invitations`, { userId, role })
  t.match(await invite(one.user), {
    status: 201,
    body: { id: one.user, role: 'editor', state: 'invited', invitedBy: owner.user }
  })
  t.equal((await invite(one.user, 'viewer')).status, 201, 'the last word is what counts')
  t.match((await one.person.get('/v1/invitations')).body, {
    items: [{ id, name: 'Team', role: 'viewer', invitedBy: owner.user }]
  })
  t.match((await owner.person.get(`${path}/invitations`)).body.items, [{ id: one.user, role: 'viewer' }])
  t.match((await owner.person.get(path)).body, { members: 3, invitations: 1 })
  t.equal((await membersOf(owner, path)).length, 3)
  for (const url of [path, `${path}/bookmarks`, `${path}/members`]) {
    t.equal((await one.person.get(url)).status, 404, 'who is invited is not in it')
  }
  const accepted = await one.person.post(`/v1/invitations/${id}/accept`, undefined, {
    'idempotency-key': 'yes'
  })
  t.match(accepted, { status: 200, body: { id, role: 'viewer' } })
  t.equal(
    (await one.person.post(`/v1/invitations/${id}/accept`, undefined, { 'idempotency-key': 'yes' })).text,
    accepted.text
  )
  t.match(await one.person.post(`/v1/invitations/${id}/accept`, undefined), {
    status: 200,
    body: { id, role: 'viewer' }
  }, 'who is in it stays in it')
  t.match(await invite(one.user), { status: 409, body: { errorType: 'ALREADY_MEMBER' } })
  t.strictSame((await one.person.get('/v1/invitations')).body.items, [])
  await invite(two.user)
  t.equal((await two.person.post(`/v1/invitations/${id}/decline`, undefined)).status, 204)
  await invite(three.user)
  t.equal((await owner.person.delete(`${path}/invitations/${three.user}`)).status, 204)
  for (const { person } of [two, three]) {
    for (const answer of ['accept', 'decline']) {
      t.match(await person.post(`/v1/invitations/${id}/${answer}`, undefined), { status: 404 })
    }
  }
  for (const userId of [one.user, two.user, 'never-invited']) {
    t.equal((await owner.person.delete(`${path}/invitations/${userId}`)).status, 404)
  }
  t.match(await invite(two.user), { status: 201 }, 'and asked again')
  t.equal((await two.person.post(`/v1/invitations/${id}/accept`, undefined)).status, 200)
  for (
    const bad of [{}, { userId: 'a b' }, { userId: 'x', role: 'admin' }, { userId: `TENANT#globex#USER#x` }, {
      userId: 'x',
      tenantId: 'globex'
    }]
  ) t.equal((await owner.person.post(`${path}/invitations`, bad)).status, 400)
})

t.test('an invitation ends after two weeks, to the second', async (t) => {
  const { id, path, owner } = await staffed()
  const late = await someone()
  const { body: { expiresAt } } = await owner.person.post(`${path}/invitations`, { userId: late.user })
  clock = Date.parse(expiresAt as string) - Date.now() - 2000
  t.equal((await late.person.get('/v1/invitations')).body.items.length, 1)
  clock = Date.parse(expiresAt as string) - Date.now()
  t.strictSame((await late.person.get('/v1/invitations')).body.items, [])
  t.match(await late.person.post(`/v1/invitations/${id}/accept`, undefined), { status: 404 })
  t.equal(
    (await owner.person.post(`${path}/invitations`, { userId: late.user })).status,
    201,
    'and can be made anew'
  )
  t.equal((await late.person.post(`/v1/invitations/${id}/accept`, undefined)).status, 200)
  t.match((await owner.person.get(path)).body, { members: 4, invitations: 0 })
})

t.test('someone who never signed in finds the invitation when they do', async (t) => {
  const { id, path, owner } = await staffed()
  await owner.person.post(`${path}/invitations`, { userId: 'newborn' })
  const newborn = await hub.as({ tenant: 'acme', user: 'newborn' })
  const device = createDevice(newborn)
  await device.pull()
  t.strictSame([...device.held.keys()], [`me invitation ${id}`], 'also by a first sync')
  t.equal((await newborn.post(`/v1/invitations/${id}/accept`, undefined)).status, 200)
})

t.test('nobody of another tenant can be meant', async (t) => {
  const { id, path, owner } = await staffed()
  const twin = await hub.as({ tenant: 'globex', user: 'both' })
  t.equal(
    (await owner.person.post(`${path}/invitations`, { userId: 'both' })).status,
    201,
    'a user of acme who happens to be called so'
  )
  t.strictSame((await twin.get('/v1/invitations')).body.items, [])
  for (const answer of ['accept', 'decline']) {
    t.equal((await twin.post(`/v1/invitations/${id}/${answer}`, undefined)).status, 404)
  }
  t.equal((await twin.get(path)).status, 404)
  t.equal((await truth(store, 'globex', 'both')).size, 0)
})

t.test('answers that meet: accepted twice, accepted and withdrawn, accepted and declined, by two hubs', async (t) => {
  for (let round = 0; round < 12; round++) {
    const { id, path, owner } = await staffed()
    const guest = await someone()
    await owner.person.post(`${path}/invitations`, { userId: guest.user })
    const [here, there] = [guest.person, person(other, guest.person.token)]
    const rivals = [() => there.post(`/v1/invitations/${id}/accept`, undefined), () =>
      owner.person.delete(`${path}/invitations/${guest.user}`), () =>
      there.post(`/v1/invitations/${id}/decline`, undefined)]
    const [accepted, rival] = await Promise.all([here.post(`/v1/invitations/${id}/accept`, undefined),
      rivals[round % 3]!()])
    t.ok(
      round % 3 === 0
        ? accepted.status === 200 && rival.status === 200
        : (accepted.status === 200) !== (rival.status === 204),
      `${accepted.status} ${rival.status}`
    )
    const { pointers, inside, counted, there: rows } = await sides(id, [guest.user])
    t.strictSame([pointers, counted], [inside, rows])
    t.strictSame(inside, accepted.status === 200 ? [`membership ${guest.user} viewer`] : [])
  }
})

t.test('limits of people are named, and expired invitations make room', async (t) => {
  const { hub: small } = await startTracedHub(t, {
    limits: { ...hub.config.limits, groupMembers: 4, groupInvitations: 2, userInvitations: 1 }
  }, { now: () => Date.now() + clock })
  const owner = await small.as({ tenant: 'acme', user: 'owner' })
  const id = await found(owner)
  const invite = (userId: string, group = id) => owner.post(`/v1/groups/${group}/invitations`, { userId })
  for (const user of ['a', 'b']) t.equal((await invite(user)).status, 201)
  t.match(await invite('c'), {
    status: 409,
    body: { errorType: 'LIMIT_REACHED', limit: { name: 'groupInvitations', value: 2, sent: 3 } }
  })
  t.match(await invite('a', await found(owner)), {
    status: 409,
    body: { limit: { name: 'userInvitations', value: 1, sent: 2 } }
  })
  clock = 15 * DAY
  t.equal((await invite('c')).status, 201, 'those that have expired are tidied away')
  t.match((await owner.get(`/v1/groups/${id}`)).body, { invitations: 1 })
  const c = { user: 'c', person: await small.as({ tenant: 'acme', user: 'c' }) }
  t.equal((await c.person.post(`/v1/invitations/${id}/accept`, undefined)).status, 200)
  await join(owner, id, { user: 'd', person: await small.as({ tenant: 'acme', user: 'd' }) })
  await join(owner, id, { user: 'e', person: await small.as({ tenant: 'acme', user: 'e' }) })
  t.match(await invite('f'), { status: 409, body: { limit: { name: 'groupMembers', value: 4, sent: 5 } } })
})

t.test('both sides or neither, wherever a request dies', async (t) => {
  const outcomes = new Set<string>()
  const deeds: Record<string, (group: Awaited<ReturnType<typeof staffed>>, guest: Named) => Promise<Answer>> =
    {
      found: ({ owner }) => owner.person.post('/v1/groups', { name: 'y' }),
      invite: ({ path, owner }, guest) => owner.person.post(`${path}/invitations`, { userId: guest.user }),
      accept: async ({ id, path, owner }, guest) => {
        await owner.person.post(`${path}/invitations`, { userId: guest.user })
        armed = true
        return guest.person.post(`/v1/invitations/${id}/accept`, undefined)
      },
      role: ({ path, owner, editor }) =>
        owner.person.put(`${path}/members/${editor.user}`, { role: 'owner' }),
      leave: ({ path, viewer }) => viewer.person.delete(`${path}/members/${viewer.user}`),
      remove: ({ path, owner, editor }) => owner.person.delete(`${path}/members/${editor.user}`),
      end: ({ path, owner }) => owner.person.delete(path)
    }
  let armed = true
  for (const [name, deed] of Object.entries(deeds)) {
    hub.mayLog(/"message":"the process is gone"/)
    for (const [point, reply] of [[0, 'lost'], [0, 'cut'], [1, 'lost'], [1, 'cut'], [2, 'cut']] as const) {
      const group = await staffed()
      const guest = await someone()
      let transactions = 0
      armed = name !== 'accept'
      traced.fault = async (call, next) => {
        if (!armed || !call.startsWith('TransactWrite') || transactions++ !== point) return next()
        if (reply === 'cut') await next()
        throw Object.assign(new Error('the process is gone'), { name: 'TimeoutError' })
      }
      const { status } = await deed(group, guest)
      traced.fault = undefined
      outcomes.add(`${name} ${status}`)
      const everyone = [group.owner, group.editor, group.viewer, guest].map(({ user }) => user)
      const { pointers, inside, counted, there } = await sides(group.id, everyone)
      t.strictSame(pointers, inside, `${name}, transaction ${point} ${reply}: ${status}`)
      if (counted !== undefined) t.strictSame(counted, there)
      // What was broken off can be done again.
      if (name === 'end') t.ok([204, 404].includes((await group.owner.person.delete(group.path)).status))
    }
  }
  t.ok(
    outcomes.has('end 503') && outcomes.has('accept 503') && outcomes.has('found 201'),
    'some died and some did not'
  )
})

t.test('a group of many ends for all of them, content and invitations included', async (t) => {
  const { id, path, owner, editor } = await staffed()
  const crowd = await Promise.all(Array.from({ length: 45 }, someone))
  for (const guest of crowd.slice(0, 40)) await join(owner.person, id, guest)
  for (const { user } of crowd.slice(40)) await owner.person.post(`${path}/invitations`, { userId: user })
  await owner.person.put(`${path}/members/${editor.user}`, { role: 'owner' })
  const pages = [await owner.person.get(`${path}/members?limit=30`)]
  pages.push(await owner.person.get(`${path}/members?limit=30&cursor=${pages[0]!.body.cursor}`))
  t.equal(pages.flatMap(({ body }) => body.items).length, 43)
  traced.reset()
  t.equal((await owner.person.delete(path)).status, 204)
  t.equal(
    traced.calls.filter(({ name }) => name.startsWith('TransactWrite')).length,
    5,
    'one that closes it, three of about twenty people, and the owner'
  )
  t.strictSame(await sides(id, [owner, editor, ...crowd].map(({ user }) => user)), {
    pointers: [],
    inside: [],
    counted: undefined,
    there: [0, 0]
  })
  for (const { person } of crowd.slice(38, 42)) {
    t.equal((await person.post(`/v1/invitations/${id}/accept`, undefined)).status, 404)
  }
})

t.test('who was taken out is told within a second, on open connections too, and served nothing more', async (t) => {
  const { id, path, owner, editor } = await staffed()
  await owner.person.put(`${path}/bookmarks/shared`, page)
  const [here, there] = [await connect(t, hub, editor.person.token, '/v1/sync/live'),
    await connect(t, { app: other }, editor.person.token, '/v1/sync/live')]
  for (const stream of [here, there]) {
    for (let isThere = false; !isThere;) isThere = JSON.stringify(await stream.next()).includes('"shared"')
  }
  const { body: { cursor } } = await editor.person.get('/v1/sync')
  const waiting = editor.person.get(`/v1/sync?cursor=${cursor}&wait=20`)
  const since = performance.now()
  t.equal((await owner.person.delete(`${path}/members/${editor.user}`)).status, 204)
  const answered = performance.now()
  await owner.person.put(`${path}/bookmarks/secret`, page)
  for (const [stream, name] of [[here, 'the same process'], [there, 'another process']] as const) {
    const seen: unknown[] = []
    for (let left = false; !left;) {
      const event = await stream.next()
      seen.push(event)
      left = JSON.stringify(event).includes('"leave"')
    }
    t.notMatch(JSON.stringify(seen), /secret/)
    t.comment(
      `told by ${name} after ${Math.round(performance.now() - since)} ms, ${
        Math.round(performance.now() - answered)
      } after the answer`
    )
    stream.close()
  }
  const told = (await waiting).body
  t.match(told.changes.at(-1).ops, [{ act: 'leave', id }])
  t.notMatch(JSON.stringify(told), /secret/)
  for (const url of [path, `${path}/bookmarks/shared`, `${path}/bookmarks`, `${path}/trash`]) {
    t.equal((await editor.person.get(url)).status, 404)
  }
  t.notMatch((await editor.person.get(`/v1/sync?cursor=${told.cursor}`)).text, /secret/)
})

t.test('a full space joins and invites all the same: what the hub keeps for people counts towards no quota', async (t) => {
  const { hub: tiny } = await startTracedHub(t, {
    limits: { ...hub.config.limits, spaceRecords: 1, spaceBytes: 400 }
  })
  const [owner, guest] = [await tiny.as({ tenant: 'acme', user: 'owner' }),
    await tiny.as({ tenant: 'acme', user: 'guest' })]
  for (const full of [owner, guest]) t.equal((await full.put('/v1/bookmarks/b', page)).status, 201)
  const id = await found(owner)
  await join(owner, id, { user: 'guest', person: guest })
  t.match((await guest.get('/v1/tenant')).body.usage, { records: 1 })
  t.equal((await guest.post(`/v1/groups/${id}/bookmarks`, page)).status, 201)
  t.match(await guest.post(`/v1/groups/${id}/bookmarks`, page), { status: 507 })
})

t.test('joins and leaves under all faults of the store leave both sides alike', async (t) => {
  const world = await startWorld(t, 11, {
    spread: 30,
    held: 0.2,
    conflict: 0.05,
    throttle: 0.03,
    cut: 0.05,
    lost: 0.05,
    unprocessed: 0.1
  }, [0, 0])
  const users = ['ann', 'ben', 'cid', 'dot']
  const everyone = await Promise.all(users.map((user) => world.people('acme', user)))
  let id = ''
  while (id === '') {
    id = (await everyone[0]![0]!.post('/v1/groups', { name: 'x' }, { 'idempotency-key': 'one' })).body?.id ??
      ''
  }
  const random = seeded(3)
  const lanes = Array.from({ length: 4 }, async () => {
    for (let turn = 0; turn < 25; turn++) {
      const [who, by, at] = [Math.floor(random() * 4), Math.floor(random() * 4), Math.floor(random() * 2)]
      const [one, two] = [everyone[who]![at]!, everyone[by]![at]!]
      const { status, text } = await [() =>
        two.post(`/v1/groups/${id}/invitations`, {
          userId: users[who],
          role: random() < 0.5 ? 'owner' : 'editor'
        }), () => one.post(`/v1/invitations/${id}/accept`, undefined), () =>
        one.post(`/v1/invitations/${id}/accept`, undefined), () =>
        one.post(`/v1/invitations/${id}/decline`, undefined), () =>
        two.delete(`/v1/groups/${id}/invitations/${users[who]}`), () =>
        two.put(`/v1/groups/${id}/members/${users[who]}`, { role: random() < 0.5 ? 'owner' : 'viewer' }),
        () =>
          one.delete(`/v1/groups/${id}/members/${users[who]}`)][Math.floor(random() * 7)]!()
      if (status >= 500 && status !== 503) t.fail(`${status} ${text}`)
    }
  })
  await Promise.all(lanes)
  await world.faults.quiet()
  const { pointers, inside, counted, there } = await sides(id, users, world.store)
  t.strictSame([pointers, counted], [inside, there])
  t.ok(inside.some((line) => /^membership .* owner$/.test(line)), 'and never without an owner')
})

t.test('who is taken out at the moment of joining is out on both sides', async (t) => {
  const { id, path, owner } = await staffed()
  const guest = await someone()
  await owner.person.post(`${path}/invitations`, { userId: guest.user })
  let accept = () => {}
  const accepted = new Promise<void>((resolve) => {
    accept = resolve
  })
  const seen: Record<string, number> = {}
  // The membership is read before it is there, and all else after.
  traced.fault = async (name, next) => {
    const nth = seen[name] = (seen[name] ?? 0) + 1
    if (
      (name === 'GetItemCommand' && (nth === 2 || nth === 3)) || (name === 'BatchGetItemCommand' && nth === 2)
    ) await accepted
    return next()
  }
  const taken = owner.person.delete(`${path}/members/${guest.user}`)
  while ((seen.GetItemCommand ?? 0) < 3 || (seen.BatchGetItemCommand ?? 0) < 2) {
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
  t.equal(
    (await person(other, guest.person.token).post(`/v1/invitations/${id}/accept`, undefined)).status,
    200
  )
  accept()
  t.equal((await taken).status, 204)
  traced.fault = undefined
  t.match(await sides(id, [guest.user]), { pointers: [], inside: [] })
  t.equal((await guest.person.get(path)).status, 404)
})

t.test('limits hold also for many at once, and fifty may answer an invitation together', async (t) => {
  const { hub: few } = await startTracedHub(t, { limits: { ...hub.config.limits, userGroups: 3 } })
  const founder = await few.as({ tenant: 'acme', user: 'founder' })
  const made = await Promise.all(Array.from({ length: 12 }, () => founder.post('/v1/groups', { name: 'x' })))
  t.equal(made.filter(({ status }) => status === 201).length, 3)
  const { id, path, owner } = await staffed()
  const crowd = await Promise.all(Array.from({ length: 50 }, someone))
  t.ok(
    (await Promise.all(crowd.map(({ user }) => owner.person.post(`${path}/invitations`, { userId: user }))))
      .every(({ status }) => status === 201)
  )
  t.ok(
    (await Promise.all(crowd.map(({ person }) => person.post(`/v1/invitations/${id}/accept`, undefined))))
      .every(({ status }) => status === 200)
  )
  t.match((await owner.person.get(path)).body, { members: 53, invitations: 0 })
})

t.test('invitations that have expired keep nobody from being invited', async (t) => {
  const { hub: one } = await startTracedHub(t, {
    limits: { ...hub.config.limits, userInvitations: 1, groupMembers: 2 }
  }, { now: () => Date.now() + clock })
  const [first, second] = [await one.as({ tenant: 'acme', user: 'first' }),
    await one.as({ tenant: 'acme', user: 'second' })]
  const [a, b] = [await found(first), await found(second)]
  t.equal((await first.post(`/v1/groups/${a}/invitations`, { userId: 'wanted' })).status, 201)
  t.match(await second.post(`/v1/groups/${b}/invitations`, { userId: 'wanted' }), {
    status: 409,
    body: { limit: { name: 'userInvitations' } }
  })
  t.match(await first.post(`/v1/groups/${a}/invitations`, { userId: 'another' }), {
    status: 409,
    body: { limit: { name: 'groupMembers' } }
  })
  clock = 15 * DAY
  t.equal((await second.post(`/v1/groups/${b}/invitations`, { userId: 'wanted' })).status, 201)
  t.equal((await first.post(`/v1/groups/${a}/invitations`, { userId: 'another' })).status, 201)
})

t.test('a key that was used for something else is told so at once', async (t) => {
  const { person: anna } = await someone()
  const key = { 'idempotency-key': 'one' }
  t.equal((await anna.post('/v1/groups', { name: 'x' }, key)).status, 201)
  t.match(await person(other, anna.token).post('/v1/groups', { name: 'y' }, key), {
    status: 422,
    body: { errorType: 'IDEMPOTENCY_MISMATCH' }
  })
})
