import type { Sleep } from './clock.ts'
import type { Http } from './http.ts'
import type { Intake } from './intake.ts'
import { isCursorLost } from './problem.ts'
import { serial } from './serial.ts'
import { hasSnapshot, type Reader } from './tables.ts'
import type { Page } from './wire.ts'

/** Where an answer says that there is more and shows nothing, it is not visible yet. */
export const FRUITLESS_MS = 50
/** A cursor that was given out a moment ago is not lost twice. */
const MAX_RESTARTS = 2

export interface Pull {
  /** Takes in all there is. @throws HubProblem */
  all(signal: AbortSignal): Promise<void>
  /** As `all`, where the device has not had a snapshot, or not all of it. */
  first(signal: AbortSignal): Promise<void>
}

export interface PullOptions {
  readonly state: Reader
  readonly http: Http
  readonly sleep: Sleep
  readonly intake: Intake
  /** Says that it is at work, while it is. */
  readonly busy: <T>(work: () => Promise<T>) => Promise<T>
}

export function createPull ({ state, http, sleep, intake, busy }: PullOptions): Pull {
  const inTurn = serial()

  async function pull (signal: AbortSignal): Promise<void> {
    for (let restarts = 0;;) {
      const from = intake.cursor()
      try {
        const page = await http.json<Page>(pathOf('/v1/sync', from), signal)
        const isTaken = await intake.take(from, page)
        if (isTaken && !page.more) return
        if (page.changes.length === 0) await sleep(FRUITLESS_MS, signal)
      } catch (error) {
        if (!isCursorLost(error) || restarts++ === MAX_RESTARTS) throw error
        await intake.startAgain(from)
      }
    }
  }

  return {
    all: (signal) => inTurn(() => busy(() => pull(signal))),
    first: (signal) =>
      inTurn(async () => {
        if (!hasSnapshot(state)) await busy(() => pull(signal))
      })
  }
}

/** The path of a pull, or of a stream. @param cursor undefined begins a snapshot */
export function pathOf (path: string, cursor: string | undefined, wait?: number): string {
  const query = new URLSearchParams({
    ...cursor !== undefined && { cursor },
    ...wait !== undefined && { wait: String(wait) }
  }).toString()
  return query === '' ? path : `${path}?${query}`
}
