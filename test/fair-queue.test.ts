import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { createFairQueue, QueueFull } from '../src/fair-queue.ts'

/** Work that ends when it is told to. */
function held (log: string[], name: string) {
  let end!: () => void
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const work = async () => {
    log.push(name)
    await ended
    return name
  }
  return {
    work,
    end: () => {
      end()
    }
  }
}

t.test('turns go round the keys, whoever came first with much', async (t) => {
  const queue = createFairQueue({ slots: 1, maxWaiting: 100 })
  const log: string[] = []
  const names = ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']
  const works = names.map((name) => held(log, name))
  const done = works.map(({ work }, index) => queue.run(names[index]![0]!, work))
  await turn()
  t.equal(queue.waiting, 5)
  for (let index = 0; index < names.length; index++) {
    works[names.indexOf(log.at(-1)!)]!.end()
    await turn()
  }
  t.strictSame(await Promise.all(done), names)
  t.strictSame(log, ['a1', 'a2', 'b1', 'c1', 'a3', 'c2'])
  t.strictSame([queue.running, queue.waiting], [0, 0])
})

t.test('what is too much is refused at once, and what is given up never begins', async (t) => {
  const queue = createFairQueue({ slots: 2, slotsPerKey: 1, maxWaiting: 3, maxWaitingPerKey: 2 })
  const log: string[] = []
  const first = held(log, 'first')
  const running = queue.run('a', first.work)
  const controller = new AbortController()
  const givenUp = queue.run('a', held(log, 'given up').work, controller.signal)
  const second = held(log, 'second')
  const waiting = queue.run('a', second.work)
  await t.rejects(queue.run('a', async () => {}), QueueFull, 'a key waits at most so often')
  t.equal(await queue.run('b', async () => 'at once'), 'at once', 'another key has a slot')
  controller.abort(new Error('gone'))
  await t.rejects(givenUp, { message: 'gone' })
  await t.rejects(queue.run('b', async () => {}, controller.signal), { message: 'gone' })
  first.end()
  second.end()
  t.strictSame(await Promise.all([running, waiting]), ['first', 'second'])
  t.strictSame(log, ['first', 'second'])
  t.strictSame([queue.running, queue.waiting], [0, 0])
})

t.test('no more run than there are slots, all run once, and a failure frees its slot', async (t) => {
  const piece = fc.record({ key: fc.constantFrom('a', 'b', 'c'), turns: fc.nat(3), fails: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 30 }),
      fc.integer({ min: 1, max: 4 }),
      async (pieces, slots) => {
        const queue = createFairQueue({ slots, maxWaiting: 30 })
        const results = await Promise.allSettled(
          pieces.map(({ key, turns, fails }, index) =>
            queue.run(key, async () => {
              t.ok(queue.running <= slots)
              for (let i = 0; i < turns; i++) await turn()
              if (fails) throw new Error('failed')
              return index
            })
          )
        )
        t.strictSame(results.map(({ status }) => status === 'rejected'), pieces.map(({ fails }) => fails))
        t.strictSame([queue.running, queue.waiting], [0, 0])
      }
    ),
    { numRuns: 50 }
  )
})

t.test('what was let in before waits again and is never refused, and what a key has under way is known', async (t) => {
  const queue = createFairQueue({ slots: 1, maxWaiting: 1 })
  const log: string[] = []
  const [first, again] = [held(log, 'first'), held(log, 'again')]
  const running = queue.run('a', first.work)
  const waiting = queue.run('a', async () => 'waited')
  await t.rejects(queue.run('a', async () => {}), QueueFull)
  const resumed = queue.resume('a', again.work)
  t.strictSame([queue.pendingOf('a'), queue.pendingOf('b')], [3, 0])
  first.end()
  again.end()
  t.strictSame(await Promise.all([running, waiting, resumed]), ['first', 'waited', 'again'])
  t.equal(queue.pendingOf('a'), 0)
})
