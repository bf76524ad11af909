import type { Clock } from './clock.ts'
import type { LeaseCell } from './store.ts'

/** A lease of someone who died is up after this time. */
const LEASE_MS = 2_000
/** By then everyone who saw the cell free has written to it: the last one has it. */
const SETTLE_MS = 20

/** Does something while nobody else does, by a name in the store: for where there are no locks. */
export async function withLease<T> (
  cell: LeaseCell,
  { sleep, now }: Clock,
  work: () => Promise<T>
): Promise<T> {
  const id = crypto.randomUUID()
  const holder = () => JSON.parse(cell.get() ?? '{"until":0}') as { id?: string, until: number }
  for (;;) {
    if (holder().until <= now()) {
      cell.set(JSON.stringify({ id, until: now() + LEASE_MS }))
      await sleep(SETTLE_MS)
      if (holder().id === id) break
    }
    await sleep(SETTLE_MS)
  }
  try {
    return await work()
  } finally {
    if (holder().id === id) cell.set(null)
  }
}
