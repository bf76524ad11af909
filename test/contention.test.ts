import t from 'tap'
import { startTracedHub } from './harness/client.ts'
import type { Answer, Person } from './harness/hub.ts'

const { hub, traced } = await startTracedHub(t)
const page = { url: 'https://example.com', title: 'x', tags: [] }
/** Sends requests all at once. @returns their answers, and how many calls each took on average */
async function atOnce (count: number, send: (index: number) => Promise<Answer>) {
  traced.reset()
  const answers = await Promise.all(Array.from({ length: count }, (_, index) => send(index)))
  return { answers, calls: traced.calls.length / count }
}

interface Contended {
  readonly count: number
  /** Calls to the store that each may take on average. */
  readonly most: number
  readonly send: (index: number) => Promise<Answer>
}
const contended: Record<string, (user: Person) => Promise<Contended>> = {
  'PATCH of one bookmark': async (user) => {
    await user.put('/v1/bookmarks/one', page)
    return {
      count: 200,
      most: 3,
      send: (index) => user.patch('/v1/bookmarks/one', { title: `title ${index}` })
    }
  },
  'PATCH of one setting': async (user) => {
    await user.put('/v1/settings/one', { value: {} })
    return {
      count: 60,
      most: 3,
      send: (index) => user.patch('/v1/settings/one', { value: { [`k${index}`]: index } })
    }
  },
  'moves in one folder': async (user) => {
    for (const id of ['one', 'two']) await user.put(`/v1/bookmarks/${id}`, page)
    return {
      count: 60,
      most: 7,
      send: (index) => user.post(`/v1/bookmarks/${index % 2 === 0 ? 'one' : 'two'}/move`, {})
    }
  },
  "changes of one member's role": async (user) => {
    const { body: { id } } = await user.post('/v1/groups', { name: 'g' })
    const other = await hub.as({ tenant: 'acme', user: 'member' })
    await user.post(`/v1/groups/${id}/invitations`, { userId: 'member', role: 'editor' })
    t.equal((await other.post(`/v1/invitations/${id}/accept`, undefined)).status, 200)
    return {
      count: 30,
      most: 12,
      send: (index) =>
        user.put(`/v1/groups/${id}/members/member`, { role: index % 2 === 0 ? 'viewer' : 'editor' })
    }
  }
}

for (const [index, [name, prepare]] of Object.entries(contended).entries()) {
  t.test(`${name}: all who come at once are served, for a few calls each`, async (t) => {
    const user = await hub.as({ tenant: 'acme', user: `user-${index}` })
    const { count, most, send } = await prepare(user)
    const { answers, calls } = await atOnce(count, send)
    t.strictSame([...new Set(answers.map(({ status }) => status))], [200])
    t.ok(calls <= most, `${calls} calls each`)
  })
}

t.test('each edit is made on the result of the one before: nothing of any is lost', async (t) => {
  const user = await hub.as({ tenant: 'acme', user: 'sum' })
  await user.put('/v1/settings/sum', { value: {} })
  await atOnce(40, (index) => user.patch('/v1/settings/sum', { value: { [`k${index}`]: index } }))
  t.equal(Object.keys((await user.get('/v1/settings/sum')).body.value as object).length, 40)
})

t.test('of those who name a revision one is served, and the others are told of it', async (t) => {
  const user = await hub.as({ tenant: 'acme', user: 'match' })
  const { headers: { etag } } = await user.put('/v1/bookmarks/one', page)
  const { answers } = await atOnce(
    20,
    (index) => user.patch('/v1/bookmarks/one', { title: `t${index}` }, { 'if-match': etag as string })
  )
  t.equal(answers.filter(({ status }) => status === 200).length, 1)
  t.equal(answers.filter(({ status }) => status === 412).length, 19)
})

t.test('of those who delete one record at once one does, and the others find nothing', async (t) => {
  const user = await hub.as({ tenant: 'acme', user: 'deletes' })
  await user.put('/v1/bookmarks/one', page)
  const { answers, calls } = await atOnce(60, () => user.delete('/v1/bookmarks/one'))
  t.equal(answers.filter(({ status }) => status === 204).length, 1)
  t.equal(answers.filter(({ status }) => status === 404).length, 59)
  t.ok(calls <= 3, `${calls} calls each`)
})
