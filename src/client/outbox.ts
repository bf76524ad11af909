import { baseOf, rebase, restore } from './edits.ts'
import { merge, same } from './merge.ts'
import { learn } from './replica.ts'
import { stampsOf, type Content, type Target } from './kinds.ts'
import type { HubProblem } from './problem.ts'
import { keyOf, type Draft, type Edit, type Held, type Refused, type Sent } from './tables.ts'
import type { Pushed } from './wire.ts'

/** What a push may have with an Idempotency-Key. */
export const MAX_CHANGES = 97
/** Of the hub's 1 MB, with room for what is around the changes. */
export const MAX_BYTES = 1_000_000
/** An edit that had to be merged this often without getting through is handed to the app. */
const MAX_CONFLICTS = 10

/** What the app is asked where two edits can't both be kept. */
export interface Conflict extends Target {
  /** The three versions; undefined: there was, or is, no record. */
  readonly base: Content | undefined
  readonly mine: Content | undefined
  readonly theirs: Content | undefined
  /** What is kept if nobody objects. */
  readonly merged: Content
  /** JSON pointers of what both changed, differently; empty where one side deleted the record. */
  readonly fields: readonly string[]
}
/** How much may go in one push. */
export interface Most {
  readonly edits: number
  readonly bytes: number
}
/** Decides a conflict. @returns what is to be kept; undefined: the record is to go */
export type Resolve = (conflict: Conflict) => Content | undefined

/**
 * Gets the next batch ready: one that has no answer as it was, else the oldest edits, merged with what is
 * known of their records. Once this is kept, it may be sent.
 */
export function next (
  draft: Draft,
  most: Most,
  resolve: Resolve | undefined
): { space: string, sent: Sent } | undefined {
  const [unanswered] = draft.entries('sent')
  if (unanswered !== undefined) return { space: unanswered[0], sent: unanswered[1] }
  const edits = draft.entries('edits').map(([, edit]) => edit).sort((one, other) => one.order - other.order)
  for (const space of new Set(edits.map(({ space }) => space))) {
    const ready = fill(draft, edits.filter((edit) => edit.space === space), most, resolve)
    if (ready.length > 0) return { space, sent: send(draft, space, ready) }
  }
  return undefined
}

function fill (draft: Draft, edits: readonly Edit[], most: Most, resolve: Resolve | undefined): Edit[] {
  const ready: Edit[] = []
  let bytes = 0
  for (const edit of edits) {
    if (ready.length === most.edits) break
    const merged = reconcile(edit, draft.get('records', keyOf(edit)), resolve)
    bytes += merged === undefined ? 0 : new TextEncoder().encode(JSON.stringify(changeOf(merged))).length
    if (ready.length > 0 && bytes > most.bytes) break
    draft.set('edits', keyOf(edit), undefined)
    if (merged !== undefined) ready.push(merged)
  }
  return ready
}

/** An edit on top of the record as it is now, or undefined where that leaves nothing to do. */
function reconcile (edit: Edit, held: Held | undefined, resolve: Resolve | undefined): Edit | undefined {
  const [{ base, content: mine, space, type, id }, theirs] = [edit, baseOf(held)]
  if (same(base, theirs)) return edit
  const { content: merged, conflict } = merge(base.content, mine, theirs.content)
  const content = conflict === undefined || resolve === undefined
    ? merged
    : resolve({
      space,
      type,
      id,
      base: base.content,
      mine,
      theirs: theirs.content,
      merged: merged!,
      fields: conflict
    })
  return same(content, theirs.content) ? undefined : { ...edit, content, base: theirs }
}

/** Puts edits on their way, under a new key. */
function send (draft: Draft, space: string, edits: readonly Edit[]): Sent {
  const sent = { key: crypto.randomUUID(), edits }
  draft.set('sent', space, sent)
  return sent
}

/** The body of a push: of the same edits always the same. */
export const bodyOf = ({ edits }: Sent) =>
  JSON.stringify({
    changes: edits.map(changeOf),
    ...edits.some(({ confirmed }) => confirmed) && { confirm: true }
  })

/**
 * With the revision that the edit was made on, nothing is overwritten that the user has not seen, and nothing
 * happens twice, also when the hub has forgotten the key.
 */
function changeOf ({ space, type, id, content, base }: Edit): object {
  return {
    ...space !== 'me' && { space },
    type,
    id,
    act: content === undefined ? 'delete' : 'put',
    record: content,
    ifMatch: base.rev
  }
}

/** The batch was applied. */
export function accept (draft: Draft, space: string, { edits }: Sent, { results }: Pushed): void {
  draft.set('sent', space, undefined)
  for (const [index, edit] of edits.entries()) {
    const { content, id } = edit
    const rev = results[index]?.rev ?? 0
    const held = draft.get('records', keyOf(edit))
    learn(draft, edit, rev, content && { ...stampsOf(held?.record), ...content, id, rev })
    rebase(draft, edit, content === undefined ? { rev: 0 } : { rev, content })
  }
}

/**
 * Nothing of the batch was applied: other changes came first. Its edits go back, to be merged.
 * @returns false where the answer does not tell what is there now: pull before the next try
 */
export function conflicted (
  draft: Draft,
  space: string,
  { edits }: Sent,
  { body: { results = [], detail, errorType }, status }: HubProblem
): boolean {
  draft.set('sent', space, undefined)
  let known = true
  for (const [index, edit] of edits.entries()) {
    const standing = results[index]
    const isAtFault = standing?.status !== 424
    const conflicts = edit.conflicts + (isAtFault ? 1 : 0)
    if (conflicts >= MAX_CONFLICTS) refuse(draft, { ...edit, conflicts }, { status, errorType, detail })
    else restore(draft, { ...edit, conflicts })
    if (standing?.current !== undefined) learn(draft, edit, standing.current.rev, standing.current)
    else if (isAtFault) known = false
  }
  return known
}

/** Nothing of the batch was applied, and some edits of it never will be. The others go back. */
export function refused (
  draft: Draft,
  { space, sent: { edits }, indexes }: { space: string, sent: Sent, indexes: readonly number[] },
  { status, body: { errorType, detail, errors } }: HubProblem
): void {
  draft.set('sent', space, undefined)
  for (const [index, edit] of edits.entries()) {
    const own = errors?.filter(({ pointer }) =>
      pointer === `/changes/${index}` || pointer.startsWith(`/changes/${index}/`)
    )
    if (indexes.includes(index)) refuse(draft, edit, { status, errorType, detail, errors: own })
    else restore(draft, edit)
  }
}

/** Keeps an edit that will never be applied for the app. What the user did since stands on its own. */
export function refuse (draft: Draft, edit: Edit, problem: Refused['problem']): void {
  rebase(draft, edit, edit.base)
  draft.set('refused', crypto.randomUUID(), { edit, problem })
}
