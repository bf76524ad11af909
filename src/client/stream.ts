import type { Sleep } from './clock.ts'
import { createEventReader } from './events.ts'
import { SILENCE_MS, type Http } from './http.ts'
import type { Intake } from './intake.ts'
import { linked } from './linked.ts'
import { HubProblem, unreachable } from './problem.ts'
import { pathOf } from './pull.ts'
import type { Page, ProblemBody } from './wire.ts'

export interface StreamOptions {
  readonly http: Http
  readonly timeout: Sleep
  readonly intake: Intake
}

/**
 * Takes in changes over a stream of events, until it ends or says nothing any more: the hub says something
 * every 5 s.
 * @param well is called while it goes well
 * @returns false where streams don't work here: neither the hub, nor what is in between, nor this platform
 *   may gather what it should pass on
 * @throws HubProblem
 */
export async function stream (
  { http, timeout, intake }: StreamOptions,
  from: string,
  { signal, well }: { signal: AbortSignal, well: () => void }
): Promise<boolean> {
  const connection = linked(signal)
  try {
    const body = await open(connection.signal)
    if (body === undefined) return false
    let cursor = from
    const read = createEventReader()
    for (let isFirst = true;; isFirst = false) {
      const chunk = await heard(next(body))
      if (chunk === undefined) return !isFirst
      if (chunk.done) return true
      // The first chunk says no more than that a connection was made.
      if (!isFirst) well()
      for (const { event, data } of read(chunk.value)) {
        if (event === 'problem') throw problemOf(JSON.parse(data) as ProblemBody & { status: number })
        if (event !== 'changes') continue
        const page = JSON.parse(data) as Page
        // Where a pull was faster, the stream begins again from there.
        if (!await intake.take(cursor, page)) return true
        cursor = page.cursor
      }
    }
  } finally {
    connection.end()
  }

  async function open (ending: AbortSignal): Promise<ReadableStreamDefaultReader<Uint8Array> | undefined> {
    try {
      const response = await heard(http.open(pathOf('/v1/sync/live', from), ending))
      if (response?.headers.get('content-type')?.startsWith('text/event-stream') !== true) return undefined
      return response.body?.getReader()
    } catch (error) {
      if (error instanceof HubProblem && (error.status === 406 || error.status === 404)) return undefined
      throw error
    }
  }

  /** @returns undefined where it takes too long */
  async function heard<T> (work: Promise<T>): Promise<T | undefined> {
    const timer = new AbortController()
    try {
      return await Promise.race([work, timeout(SILENCE_MS, timer.signal).then(() => undefined)])
    } finally {
      timer.abort()
      work.catch(() => {})
    }
  }
}

const next = (body: ReadableStreamDefaultReader<Uint8Array>) =>
  body.read().catch((cause: unknown) => {
    throw unreachable('The stream broke off.', cause)
  })

const problemOf = ({ status, ...body }: ProblemBody & { status: number }) => new HubProblem(status, body)
