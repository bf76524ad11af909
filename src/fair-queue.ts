/** Work that waits for its turn, fairly between those that ask for it. */
export interface FairQueue {
  /** Pieces of work that run. */
  readonly running: number
  /** Pieces of work that wait for a turn. */
  readonly waiting: number
  /**
   * Runs `work` when its turn comes.
   * @param key who asks: a tenant. Turns go round the keys, so that one with much to do does not hold up the others
   * @param signal where it aborts while the work still waits, the work is never begun
   * @returns what `work` returns @throws QueueFull, the reason of `signal`, and what `work` throws
   */
  run<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T>
  /** As `run`, for work that was let in before and has paused: it waits its turn, and is never refused. */
  resume<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T>
  /** Pieces of work of one key that run or wait. */
  pendingOf(key: string): number
}

export interface FairQueueLimits {
  /** Pieces of work that run beside each other. */
  readonly slots: number
  /** Pieces of work of one key that run beside each other; `slots` where it is left out. */
  readonly slotsPerKey?: number
  /** Pieces of work that wait, of all keys together. */
  readonly maxWaiting: number
  /** Pieces of work that wait of one key; `maxWaiting` where it is left out. */
  readonly maxWaitingPerKey?: number
}

/** Thrown where so much waits already that more would only wait in vain. Nothing was begun. */
export class QueueFull extends Error {
  override readonly name = 'QueueFull'
}

interface Waiting {
  begin(): void
}

/** @see FairQueue */
export function createFairQueue (
  { slots, slotsPerKey = slots, maxWaiting, maxWaitingPerKey = maxWaiting }: FairQueueLimits
): FairQueue {
  /** What waits, by key. The keys stand in the order of their turns. */
  const lines = new Map<string, Set<Waiting>>()
  const runningOf = new Map<string, number>()
  let running = 0
  let waiting = 0

  const hasSlot = (key: string) => running < slots && (runningOf.get(key) ?? 0) < slotsPerKey

  function count (key: string, by: 1 | -1): void {
    running += by
    const ofKey = (runningOf.get(key) ?? 0) + by
    if (ofKey === 0) runningOf.delete(key)
    else runningOf.set(key, ofKey)
  }

  function leave (key: string, one: Waiting): void {
    const line = lines.get(key)
    if (line?.delete(one) !== true) return
    waiting -= 1
    if (line.size === 0) lines.delete(key)
  }

  /** Begins what can begin: the first of the key whose turn it is, which then goes to the end of the round. */
  function next (): void {
    for (const [key, line] of lines) {
      if (running >= slots) return
      if (!hasSlot(key)) continue
      const [first] = line
      lines.delete(key)
      lines.set(key, line)
      leave(key, first!)
      count(key, 1)
      first!.begin()
    }
  }

  /** @param anyway also where too much waits already */
  function wait (key: string, signal: AbortSignal | undefined, anyway: boolean): Promise<void> {
    if (hasSlot(key) && !lines.has(key)) {
      count(key, 1)
      return Promise.resolve()
    }
    const isFull = waiting >= maxWaiting || (lines.get(key)?.size ?? 0) >= maxWaitingPerKey
    if (isFull && !anyway) throw new QueueFull()
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        leave(key, one)
        reject(signal!.reason as Error)
      }
      const one: Waiting = {
        begin () {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        }
      }
      const line = lines.get(key) ?? new Set()
      lines.set(key, line.add(one))
      waiting += 1
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  async function run<T> (
    key: string,
    work: () => Promise<T>,
    signal: AbortSignal | undefined,
    anyway: boolean
  ): Promise<T> {
    signal?.throwIfAborted()
    await wait(key, signal, anyway)
    try {
      return await work()
    } finally {
      count(key, -1)
      next()
    }
  }

  return {
    get running () {
      return running
    },
    get waiting () {
      return waiting
    },
    run: (key, work, signal) => run(key, work, signal, false),
    resume: (key, work, signal) => run(key, work, signal, true),
    pendingOf: (key) => (runningOf.get(key) ?? 0) + (lines.get(key)?.size ?? 0)
  }
}
