import { same } from './merge.ts'
import { contentOf, type Content, type Target } from './kinds.ts'
import { keyOf, type Draft, type Edit, type Held } from './tables.ts'
import { sentEditOf } from './view.ts'

/**
 * Notes what the user wants a record to be (undefined: gone). Edits of a record that were not sent become
 * one.
 */
export function note (draft: Draft, target: Target, content: Content | undefined, now: number): void {
  const { space, type, id } = target
  const [waiting, sent] = [draft.get('edits', keyOf(target)), sentEditOf(draft, target)]
  // On top of what is on its way, the base is put right when that is answered.
  const base = waiting?.base ??
    (sent === undefined
      ? baseOf(draft.get('records', keyOf(target)))
      : { rev: sent.base.rev, content: sent.content })
  keep(draft, {
    space,
    type,
    id,
    content,
    base,
    order: waiting?.order ?? draft.nextOrder(),
    at: waiting?.at ?? now,
    conflicts: waiting?.conflicts ?? 0
  })
}

/** Puts an edit back that was not applied. What the user did since goes on top of it. */
export function restore (draft: Draft, edit: Edit): void {
  const later = draft.get('edits', keyOf(edit))
  keep(draft, later === undefined ? edit : { ...edit, content: later.content })
}

/** Gives what the user did on top of an edit another base, once that edit has its answer. */
export function rebase (draft: Draft, { space, type, id }: Target, base: Edit['base']): void {
  const later = draft.get('edits', keyOf({ space, type, id }))
  if (later !== undefined) keep(draft, { ...later, base })
}

/** What an edit starts from that is made on a record as it is now. */
export const baseOf = (held: Held | undefined): Edit['base'] =>
  held === undefined ? { rev: 0 } : { rev: held.rev, content: contentOf(held.record) }

/** What is as it was is nothing to push. */
function keep (draft: Draft, edit: Edit): void {
  draft.set('edits', keyOf(edit), same(edit.content, edit.base.content) ? undefined : edit)
}
