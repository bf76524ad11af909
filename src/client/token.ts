import type { Clock } from './clock.ts'
import { HubProblem, unreachable } from './problem.ts'

/**
 * A token, or where to get one: it is told which token is of no use any more, and answers null where nobody is
 * signed in.
 */
export type Token = string | ((refused?: string) => string | null | Promise<string | null>)

/** A token this near to its end is not sent any more. */
const MARGIN_MS = 30_000

export interface Bearer {
  /** @throws HubProblem: 401 where nobody is signed in, without a status where no token could be had */
  get(): Promise<string>
  /** The hub refused a token. @returns another, or undefined where there is none */
  renew(refused: string): Promise<string | undefined>
  /** There was no answer: in a browser that can be a 401 of something in between, without CORS headers. */
  doubt(unanswered: string): void
  /** There was an answer. */
  trust(): void
}

/** Keeps a token for as long as it is good. */
export function createBearer (token: Token, { now }: Pick<Clock, 'now'>): Bearer {
  let current: Promise<string> | undefined
  let expiresAt = Infinity
  /** The token that there was no answer to. */
  let doubted: string | undefined
  /** The one that came in its place: where it gets no answer either, tokens are not to blame. */
  let replaced: string | undefined

  async function ask (refused?: string): Promise<string> {
    const given = typeof token === 'string' ? token : await token(refused)
    if (given === null) {
      throw new HubProblem(401, { errorType: 'SIGNED_OUT', detail: 'Nobody is signed in.' })
    }
    // Where the device's clock is wrong, every token seems to be over: the hub decides then.
    const expires = expiryOf(given)
    expiresAt = expires - MARGIN_MS > now() ? expires - MARGIN_MS : Infinity
    return given
  }

  function fetched (refused?: string): Promise<string> {
    return current ??= ask(refused).catch((cause: unknown) => {
      current = undefined
      throw cause instanceof HubProblem ? cause : unreachable('No token could be had.', cause)
    })
  }

  async function replace (old: string): Promise<string> {
    const asked = current
    current = undefined
    try {
      return await fetched(old)
    } catch (error) {
      // It may be good all the same.
      if (error instanceof HubProblem && error.status === 401) throw error
      if (expiresAt <= now()) throw error
      current ??= asked
      return old
    }
  }

  return {
    async get () {
      const held = await fetched()
      if (typeof token === 'string') return held
      if (expiresAt <= now()) {
        current = undefined
        return fetched(held)
      }
      if (doubted !== held) return held
      const other = await replace(held)
      if (other !== held) [doubted, replaced] = [undefined, other]
      return other
    },
    async renew (refused) {
      if (typeof token === 'string') return undefined
      // Another request may have got a new one meanwhile.
      if (current !== undefined && await current.catch(() => refused) === refused) current = undefined
      return fetched(refused)
    },
    doubt (unanswered) {
      if (unanswered !== replaced) doubted = unanswered
    },
    trust () {
      ;[doubted, replaced] = [undefined, undefined]
    }
  }
}

/** When a JWT expires, in milliseconds; of anything else that is not known. */
function expiryOf (token: string): number {
  try {
    const payload = token.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/')
    const { exp } = JSON.parse(atob(payload)) as { exp?: unknown }
    return typeof exp === 'number' ? exp * 1000 : Infinity
  } catch {
    return Infinity
  }
}
