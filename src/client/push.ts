import type { Http, Sleep } from './http.ts'
import { accept, conflicted, MAX_CHANGES, next, refused, send, type Resolve } from './outbox.ts'
import type { Pull } from './pull.ts'
import { serial } from './serial.ts'
import type { Draft, Sent, State } from './state.ts'
import { HubProblem, type Pushed } from './wire.ts'

/** What the hub says of changes that it will never take as they are, or (507) not before others have gone. */
const REFUSALS = new Set(['VALIDATION_FAILED', 'URL_NOT_ALLOWED', 'MALFORMED_BODY', 'BODY_TOO_LARGE',
  'QUOTA_EXCEEDED', 'FOLDER_CYCLE'])
/** What it says of a whole space: not yours, or not yours to write to. */
const SPACE_REFUSALS = new Set(['NOT_FOUND', 'UNAUTHORIZED_ACCESS'])

export interface PushOptions {
  readonly state: State
  readonly http: Http
  readonly sleep: Sleep
  readonly pull: Pull
  readonly resolve: Resolve | undefined
  /** Asks whether a push may delete most of a space. */
  readonly confirm: ((problem: HubProblem) => boolean | Promise<boolean>) | undefined
}

/**
 * @returns pushes every edit, batch by batch. @throws HubProblem; what has no answer then is sent again by
 * the next push
 */
export function createPush (
  { state, http, sleep, pull, resolve, confirm }: PushOptions
): (signal: AbortSignal) => Promise<void> {
  const inTurn = serial()

  return (signal) =>
    inTurn(async () => {
      let [most, conflicts] = [MAX_CHANGES, 0]
      while (state.entries('edits').length > 0 || state.entries('sent').length > 0) {
        // What goes on top of a snapshot is merged with it, so the snapshot comes first.
        await pull.first(signal)
        const batch = await state.change((draft) => next(draft, most, resolve))
        if (batch === undefined) continue
        const { space, sent } = batch
        const answer = await http.json<Pushed>('/v1/sync', signal, sent).catch((error: unknown) => {
          if (error instanceof HubProblem) return error
          throw error
        })
        if (!(answer instanceof HubProblem)) {
          await settle(space, sent, (draft) => {
            accept(draft, space, sent, answer)
          })
          ;[most, conflicts] = [MAX_CHANGES, 0]
        } else if (answer.status === 412 || answer.errorType === 'IDEMPOTENCY_MISMATCH') {
          const isKnown = await settle(space, sent, (draft) => conflicted(draft, space, sent, answer))
          await sleep(http.backoff(conflicts++ - 3), signal)
          if (isKnown === false) await pull.all(signal)
        } else if (answer.errorType === 'CONFIRMATION_REQUIRED' && await confirm?.(answer) === true) {
          await settle(space, sent, (draft) => {
            send(draft, space, sent.edits, true)
          })
        } else {
          const indexes = refusedBy(answer, space, sent)
          await settle(space, sent, (draft) => {
            refused(draft, space, sent, indexes, answer)
          })
          // It does not say which: halves are tried.
          if (indexes.length === 0) most = Math.ceil(sent.edits.length / 2)
        }
      }
    })

  /** Takes an answer in, unless the batch was taken back meanwhile: by a snapshot, or with its space. */
  async function settle<T> (space: string, { key }: Sent, work: (draft: Draft) => T): Promise<T | undefined> {
    return state.change((draft) => draft.get('sent', space)?.key === key ? work(draft) : undefined)
  }
}

/**
 * Which edits of a batch a problem refuses for good; none where that is not known.
 * @throws the problem, where it is about something else: the token, the URL, the hub
 */
function refusedBy (problem: HubProblem, space: string, { edits }: Sent): number[] {
  const { errorType, body: { errors = [] } } = problem
  const all = [...edits.keys()]
  if (SPACE_REFUSALS.has(errorType) && space !== 'me') return all
  if (errorType === 'CONFIRMATION_REQUIRED') return all.filter((index) => edits[index]!.content === undefined)
  if (!REFUSALS.has(errorType)) throw problem
  const named = errors.map(({ pointer }) => /^\/changes\/(\d+)/.exec(pointer)?.[1]).filter((index) =>
    index !== undefined
  ).map(Number)
  return named.length > 0 || all.length > 1 ? named : all
}
