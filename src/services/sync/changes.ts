import type { Static } from 'typebox'
import type { BookmarkInput } from '../../../entities/bookmark.ts'
import type { SettingInput } from '../../../entities/setting.ts'
import { Problem, type Fault } from '../../errors.ts'
import { bookmarks } from '../bookmarks/index.ts'
import type { Collection } from '../collection.ts'
import type { Context } from '../context.ts'
import { ME } from '../../engine/change-set.ts'
import { memberships } from '../memberships.ts'
import { settings } from '../settings.ts'
import type { Change, Precondition } from '../../engine/change.ts'
import { nameOf } from '../../engine/rows.ts'

/** One change of a push. */
export type PushedChange =
  & Base
  & (
    | { readonly type: 'bookmark', readonly record?: Static<typeof BookmarkInput> }
    | { readonly type: 'setting', readonly record?: Static<typeof SettingInput> }
  )
interface Base {
  /** `me` where it is left out. All changes of a push are of one space. */
  readonly space?: string
  readonly id: string
  readonly act: 'put' | 'delete'
  /** The revision that the record must have, or 0: it must not exist. */
  readonly ifMatch?: number
}

/**
 * Whether changes can be written together: of one space, and each record once. @throws Problem
 * VALIDATION_FAILED naming the change
 */
export function assertFit (changes: readonly PushedChange[]): void {
  const seen = new Set<string>()
  for (const [index, { type, id, act, record, space = ME }] of changes.entries()) {
    const fault = space !== (changes[0]!.space ?? ME)
      ? ['space', 'all changes of a push are of one space']
      : seen.has(nameOf({ type, id }))
      ? ['id', 'this record is in the push already; send its last state alone']
      : (act === 'put') === (record === undefined)
      ? ['record', act === 'put' ? 'is missing' : 'belongs to a put']
      : undefined
    seen.add(nameOf({ type, id }))
    if (fault !== undefined) {
      throw new Problem('VALIDATION_FAILED', `Change ${index}: ${fault[0]} ${fault[1]}.`, {
        errors: [{ pointer: `/changes/${index}/${fault[0]}`, detail: fault[1]! }]
      })
    }
  }
}

/**
 * The context of the space that the changes name.
 * @throws Problem NOT_FOUND where the user has no such space, UNAUTHORIZED_ACCESS where a viewer would write
 */
export async function inSpaceOf (context: Context, [first]: readonly PushedChange[]): Promise<Context> {
  const { space = ME } = first!
  return space === ME ? context : memberships(context).enter(space, 'write')
}

export const preconditionOf = ({ ifMatch }: PushedChange): Precondition | undefined =>
  ifMatch === undefined ? undefined : ifMatch === 0 ? { ifNoneMatch: true } : { ifMatch: [ifMatch] }

/** Where what is wrong with a record stands in a push: what is in the path of a PUT stands in the change itself. */
const pointerInto = (index: number, pointer: string) =>
  `/changes/${index}${pointer.startsWith('params/') ? pointer.slice('params'.length) : `/record${pointer}`}`

/**
 * The puts as they are to be written, by the changes that ask for them. @throws Problem whose pointers lead
 * into the push
 */
export function prepare (context: Context, changes: readonly PushedChange[]): Map<PushedChange, Change> {
  const collections: Record<PushedChange['type'], Pick<Collection<never, never>, 'change'>> = {
    bookmark: bookmarks(context),
    setting: settings(context)
  }
  return new Map(changes.flatMap((change, index) => {
    const { type, id, act, record } = change
    if (act === 'delete') return []
    try {
      return [[change, collections[type].change(id, record as never, preconditionOf(change))]]
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      const errors = (error.extras.errors ?? []).map(({ pointer, detail }): Fault => ({
        pointer: pointerInto(index, pointer),
        detail
      }))
      throw new Problem(error.errorType, `Change ${index}: ${error.message}`, { ...error.extras, errors })
    }
  }))
}
