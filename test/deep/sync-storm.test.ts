import t from 'tap'
import { figure, sized } from '../harness/figures.ts'
import { storm } from '../harness/storm.ts'
import { startWorld } from '../harness/world.ts'

t.setTimeout(3_600_000 * 5)

const OPERATIONS = Number(process.env.SYNC_OPERATIONS ?? sized(100, 100_000, 300))
const SEED = Number(process.env.SYNC_SEED ?? Date.now() % 1e9)

t.test('16 writers and 8 pollers of one space, through two hubs with faults: nothing is lost, missed or doubled', async (t) => {
  const world = await startWorld(t, SEED, {
    spread: 40,
    held: 0.3,
    conflict: 0.02,
    throttle: 0.02,
    cut: 0.02,
    lost: 0.02,
    unprocessed: 0.1
  }, [600_000, -600_000])
  // Pollers without a pause take four fifths of the processor: ten pulls for each three writes. A long storm
  // is about the writers as well.
  await storm(t, {
    people: await world.people('storm', 'alice'),
    tenant: 'storm',
    user: 'alice',
    store: world.store,
    writers: 16,
    pollers: 8,
    operations: OPERATIONS,
    rest: OPERATIONS > 2000 ? 200 : 1
  })
  figure(t, 'faults', JSON.stringify(world.faults.counts))
})
