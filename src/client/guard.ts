import { isKind } from './kinds.ts'
import { refuse } from './outbox.ts'
import type { HubProblem } from './problem.ts'
import type { State } from './state.ts'
import { keyOf, type Draft, type Edit, type Reader } from './tables.ts'
import { takeBack } from './replica.ts'

/** The hub guards spaces of more records than this. */
const GUARDED_RECORDS = 50

/** What the app is asked before most of a space is deleted. */
export interface MassDelete {
  readonly space: string
  /** How many records the edits that wait would delete, of how many that there are. */
  readonly deletes: number
  readonly records: number
}
export type Confirm = (question: MassDelete) => boolean | Promise<boolean>

/**
 * Looks at all edits that wait, not at a push alone: a push is a part of what the user did, and each part may
 * be small.
 * @returns the first space of which more than half would go without anybody having said so
 */
export function massDelete (reader: Reader): MassDelete | undefined {
  const deletes = reader.entries('edits').map(([, edit]) => edit).filter((edit) =>
    deletesRecord(reader, edit)
  )
  for (const space of new Set(deletes.filter(({ confirmed }) => !confirmed).map(({ space }) => space))) {
    const going = deletes.filter((edit) => edit.space === space).length
    const records = going * 2 > GUARDED_RECORDS ? countOf(reader, space) : 0
    if (records > GUARDED_RECORDS && going * 2 > records) return { space, deletes: going, records }
  }
  return undefined
}

const deletesRecord = (reader: Reader, edit: Edit) =>
  edit.content === undefined && reader.get('records', keyOf(edit)) !== undefined

const countOf = (reader: Reader, space: string) =>
  reader.entries('records').filter(([key]) => {
    const [name, type] = key.split(' ', 2)
    return name === space && isKind(type!)
  }).length

/**
 * Asks the app, once for all deletes that wait in the space by then: they may go, or they are refused.
 * @param problem what the hub said, where it was the one to object
 */
export async function ask (
  state: State,
  question: MassDelete,
  { confirm, problem }: { confirm: Confirm | undefined, problem?: HubProblem }
): Promise<void> {
  const isMeant = await confirm?.(question) === true
  await state.change((draft) => {
    for (const [key, edit] of draft.entries('edits')) {
      if (edit.space !== question.space || edit.content !== undefined) continue
      if (isMeant) draft.set('edits', key, { ...edit, confirmed: true })
      else {
        draft.set('edits', key, undefined)
        refuse(draft, edit, {
          status: 409,
          errorType: 'CONFIRMATION_REQUIRED',
          detail: problem?.message ??
            `This would delete ${question.deletes} of the ${question.records} records of the space.`
        })
      }
    }
  })
}

/** The hub objects to a push: its edits wait again. @returns what the app is to be asked */
export function objected (draft: Draft, space: string, { body: { limit } }: HubProblem): MassDelete {
  takeBack(draft, space)
  const deletes = draft.entries('edits').filter(([, edit]) =>
    edit.space === space && edit.content === undefined
  )
  const records = countOf(draft, space)
  return { space, deletes: Math.max(deletes.length, limit?.sent ?? 0), records }
}
