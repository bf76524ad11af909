import t from 'tap'
import { startTracedHub } from './harness/client.ts'
import { found, join, type Named } from './harness/groups.ts'
import { person, startApp } from './harness/hub.ts'
import { loadConfig } from '../src/config.ts'

const { hub, traced } = await startTracedHub(t)
const { limits } = hub.config
const other = await startApp(t, hub.config, { open: traced.open })
t.beforeEach(() => {
  traced.fault = undefined
})

let people = 0
async function someone (of = hub): Promise<Named> {
  const user = `u${++people}`
  return { user, person: await of.as({ tenant: 'acme', user }) }
}
const asks = async ({ person }: Named, { user }: Named, group?: string) =>
  person.post(`/v1/groups/${group ?? await found(person)}/invitations`, { userId: user })
const pending = async ({ person }: Named) => (await person.get('/v1/invitations?limit=100')).body.items

t.test('one person fills nobody with invitations, and a friend gets in all the same', async (t) => {
  const [pest, friend, target] = [await someone(), await someone(), await someone()]
  for (let n = 0; n < limits.invitationsFromOne; n++) t.equal((await asks(pest, target)).status, 201)
  t.match(await asks(pest, target), {
    status: 409,
    body: {
      errorType: 'LIMIT_REACHED',
      limit: {
        name: 'invitationsFromOne',
        value: limits.invitationsFromOne,
        sent: limits.invitationsFromOne + 1
      }
    }
  })
  t.equal((await asks(friend, target)).status, 201)
  t.equal((await asks(pest, await someone())).status, 201, 'another is not concerned')
  const [one] = await pending(target)
  t.equal(
    (await asks(pest, target, one.invitedBy === pest.user ? one.id : undefined)).status,
    201,
    'nor who is asked anew'
  )
  t.match((await hub.anyone.get('/v1/limits')).body, {
    invitationsFromOne: limits.invitationsFromOne,
    userBlocks: limits.userBlocks,
    peopleChangesPerUser: limits.peopleChangesPerUser
  })
})

t.test('who blocks someone has none of their invitations, and gets none until that is taken back', async (t) => {
  const [pest, friend, target] = [await someone(), await someone(), await someone()]
  const group = await found(pest.person)
  await asks(pest, target, group)
  await asks(pest, target)
  await asks(friend, target)
  const { person } = target
  t.match(await person.put(`/v1/blocks/${pest.user}`, undefined), { status: 201, body: { id: pest.user } })
  t.strictSame((await pending(target)).map(({ invitedBy }: { invitedBy: string }) => invitedBy), [
    friend.user
  ])
  t.match((await pest.person.get(`/v1/groups/${group}`)).body, { invitations: 0 }, 'on both sides')
  t.equal((await person.put(`/v1/blocks/${pest.user}`, undefined)).status, 200)
  t.match((await person.get('/v1/blocks')).body, { items: [{ id: pest.user }] })
  t.match(await asks(pest, target, group), { status: 403, body: { errorType: 'BLOCKED' } })
  t.equal((await asks(friend, target)).status, 201)
  t.strictSame((await pest.person.get('/v1/blocks')).body.items, [], "another's list is another's")

  t.equal((await person.delete(`/v1/blocks/${pest.user}`)).status, 204)
  t.equal((await person.delete(`/v1/blocks/${pest.user}`)).status, 404)
  t.strictSame((await person.get('/v1/blocks')).body.items, [])
  t.equal((await asks(pest, target, group)).status, 201)
})

t.test('who is in a group with someone stays so when they are blocked', async (t) => {
  const [owner, member] = [await someone(), await someone()]
  const group = await found(owner.person)
  await join(owner.person, group, member)
  t.equal((await member.person.put(`/v1/blocks/${owner.user}`, undefined)).status, 201)
  t.equal((await member.person.get(`/v1/groups/${group}`)).status, 200)
})

t.test('an invitation that is under way when its maker is blocked is refused, also by another process', async (t) => {
  const [pest, target] = [await someone(), await someone()]
  const group = await found(pest.person)
  traced.fault = async (name, next) => {
    if (name.startsWith('TransactWrite')) {
      traced.fault = undefined
      t.equal(
        (await person(other, target.person.token).put(`/v1/blocks/${pest.user}`, undefined)).status,
        201
      )
    }
    return next()
  }
  t.match(await asks(pest, target, group), { status: 403, body: { errorType: 'BLOCKED' } })
  t.strictSame(await pending(target), [])
})

t.test('blocks are bounded, keep their key, and are told to the other devices', async (t) => {
  const { hub: few } = await startTracedHub(t, { limits: { ...limits, userBlocks: 2 } })
  const { person } = await someone(few)
  const { cursor } = (await person.get('/v1/sync')).body
  const key = { 'idempotency-key': 'one' }
  t.equal((await person.put('/v1/blocks/a', undefined, key)).status, 201)
  t.equal((await person.put('/v1/blocks/a', undefined, key)).status, 201)
  t.equal((await person.put('/v1/blocks/b', undefined)).status, 201)
  t.match(await person.put('/v1/blocks/c', undefined), {
    status: 409,
    body: { limit: { name: 'userBlocks', value: 2, sent: 3 } }
  })
  t.match((await person.get(`/v1/sync?cursor=${cursor}`)).body.changes.map(({ ops }: any) => ops).flat(), [{
    type: 'block',
    id: 'a',
    act: 'put'
  }, { type: 'block', id: 'b', act: 'put' }])
})

t.test("changes to other people's spaces have a rate of their own, for each user", async (t) => {
  t.equal(loadConfig({}).limits.peopleChangesPerUser, 0, 'none on a desk')
  const { hub: few } = await startTracedHub(t, { limits: { ...limits, peopleChangesPerUser: 6 } })
  const [pest, friend, target] = [await someone(few), await someone(few), await someone(few)]
  const group = await found(pest.person)
  const path = `/v1/groups/${group}`
  await join(pest.person, group, friend, 'owner')
  const ways = [() => asks(pest, target, group),
    () => pest.person.delete(`${path}/invitations/${target.user}`),
    () => pest.person.put(`${path}/members/${friend.user}`, { role: 'editor' }),
    () => pest.person.put(`${path}/members/${friend.user}`, { role: 'owner' }),
    () => pest.person.delete(`${path}/members/nobody`)]
  for (const way of ways) t.ok((await way()).status < 429)
  for (const way of ways) {
    t.match(await way(), {
      status: 429,
      headers: { 'retry-after': /^\d+$/ },
      body: { errorType: 'RATE_LIMITED', limit: { name: 'peopleChangesPerUser', value: 6 } }
    })
  }
  t.equal((await asks(friend, target, group)).status, 201, "a friend's invitation goes through")
  t.equal((await target.person.post(`/v1/invitations/${group}/accept`, undefined)).status, 200)
})
