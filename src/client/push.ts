import type { Sleep } from './clock.ts'
import { ask, massDelete, objected, type Confirm, type MassDelete } from './guard.ts'
import type { Http } from './http.ts'
import {
  accept,
  bodyOf,
  conflicted,
  MAX_BYTES,
  MAX_CHANGES,
  next,
  refused,
  type Most,
  type Resolve
} from './outbox.ts'
import { HubProblem } from './problem.ts'
import type { Pull } from './pull.ts'
import { takeBack } from './replica.ts'
import { serial } from './serial.ts'
import type { State } from './state.ts'
import type { Draft, Sent } from './tables.ts'
import type { Pushed } from './wire.ts'

/** What the hub says of changes that it will never take as they are, or (507) not before others have gone. */
const REFUSALS = new Set(['VALIDATION_FAILED', 'URL_NOT_ALLOWED', 'MALFORMED_BODY', 'BODY_TOO_LARGE',
  'QUOTA_EXCEEDED', 'FOLDER_CYCLE'])
/** What it says of a whole space: not yours, or not yours to write to. */
const SPACE_REFUSALS = new Set(['NOT_FOUND', 'UNAUTHORIZED_ACCESS'])
/** A push below this is not what something in between stumbles over. */
const MIN_BYTES = 16_000

export interface PushOptions {
  readonly state: State
  readonly http: Http
  readonly sleep: Sleep
  readonly pull: Pull
  readonly resolve: Resolve | undefined
  /** Asks whether most of a space may be deleted. */
  readonly confirm: Confirm | undefined
  /** Says that it is at work, while it is. */
  readonly busy: <T>(work: () => Promise<T>) => Promise<T>
}

/**
 * @returns pushes every edit, batch by batch. @throws HubProblem; what has no answer then is sent again by
 * the next push
 */
export function createPush (options: PushOptions): (signal: AbortSignal) => Promise<void> {
  const { state, http, sleep, pull, resolve, confirm, busy } = options
  const inTurn = serial()
  /** What gets through to the hub is learnt, and kept for as long as the client lives. */
  let maxBytes = MAX_BYTES

  return (signal) =>
    inTurn(async () => {
      const run: Run = { most: MAX_CHANGES, conflicts: 0 }
      while (state.entries('edits').length > 0 || state.entries('sent').length > 0) {
        await busy(() => step(run, signal))
      }
    })

  async function step (run: Run, signal: AbortSignal): Promise<void> {
    // What goes on top of a snapshot is merged with it, so the snapshot comes first.
    await pull.first(signal)
    const question = massDelete(state)
    if (question !== undefined) return ask(state, question, { confirm })
    const most: Most = { edits: run.most, bytes: maxBytes }
    const batch = await state.change((draft) => next(draft, most, resolve))
    if (batch === undefined) return
    const { space, sent } = batch
    const body = bodyOf(sent)
    const answer = await http.json<Pushed>('/v1/sync', signal, { body, key: sent.key }).catch(
      (error: unknown) => {
        if (error instanceof HubProblem) return error
        throw error
      }
    )
    if (!(answer instanceof HubProblem)) {
      await settle(space, sent, (draft) => {
        accept(draft, space, sent, answer)
      })
      ;[run.most, run.conflicts] = [MAX_CHANGES, 0]
    } else if (sent.edits.length > 1 && await isTooLarge(answer, body, signal)) {
      maxBytes = Math.max(MIN_BYTES, Math.floor(Math.min(maxBytes, body.length) / 2))
      run.most = Math.ceil(sent.edits.length / 2)
      await settle(space, sent, (draft) => {
        takeBack(draft, space)
      })
    } else await resolveProblem({ space, sent, answer, run, signal })
  }

  /**
   * Whether half of it may get through: something in between said so, or answers in a way that a browser does
   * not show, or cuts the connection, while the hub can be reached. The log tells then whether it was applied.
   */
  async function isTooLarge ({ status }: HubProblem, body: string, signal: AbortSignal): Promise<boolean> {
    if (status === 413) return true
    if (status !== 0 || body.length <= MIN_BYTES) return false
    await pull.all(signal)
    return true
  }

  async function resolveProblem ({ space, sent, answer, run, signal }: Answered): Promise<void> {
    if (answer.status === 412 || answer.errorType === 'IDEMPOTENCY_MISMATCH') {
      const isKnown = await settle(space, sent, (draft) => conflicted(draft, space, sent, answer))
      await sleep(http.backoff(run.conflicts++ - 3), signal)
      if (isKnown === false) await pull.all(signal)
    } else if (answer.errorType === 'CONFIRMATION_REQUIRED') {
      const question: MassDelete | undefined = await settle(
        space,
        sent,
        (draft) => objected(draft, space, answer)
      )
      if (question !== undefined) await ask(state, question, { confirm, problem: answer })
    } else {
      const indexes = refusedBy(answer, space, sent)
      await settle(space, sent, (draft) => {
        refused(draft, { space, sent, indexes }, answer)
      })
      // It does not say which: halves are tried.
      if (indexes.length === 0) run.most = Math.ceil(sent.edits.length / 2)
    }
  }

  /** Takes an answer in, unless the batch was taken back meanwhile: by a snapshot, or with its space. */
  async function settle<T> (space: string, { key }: Sent, work: (draft: Draft) => T): Promise<T | undefined> {
    return state.change((draft) => draft.get('sent', space)?.key === key ? work(draft) : undefined)
  }
}

interface Run {
  /** Edits in the next batch. */
  most: number
  /** Batches in a row that did not fit what was there. */
  conflicts: number
}

interface Answered {
  readonly space: string
  readonly sent: Sent
  readonly answer: HubProblem
  readonly run: Run
  readonly signal: AbortSignal
}

/**
 * Which edits of a batch a problem refuses for good; none where that is not known.
 * @throws the problem, where it is about something else: the token, the URL, the hub
 */
function refusedBy (problem: HubProblem, space: string, { edits }: Sent): number[] {
  const { errorType, status, body: { errors = [] } } = problem
  const all = [...edits.keys()]
  if (SPACE_REFUSALS.has(errorType) && space !== 'me') return all
  if (!REFUSALS.has(errorType) && status !== 413) throw problem
  const named = errors.map(({ pointer }) => /^\/changes\/(\d+)/.exec(pointer)?.[1]).filter((index) =>
    index !== undefined
  ).map(Number)
  return named.length > 0 || all.length > 1 ? named : all
}
