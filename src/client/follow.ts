import type { Sleep } from './clock.ts'
import { linked } from './linked.ts'
import { isCursorLost, isTransient } from './problem.ts'
import { FRUITLESS_MS, pathOf, type Pull } from './pull.ts'
import { stream, type StreamOptions } from './stream.ts'
import type { Page } from './wire.ts'

/** Short enough that a connection that is dead is noticed within 15 s. */
const POLL_SECONDS = 10
/**
 * A stream ends after some minutes, and all those of a hub when it goes: not everyone comes again at once.
 */
const RECONNECT_MS = 1000

export interface FollowOptions extends StreamOptions {
  readonly sleep: Sleep
  readonly random: () => number
  readonly pull: Pull
  readonly push: (signal: AbortSignal) => Promise<void>
  /** Comes with the next edit, or at once where there are edits; and with the signal. */
  readonly edited: (signal: AbortSignal) => Promise<void>
}

/**
 * Keeps a device in step until the signal comes: changes come in over a stream of events, or by long polls
 * where there can be none, and edits go out as they are made. What may pass is waited for, ever longer up to
 * 30 s.
 * @throws HubProblem where waiting does not help, such as a token that is refused; what the store or the
 *   app throws
 */
export async function follow (options: FollowOptions, given: AbortSignal): Promise<void> {
  const { http, sleep, random, intake, pull, push, edited } = options
  const { signal, end } = linked(given)
  let streams = true
  // Where one way ends in failure, the other is ended as well, and waited for.
  const ways = [insist(receive), insist(() => push(signal).then(() => edited(signal)))]
  const ended = await Promise.allSettled(ways.map((way) => way.finally(end)))
  for (const result of ended) if (result.status === 'rejected') throw result.reason

  /** Does something again and again. `well` says that it goes well, while it goes on. */
  async function insist (work: (well: () => void) => Promise<void>): Promise<void> {
    for (let failures = 0; !signal.aborted;) {
      try {
        await work(() => {
          failures = 0
        })
        failures = 0
      } catch (error) {
        if (signal.aborted) return
        if (!isTransient(error) && !isCursorLost(error)) throw error
        await sleep(http.backoff(failures++, error), signal)
      }
    }
  }

  async function receive (well: () => void): Promise<void> {
    // A stream does not say when a snapshot is complete: it is silent of answers without changes.
    await pull.first(signal)
    const cursor = intake.cursor()!
    try {
      if (!streams) await poll(cursor)
      else {
        streams = await stream(options, cursor, { signal, well })
        if (streams) await sleep(random() * RECONNECT_MS, signal)
      }
    } catch (error) {
      if (isCursorLost(error)) await intake.startAgain(cursor)
      throw error
    }
  }

  async function poll (from: string): Promise<void> {
    const page = await http.json<Page>(pathOf('/v1/sync', from, POLL_SECONDS), signal)
    await intake.take(from, page)
    if (page.more && page.changes.length === 0) await sleep(FRUITLESS_MS, signal)
  }
}
