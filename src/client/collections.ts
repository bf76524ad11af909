import { note } from './edits.ts'
import {
  contentOf,
  DEFAULTS,
  type Collections,
  type Content,
  type Kept,
  type Kind,
  type Target
} from './kinds.ts'
import { COLLECTIONS } from './kinds.ts'
import { same } from './merge.ts'
import type { Inputs, Records } from './records.ts'
import type { State } from './state.ts'
import { listOf, viewOf } from './view.ts'

const SPACE = /^(?:me|group:[A-Za-z0-9][A-Za-z0-9_-]{0,63})$/
const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/** A record as the device has it. What the hub sets is missing until the hub has the record. */
export type Local<R> = Omit<R, Stamp> & Partial<Pick<R, Stamp & keyof R>>
type Stamp = 'rev' | 'createdAt' | 'updatedAt'

/**
 * The records of one kind in one space: what the hub told of, with one's own edits on top. Nothing here waits
 * for the hub.
 */
export interface Collection<R, I> {
  get(id: string): Local<R> | undefined
  /** All of them, in no particular order. */
  list(): Local<R>[]
  /**
   * Creates or replaces; what only the hub sets (`rev`, ...) is left aside. Ended: it is kept, and will be
   * pushed.
   * @throws TypeError where the id can't be one, or the record is not JSON; StorageFull; what the store
   *   throws
   */
  put(id: string, record: I): Promise<void>
  /**
   * Replaces some fields of what is there; undefined removes one. @throws as put, and RangeError where
   * nothing is there
   */
  update(id: string, fields: { readonly [K in keyof I]?: I[K] | undefined }): Promise<void>
  /** Removes; where there is nothing, nothing happens. @throws as put */
  delete(id: string): Promise<void>
}

/** What apps write in a space: a collection of each kind. */
export type Written = {
  readonly [N in keyof Collections]: Collection<Records[Collections[N]], Inputs[Collections[N]]>
}

/** What one space holds. */
export interface Space extends Written {
  /** Of a group's space: the group, once it was told of. */
  group(): Kept['group'] | undefined
  /** Of a group's space: who is in it, or invited. */
  members(): Kept['member'][]
}

/** What the hub keeps about people and devices in a space. */
export const keptIn = <K extends keyof Kept>(state: State, space: string, type: K) =>
  [...listOf(state, space, type).values()] as unknown as Kept[K][]

/** @throws TypeError where a space can't have that name */
export function spaceOf (state: State, now: () => number, name: string): Space {
  fitting(SPACE, name, 'A space')
  const collections = Object.entries(COLLECTIONS).map((
    [plural, type]
  ) => [plural, collectionOf(state, now, { space: name, type })])
  return {
    ...Object.fromEntries(collections) as unknown as Written,
    group: () => keptIn(state, name, 'group')[0],
    members: () => keptIn(state, name, 'member')
  }
}

function collectionOf<K extends Kind> (
  state: State,
  now: () => number,
  { space, type }: { space: string, type: K }
): Collection<Records[K], Inputs[K]> {
  type Shown = Local<Records[K]>
  const target = (id: string): Target => ({ space, type, id: fitting(ID, id, "A record's id") })
  return {
    get: (id) => viewOf(state, { space, type, id }) as Shown | undefined,
    list: () => [...listOf(state, space, type).values()] as Shown[],
    async put (id, record) {
      const [named, content] = [target(id), { ...DEFAULTS[type], ...jsonOf(contentOf(record)) }]
      await state.change((draft) => {
        note(draft, named, content, now())
      })
    },
    async update (id, fields) {
      const named = target(id)
      await state.change((draft) => {
        const shown = viewOf(draft, named)
        if (shown === undefined) throw new RangeError(`There is no ${type} ${id}.`)
        const content = jsonOf({ ...contentOf(shown), ...contentOf(fields) })
        note(draft, named, { ...DEFAULTS[type], ...content }, now())
      })
    },
    async delete (id) {
      const named = target(id)
      await state.change((draft) => {
        note(draft, named, undefined, now())
      })
    }
  }
}

function fitting (grammar: RegExp, text: string, what: string): string {
  if (typeof text !== 'string' || !grammar.test(text)) {
    throw new TypeError(`${what} matches ${grammar.source}.`)
  }
  return text
}

/** A copy. @throws TypeError where JSON would make it something else */
function jsonOf (value: Content): Content {
  const copy = JSON.parse(JSON.stringify(value)) as Content
  if (!same(copy, value)) throw new TypeError('A record is JSON: no NaN, no Date, no class of your own.')
  return copy
}
