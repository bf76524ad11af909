import t, { type Test } from 'tap'
import { loadConfig } from '../src/config.ts'
import { startTracedHub } from './harness/client.ts'
import { found, join } from './harness/groups.ts'
import { connect } from './harness/stream.ts'

/** Many who follow one group: what a write costs for all of them together. */
const limits = { ...loadConfig({}).limits, requestsRunning: 100, requestsRunningPerTenant: 50 }
const { hub, traced } = await startTracedHub(t, { limits })
const page = { url: 'https://example.com', title: 'x' }

/** A group of an owner and so many others, each with a stream that has told all there is. */
async function follow (t: Test, tenant: string, count: number) {
  const owner = await hub.as({ tenant, user: 'owner' })
  const groupId = await found(owner)
  const streams = await Promise.all(Array.from({ length: count }, async (_, index) => {
    const user = `m${index}`
    const person = await hub.as({ tenant, user })
    await join(owner, groupId, { user, person })
    const { body: { cursor } } = await person.get('/v1/sync')
    const stream = await connect(t, hub, person.token, `/v1/sync/live?cursor=${cursor}`)
    const nextOf = async (id: string) => {
      for (;;) {
        const event = await stream.next()
        if (event === undefined || event.event === 'problem') return event?.data
        const ids = (event.data?.changes ?? []).flatMap(({ ops }: { ops: { id: string }[] }) =>
          ops.map(({ id }) => id)
        )
        if (ids.includes(id)) return event.data
      }
    }
    return { user, person, nextOf }
  }))
  const write = (id: string) => owner.put(`/v1/groups/${groupId}/bookmarks/${id}`, page)
  // The first write finds the streams at different places; from then on all stand at the same.
  await write('warm')
  await Promise.all(streams.map(({ nextOf }) => nextOf('warm')))
  return { owner, groupId, streams, write }
}

/** Calls of one write until all have been told of it, by name; the looks of once a second are left out. */
async function callsOf (
  group: Awaited<ReturnType<typeof follow>>,
  id: string
): Promise<Record<string, number>> {
  traced.reset()
  await group.write(id)
  for (const told of await Promise.all(group.streams.map(({ nextOf }) => nextOf(id)))) {
    if (told?.changes === undefined) throw new Error(JSON.stringify(told))
  }
  const counts: Record<string, number> = {}
  for (const { name, table } of traced.calls) {
    const isLook = name === 'BatchGetItemCommand' && table > 0 && !Number.isInteger(table)
    if (!isLook) counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

t.test('the reads of a write do not grow with the streams that tell of it', async (t) => {
  const [few, many] = [await follow(t, 'few', 2), await follow(t, 'many', 20)]
  const [small, large] = [await callsOf(few, 'b'), await callsOf(many, 'b')]
  t.equal(large.QueryCommand, 1, 'the log is read once for twenty')
  t.strictSame(large.QueryCommand, small.QueryCommand)
  t.ok(large.GetItemCommand! <= small.GetItemCommand! + 2, JSON.stringify([small, large]))
  t.ok(large.BatchGetItemCommand! <= small.BatchGetItemCommand! + 4, JSON.stringify([small, large]))
})

t.test('who was put out of the group is told nothing more, though the others are', async (t) => {
  const { owner, groupId, streams, write } = await follow(t, 'wall', 4)
  const [out, ...others] = streams
  t.equal((await owner.delete(`/v1/groups/${groupId}/members/${out!.user}`)).status, 204)
  await write('secret')
  for (const { nextOf } of others) t.match((await nextOf('secret')).changes, [{}])
  await out!.person.put('/v1/bookmarks/own', page)
  const told = await out!.nextOf('own')
  t.notMatch(JSON.stringify(told), /secret/)
})

t.test('a follower who comes back with an old cursor, and one who asks anew, see all that is committed', async (t) => {
  const { owner, groupId, streams, write } = await follow(t, 'fresh', 2)
  const { body: { cursor } } = await owner.get('/v1/sync')
  for (let index = 0; index < 5; index++) {
    await write(`n${index}`)
    const { body } = await owner.get(`/v1/sync?cursor=${cursor}`)
    t.equal(body.changes.length, index + 1, 'at once, whatever others were told')
  }
  for (const { nextOf } of streams) t.ok(await nextOf('n4'))
  t.ok(groupId)
})
