import { HubProblem, isTransient, type ProblemBody } from './wire.ts'

const TRIES = 5
/** No answer within this time is none. A long poll takes 25 s. */
const TIMEOUT_MS = 45_000
const MAX_BACKOFF_MS = 30_000
const MAX_RETRY_AFTER_MS = 60_000

/** A token, or where to get one: it is told which token the hub refused. */
export type Token = string | ((refused?: string) => string | Promise<string>)
/** Waits; ends early, and without failing, with the signal. */
export type Sleep = (milliseconds: number, signal?: AbortSignal) => Promise<void>

export interface HttpOptions {
  readonly url: string
  readonly token: Token
  readonly fetch: typeof fetch
  readonly sleep: Sleep
  readonly random: () => number
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

export function createHttp ({ url, token, fetch, sleep, random }: HttpOptions): Http {
  const origin = url.replace(/\/+$/, '')
  let bearer: Promise<string> | undefined

  function tokenOf (refused?: string): Promise<string> {
    return bearer ??= (async () => typeof token === 'string' ? token : await token(refused))().catch(
      (cause: unknown) => {
        bearer = undefined
        throw unreachable('No token could be had.', cause)
      }
    )
  }

  async function send (
    path: string,
    signal: AbortSignal,
    ask: Ask = {},
    refused?: string
  ): Promise<Response> {
    const { body, key } = ask
    const asked = tokenOf(refused)
    const headers = {
      authorization: `Bearer ${await asked}`,
      ...body !== undefined && { 'content-type': 'application/json' },
      ...key !== undefined && { 'idempotency-key': key }
    }
    const response = await fetch(origin + path, {
      method: body === undefined ? 'GET' : 'POST',
      headers,
      signal,
      ...body !== undefined && { body }
    }).catch((cause: unknown) => {
      throw unreachable("The hub can't be reached.", cause)
    })
    if (response.ok) return response
    const problem = await problemOf(response)
    if (problem.status !== 401) throw problem
    // Another request may have got a new one meanwhile.
    if (bearer === asked) bearer = undefined
    if (typeof token === 'string' || refused !== undefined) throw problem
    return send(path, signal, ask, await asked)
  }

  async function once<T> (path: string, signal: AbortSignal, ask?: Ask): Promise<T> {
    const request = linked(signal)
    const timer = setTimeout(request.end, TIMEOUT_MS)
    try {
      const response = await send(path, request.signal, ask)
      return await response.json().catch((cause: unknown) => {
        throw unreachable("The answer can't be read.", cause)
      }) as T
    } finally {
      clearTimeout(timer)
      request.end()
    }
  }

  const backoff = (failures: number, error?: unknown) =>
    Math.max(
      error instanceof HubProblem ? error.retryAfter : 0,
      random() * Math.min(MAX_BACKOFF_MS, 500 * 2 ** failures)
    )

  return {
    open: send,
    backoff,
    async json (path, signal, ask) {
      for (let failures = 0;; failures++) {
        try {
          return await once(path, signal, ask)
        } catch (error) {
          if (!isTransient(error) || failures + 1 === TRIES || signal.aborted) throw error
          await sleep(backoff(failures, error), signal)
        }
      }
    }
  }
}

const unreachable = (detail: string, cause: unknown) =>
  new HubProblem(0, { errorType: 'UNREACHABLE', detail }, 0, { cause })

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

/** A signal of one's own that comes with the first of others, or with `end`; which lets go of the others. */
export function linked (
  ...others: readonly (AbortSignal | undefined)[]
): { readonly signal: AbortSignal, readonly end: () => void } {
  const own = new AbortController()
  const end = () => {
    for (const other of others) other?.removeEventListener('abort', end)
    own.abort()
  }
  for (const other of others) other?.addEventListener('abort', end)
  if (others.some((other) => other?.aborted === true)) end()
  return { signal: own.signal, end }
}

/** Waits by the clock. */
export const sleep: Sleep = (milliseconds, signal) =>
  new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, milliseconds)
    signal?.addEventListener('abort', done)
    if (signal?.aborted === true) done()
  })
