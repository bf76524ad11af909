import type { Clock, Sleep } from './clock.ts'
import { linked } from './linked.ts'
import { HubProblem, isTransient, unreachable } from './problem.ts'
import { createBearer, type Token } from './token.ts'
import type { ProblemBody } from './wire.ts'

const TRIES = 5
/** Silence for this long is a connection that is dead. */
export const SILENCE_MS = 12_500
/** An answer that the hub holds back may come this much later than it said. */
const LATE_MS = 5_000
/** What is sent may take longer than that: so many bytes a second at least. */
const MIN_BYTES_PER_SECOND = 8_000
const MAX_BACKOFF_MS = 30_000
const MAX_RETRY_AFTER_MS = 60_000

export interface HttpOptions extends Clock {
  readonly url: string
  readonly token: Token
  readonly fetch: typeof fetch
  /** Time-outs. Apart from `sleep`, so that tests can let the one pass without the other. */
  readonly timeout: Sleep
  readonly random: () => number
  /** Told how a request ended: undefined, or its problem. */
  readonly answered: (problem: HubProblem | undefined) => void
}

interface Ask {
  readonly body?: string
  readonly key?: string
}

export interface Http {
  /**
   * One request, repeated as it is while that may help. A body makes it a POST, and `key` makes that safe to
   * repeat.
   * @returns the JSON of the answer
   * @throws HubProblem; whatever the app's token function throws is one without an answer
   */
  json<T>(path: string, signal: AbortSignal, ask?: Ask): Promise<T>
  /** One request for a stream, once. @throws HubProblem */
  open(path: string, signal: AbortSignal): Promise<Response>
  /**
   * How long to wait after so many failures in a row: full jitter, and never less than what the hub asks for.
   */
  backoff(failures: number, error?: unknown): number
}

export function createHttp (options: HttpOptions): Http {
  const { url, token, fetch, sleep, timeout, random, answered } = options
  const origin = url.replace(/\/+$/, '')
  const bearer = createBearer(token, options)

  async function send (path: string, signal: AbortSignal, ask: Ask = {}): Promise<Response> {
    const held = await bearer.get()
    const first = await sendWith(held, path, signal, ask)
    if (first.ok) return first
    const problem = await problemOf(first)
    const other = problem.status === 401 ? await bearer.renew(held) : undefined
    if (other === undefined) throw problem
    const second = await sendWith(other, path, signal, ask)
    if (second.ok) return second
    const again = await problemOf(second)
    // The next request asks anew.
    if (again.status === 401) await bearer.renew(other).catch(() => {})
    throw again
  }

  async function sendWith (
    held: string,
    path: string,
    signal: AbortSignal,
    { body, key }: Ask
  ): Promise<Response> {
    const headers = {
      authorization: `Bearer ${held}`,
      ...body !== undefined && { 'content-type': 'application/json' },
      ...key !== undefined && { 'idempotency-key': key }
    }
    const response = await fetch(origin + path, {
      method: body === undefined ? 'GET' : 'POST',
      headers,
      signal,
      ...body !== undefined && { body }
    }).catch((cause: unknown) => {
      if (!signal.aborted) bearer.doubt(held)
      throw unreachable("The hub can't be reached.", cause)
    })
    bearer.trust()
    return response
  }

  /** Notes how a request ended, unless it was ended from here. */
  async function noted<T> (signal: AbortSignal, work: Promise<T>): Promise<T> {
    try {
      const result = await work
      answered(undefined)
      return result
    } catch (error) {
      if (error instanceof HubProblem && !signal.aborted) answered(error)
      throw error
    }
  }

  async function once<T> (path: string, signal: AbortSignal, ask: Ask = {}): Promise<T> {
    const request = linked(signal)
    const heldBack = Number(/[?&]wait=(\d+)/.exec(path)?.[1] ?? 0) * 1000 + LATE_MS - SILENCE_MS
    const sending = (ask.body?.length ?? 0) / MIN_BYTES_PER_SECOND * 1000
    const heard = silence(timeout, request)
    try {
      const response = await heard(send(path, request.signal, ask), Math.max(0, heldBack) + sending)
      return await readJson<T>(response, heard)
    } finally {
      request.end()
    }
  }

  const backoff = (failures: number, error?: unknown) =>
    Math.max(
      error instanceof HubProblem ? error.retryAfter : 0,
      random() * Math.min(MAX_BACKOFF_MS, 500 * 2 ** failures)
    )

  return {
    open: (path, signal) => noted(signal, send(path, signal)),
    backoff,
    async json<T> (path: string, signal: AbortSignal, ask?: Ask) {
      for (let failures = 0;; failures++) {
        try {
          return await noted(signal, once<T>(path, signal, ask))
        } catch (error) {
          if (!isTransient(error) || failures + 1 === TRIES || signal.aborted) throw error
          await sleep(backoff(failures, error), signal)
        }
      }
    }
  }
}

type Heard = <T>(work: Promise<T>, longer?: number) => Promise<T>

/** @returns waits for something; where that takes too long, ends the request and fails */
function silence (timeout: Sleep, request: ReturnType<typeof linked>): Heard {
  return async (work, longer = 0) => {
    const timer = new AbortController()
    const late = timeout(SILENCE_MS + longer, timer.signal).then(() => {
      if (timer.signal.aborted) return new Promise<never>(() => {})
      request.end()
      throw unreachable('The hub says nothing.', undefined)
    })
    try {
      return await Promise.race([work, late])
    } finally {
      timer.abort()
      work.catch(() => {})
    }
  }
}

/** As `response.json()`, for as long as bytes keep coming. */
async function readJson<T> (response: Response, heard: Heard): Promise<T> {
  try {
    // Some platforms have no streams.
    const reader = response.body?.getReader() as ReadableStreamDefaultReader<Uint8Array> | undefined
    if (reader === undefined) return await heard(response.json(), SILENCE_MS) as T
    const decoder = new TextDecoder()
    let text = ''
    for (;;) {
      const { done, value } = await heard(reader.read())
      if (done) return JSON.parse(text + decoder.decode()) as T
      text += decoder.decode(value, { stream: true })
    }
  } catch (cause) {
    throw unreachable("The answer can't be read.", cause)
  }
}

async function problemOf (response: Response): Promise<HubProblem> {
  // What stands in between may answer with anything.
  const body = await response.json().catch(() => undefined) as ProblemBody | undefined
  const seconds = Number(response.headers.get('retry-after'))
  return new HubProblem(
    response.status,
    typeof body === 'object' && body !== null ? body : {},
    seconds > 0 ? Math.min(seconds * 1000, MAX_RETRY_AFTER_MS) : 0
  )
}
