import type { Outcome, Write } from './change.ts'

/** DynamoDB takes 100 actions and 4 MB a transaction; a margin covers keys and encoding. */
export const MAX_ACTIONS = 100
const MAX_BYTES = 3_000_000

/** A write that waits for its turn. */
export interface Pending {
  readonly write: Write
  /** What it touches: records, and its Idempotency-Key. */
  readonly keys: readonly string[]
  /** About how many bytes it adds to a transaction. */
  readonly size: number
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (reason: unknown) => void
  tries: number
  /** Milliseconds that it goes on waiting for the commit of a staged batch. */
  patience: number
  /** What was remembered did not allow this write: only a fresh read may refuse it. */
  verify: boolean
}

/** HEAD moves, and each write appends an entry and puts its rows. */
export const actionsOf = (batch: readonly Pending[]) =>
  batch.reduce((sum, { keys }) => sum + keys.length + 1, 1)

/** Takes from the queue, in order, what fits one transaction and touches no record or key twice. */
export function takeBatch (state: { queue: Pending[] }): Pending[] {
  const batch: Pending[] = []
  const rest: Pending[] = []
  const touched = new Set<string>()
  let bytes = 0
  for (const [index, pending] of state.queue.entries()) {
    bytes += pending.size
    if (index > 0 && (actionsOf([...batch, pending]) > MAX_ACTIONS || bytes > MAX_BYTES)) {
      rest.push(...state.queue.slice(index))
      break
    }
    // A write that has to wait keeps its place: later ones to the same record may not overtake it.
    const waits = pending.keys.some((key) => touched.has(key))
    ;(waits ? rest : batch).push(pending)
    for (const key of pending.keys) touched.add(key)
  }
  state.queue = rest
  return batch
}
