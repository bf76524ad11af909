import { createEventReader } from './events.ts'
import { linked, type Http, type Sleep } from './http.ts'
import { FRUITLESS_MS, pathOf, type Pull } from './pull.ts'
import { startAgain, takeIn } from './replica.ts'
import { metaOf, type State } from './state.ts'
import { HubProblem, isCursorLost, isTransient, type Page, type ProblemBody } from './wire.ts'

/** The hub says something every 15 s. */
const SILENCE_MS = 45_000
const POLL_SECONDS = 25
/**
 * A stream ends after some minutes, and all those of a hub when it goes: not everyone comes again at once.
 */
const RECONNECT_MS = 1000

export interface FollowOptions {
  readonly state: State
  readonly http: Http
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
export async function follow (
  { state, http, sleep, random, pull, push, edited }: FollowOptions,
  given: readonly (AbortSignal | undefined)[]
): Promise<void> {
  const { signal, end } = linked(...given)
  let streaming = true
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
    const cursor = metaOf(state).cursor!
    try {
      await (streaming ? stream(cursor, well) : poll(cursor))
    } catch (error) {
      if (isCursorLost(error)) {
        await state.change((draft) => {
          startAgain(draft, cursor)
        })
      }
      throw error
    }
  }

  async function poll (from: string): Promise<void> {
    const page = await http.json<Page>(pathOf('/v1/sync', from, POLL_SECONDS), signal)
    await takePage(from, page)
    if (page.more && page.changes.length === 0) await sleep(FRUITLESS_MS, signal)
  }

  async function stream (from: string, well: () => void): Promise<void> {
    const connection = linked(signal)
    try {
      const body = await open(from, connection.signal)
      if (body === undefined) {
        streaming = false
        return
      }
      let cursor = from
      const read = createEventReader()
      for (let isFirst = true;; isFirst = false) {
        const chunk = await heard(
          body.read().catch((cause: unknown) => {
            throw new HubProblem(0, { errorType: 'UNREACHABLE', detail: 'The stream broke off.' }, 0, {
              cause
            })
          })
        )
        if (chunk === undefined) {
          // Something in between may gather what it should pass on.
          if (isFirst) streaming = false
          return
        }
        if (chunk.done) break
        // The first chunk says no more than that a connection was made.
        if (!isFirst) well()
        for (const { event, data } of read(chunk.value)) {
          if (event === 'problem') throw problemOf(JSON.parse(data) as ProblemBody & { status: number })
          if (event !== 'changes') continue
          const page = JSON.parse(data) as Page
          // Where a pull was faster, the stream begins again from there.
          if (!await takePage(cursor, page)) return
          cursor = page.cursor
        }
      }
      await sleep(random() * RECONNECT_MS, signal)
    } finally {
      connection.end()
    }
  }

  /** @returns undefined where the hub, or what is in between, or this platform, can't stream */
  async function open (
    from: string,
    connection: AbortSignal
  ): Promise<ReadableStreamDefaultReader<Uint8Array> | undefined> {
    try {
      const response = await heard(http.open(pathOf('/v1/sync/live', from), connection))
      if (response?.headers.get('content-type')?.startsWith('text/event-stream') !== true) return undefined
      return response.body?.getReader()
    } catch (error) {
      if (error instanceof HubProblem && (error.status === 406 || error.status === 404)) return undefined
      throw error
    }
  }

  function takePage (from: string, page: Page): Promise<boolean> {
    return state.change((draft) => takeIn(draft, from, page))
  }

  /** @returns undefined where it takes too long */
  async function heard<T> (work: Promise<T>): Promise<T | undefined> {
    const timer = new AbortController()
    try {
      return await Promise.race([work, sleep(SILENCE_MS, timer.signal).then(() => undefined)])
    } finally {
      timer.abort()
      work.catch(() => {})
    }
  }
}

const problemOf = ({ status, ...body }: ProblemBody & { status: number }) => new HubProblem(status, body)
