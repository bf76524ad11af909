import { Problem } from '../errors.ts'
import { createFairQueue, QueueFull, type FairQueue, type FairQueueLimits } from '../fair-queue.ts'

/**
 * What takes much memory or time waits for its turn: so many at once of each kind in a process, fewer of one
 * tenant, so that one who asks for much holds up nobody but themselves. Nothing that runs waits for a turn of
 * its own kind, or of one above it in this list.
 */
const LANES = {
  /** Lives as long as its reader takes: what it holds in memory is bounded in bytes besides. */
  export: { slots: 40, slotsPerKey: 10, maxWaiting: 40, maxWaitingPerKey: 10 },
  /** An import of a large file takes ten times its size and more while it is planned. */
  largeImport: { slots: 2, slotsPerKey: 1, maxWaiting: 16, maxWaitingPerKey: 6 },
  smallImport: { slots: 8, slotsPerKey: 2, maxWaiting: 80, maxWaitingPerKey: 20 },
  /** Changes of all of a space, such as the renaming of a tag. */
  rewrite: { slots: 4, slotsPerKey: 1, maxWaiting: 80, maxWaitingPerKey: 20 },
  /** Reading all of a space into memory, and making its search index. */
  fill: { slots: 2, slotsPerKey: 1, maxWaiting: 200, maxWaitingPerKey: 50 }
} as const satisfies Record<string, FairQueueLimits>
export type Lane = keyof typeof LANES

/** Bytes of a file from which on its import is a large one. */
export const LARGE_IMPORT = 1_048_576
/** Who has waited so long is told to come again. */
const WAIT_MS = 60_000
/** Seconds after which to come again. */
const RETRY_AFTER = 5

/** The turns of heavy work in a process, by tenant. */
export interface HeavyWork {
  /** Runs `work` when its turn comes. @throws Problem OVERLOADED where too much waits, or it waited too long */
  run<T>(lane: Lane, tenantId: string, work: () => Promise<T>): Promise<T>
  /** As `run`, for what ends elsewhere. @returns what gives the place back, once or more often */
  enter(lane: Lane, tenantId: string): Promise<() => void>
  /**
   * Takes room for an upload before it is read.
   * @returns what gives the room back, once or more often
   * @throws Problem OVERLOADED where all of it, or the tenant's half, is taken
   */
  admit(tenantId: string, bytes: number): () => void
}

/** @param uploadBytes of uploads that are in memory at once, in a process; one alone may be larger */
export function createHeavyWork (uploadBytes: number): HeavyWork {
  const queues = Object.fromEntries(
    Object.entries(LANES).map(([lane, limits]) => [lane, createFairQueue(limits)])
  ) as Record<Lane, FairQueue>
  const uploads = new Map<string, number>()
  let uploading = 0

  async function run<T> (lane: Lane, tenantId: string, work: () => Promise<T>): Promise<T> {
    const patience = new AbortController()
    const timer = setTimeout(() => {
      patience.abort(new QueueFull())
    }, WAIT_MS).unref()
    let hasBegun = false
    try {
      return await queues[lane].run(tenantId, () => {
        hasBegun = true
        clearTimeout(timer)
        return work()
      }, patience.signal)
    } catch (error) {
      throw !hasBegun && error instanceof QueueFull ? overloaded(`Too much ${lane} work waits.`) : error
    } finally {
      clearTimeout(timer)
    }
  }

  return {
    run,
    enter: (lane, tenantId) =>
      new Promise((resolve, reject) => {
        const untilItLeaves = () =>
          new Promise<void>((leave) => {
            resolve(leave)
          })
        run(lane, tenantId, untilItLeaves).catch(reject)
      }),
    admit (tenantId, bytes) {
      const own = uploads.get(tenantId) ?? 0
      if ((uploading > 0 && uploading + bytes > uploadBytes) || (own > 0 && own + bytes > uploadBytes / 2)) {
        throw overloaded('Too much is uploaded at once.')
      }
      uploading += bytes
      uploads.set(tenantId, own + bytes)
      return onlyOnce(() => {
        uploading -= bytes
        const left = uploads.get(tenantId)! - bytes
        if (left === 0) uploads.delete(tenantId)
        else uploads.set(tenantId, left)
      })
    }
  }
}

/** What is refused because there is too much of it. Nothing was begun. */
export const overloaded = (why: string): Problem =>
  new Problem('OVERLOADED', why, { retryAfter: RETRY_AFTER })

/** A function that does its work when it is called first. */
export function onlyOnce (work: () => void): () => void {
  let isDone = false
  return () => {
    if (!isDone) work()
    isDone = true
  }
}
