import { QueueFull, type FairQueue } from '../../fair-queue.ts'

/** Where a request works, waits for its turn, or lets others work. */
export interface Turn {
  /** Waits for the turn, where the request does not have it. @throws what `refusal` makes where too much waits */
  begin(): Promise<void>
  /** Lets others work until something has happened that this request waits for. */
  readonly outside: <T>(wait: () => Promise<T>) => Promise<T>
  /** Takes a turn of its own for what goes on after the answer has begun. */
  within<T>(work: () => Promise<T>): Promise<T>
  /** A handler has begun: it goes on without its client, and has the turn until it is done. */
  handle(): void
  /** The answer goes out. */
  end(): void
  /** The client is gone, or has its answer: what still waits is given up. */
  close(): void
}

/** For what is answered however much waits. */
export const FREE: Turn = {
  begin: async () => {},
  outside: (wait) => wait(),
  within: (work) => work(),
  handle: () => {},
  end: () => {},
  close: () => {}
}

/** A place in a queue that is taken and left at different times. */
interface Place {
  enter(how: 'run' | 'resume'): Promise<void>
  leave(): void
}

function createPlace (queue: FairQueue, key: string, signal: AbortSignal): Place {
  let leave: (() => void) | undefined
  return {
    enter: (how) =>
      new Promise((resolve, reject) => {
        if (leave !== undefined) {
          resolve()
          return
        }
        const hold = () =>
          new Promise<void>((end) => {
            leave = end
            resolve()
          })
        queue[how](key, hold, signal).catch(reject)
      }),
    leave () {
      leave?.()
      leave = undefined
    }
  }
}

/** The queues that a turn is taken in. */
export interface Queues {
  readonly work: FairQueue
  /** For large bodies. */
  readonly uploads: FairQueue
  /** What is thrown where a queue is full. */
  readonly refusal: () => Error
  /** What is thrown at what waits for a turn when its client is gone. */
  readonly gone: Error
}

/**
 * @param key whose turn it is
 * @returns the turn, and `read`, which waits for leave to read a large body
 */
export function createTurn (
  { work, uploads, refusal, gone }: Queues,
  key: string
): Turn & { read(): Promise<void> } {
  const closed = new AbortController()
  const [place, upload] = [createPlace(work, key, closed.signal), createPlace(uploads, key, closed.signal)]
  // Streams that wake together are many: they take turns with their tenant's requests, and do not stand before them.
  const later = createPlace(work, `${key} live`, closed.signal)
  let phase: 'waiting' | 'handled' | 'answered' = 'waiting'

  const refusing = (entering: Promise<void>) =>
    entering.catch((error: unknown) => {
      throw error instanceof QueueFull ? refusal() : error
    })
  // Who is gone has little left to do, and waits for nothing.
  const resume = (place: Place) =>
    place.enter('resume').catch((error: unknown) => {
      if (error !== gone) throw error
    })

  return {
    read: () => refusing(upload.enter('run')),
    begin: () => refusing(place.enter('run')),
    outside: async (wait) => {
      const left = phase === 'answered' ? later : place
      left.leave()
      try {
        return await wait()
      } finally {
        await resume(left)
      }
    },
    async within (work) {
      await resume(later)
      try {
        return await work()
      } finally {
        later.leave()
      }
    },
    handle () {
      phase = 'handled'
    },
    end () {
      phase = 'answered'
      place.leave()
      upload.leave()
    },
    close () {
      closed.abort(gone)
      if (phase !== 'waiting') return
      place.leave()
      upload.leave()
    }
  }
}
