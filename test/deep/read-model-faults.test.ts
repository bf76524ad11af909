import fc from 'fast-check'
import t from 'tap'
import { figure } from '../harness/figures.ts'
import { patiently, startWorld, truth } from '../harness/world.ts'

const SEED = Number(process.env.SYNC_SEED ?? Date.now() % 1e9)
const TRIALS = 40
/** Milliseconds within which what is committed becomes visible. */
const SPREAD = 150
const world = await startWorld(t, SEED, {
  spread: SPREAD,
  held: 0.2,
  conflict: 0.03,
  throttle: 0.02,
  cut: 0.03,
  lost: 0.02,
  unprocessed: 0.1
}, [600_000, -600_000])

const id = fc.nat(3).map((index) => `b${index}`)
/** Someone writes, or looks (nothing is done); or what is put is deleted at once. */
interface Step {
  readonly acts: readonly string[]
  readonly ids: readonly string[]
}
const step = fc.oneof<fc.WeightedArbitrary<Step>[]>(
  {
    weight: 3,
    arbitrary: fc.record({
      acts: fc.constantFrom(['put'], ['put'], ['delete']),
      ids: fc.uniqueArray(id, { minLength: 1, maxLength: 3 })
    })
  },
  { weight: 3, arbitrary: fc.record({ acts: fc.constant(['put', 'delete']), ids: fc.tuple(id) }) },
  { weight: 5, arbitrary: fc.constant({ acts: [], ids: [] }) }
)
const trial = fc.array(fc.record({ step, hub: fc.nat(1), waits: fc.nat(30) }), {
  minLength: 4,
  maxLength: 12
})

t.test("what a process knows of a space's bookmarks is right after quiet, however late its changes could be seen", async (t) => {
  const trials = fc.sample(trial, { numRuns: TRIALS, seed: SEED })
  let looks = 0
  const wrong: string[] = []
  await Promise.all(trials.map(async (steps, number) => {
    const [tenant, user] = [`trial-${number}`, 'ann']
    const people = await world.people(tenant, user)
    const running: Promise<unknown>[] = []
    for (const [index, { step: { acts, ids }, hub, waits }] of steps.entries()) {
      const person = people[hub]!
      const written = acts.reduce<Promise<unknown>>((before, act) =>
        before.then(() => {
          const changes = ids.map((id) => ({
            type: 'bookmark',
            id,
            act,
            ...act === 'put' && { record: { url: `https://example.com/${index}`, title: `title ${index}` } }
          }))
          return patiently(() =>
            person.post('/v1/sync', { changes }, { 'idempotency-key': `${act}-${index}` })
          )
        }), Promise.resolve())
      if (acts.length === 0) looks++
      running.push(acts.length === 0 ? person.get('/v1/bookmarks?q=example') : written)
      await new Promise((resolve) => {
        setTimeout(resolve, waits)
      })
    }
    await Promise.all(running)
    await new Promise((resolve) => {
      setTimeout(resolve, SPREAD + 10)
    })
    const expected = [...(await truth(world.store, tenant, user)).values()].map((record) =>
      record as { id: string, title: string, rev: number }
    )
    const said = (items: readonly { id: string, title: string, rev: number }[]) =>
      items.map(({ id, title, rev }) => `${id} ${title} ${rev}`).sort().join()
    for (const [hub, person] of people.entries()) {
      const { body } = await patiently(() => person.get('/v1/bookmarks?q=example&limit=100'))
      if (said(body.items) !== said(expected)) {
        wrong.push(
          `trial ${number} of SYNC_SEED=${SEED}, hub ${hub}: ${said(body.items)} and should be ${
            said(expected)
          }`
        )
      }
    }
  }))
  t.strictSame(wrong, [])
  t.ok(looks > TRIALS && world.faults.counts.stale > 0)
  figure(t, 'trials of a read model with late and broken reads', TRIALS)
  figure(t, 'looks meanwhile', looks)
})
