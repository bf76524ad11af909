import { restore } from './edits.ts'
import type { Content, Target } from './kinds.ts'
import { same } from './merge.ts'
import { keyOf, metaOf, type Draft } from './tables.ts'
import type { ChangeSet, Page } from './wire.ts'

/**
 * Takes in one answer to a pull, with its cursor. A snapshot goes record by record into what is shown, and
 * what it did not tell of goes when it is complete: at no time is there nothing, and no room is needed for
 * two copies.
 * @param from the cursor of the request: where the device has gone on since, the page is dropped. It would
 *   do no harm but to take the device back
 * @returns false where it was dropped
 */
export function takeIn (draft: Draft, from: string | undefined, page: Page): boolean {
  const meta = metaOf(draft)
  if (meta.cursor !== from) return false
  const begins = page.reset === true
  const gen = begins ? meta.gen + 1 : meta.gen
  const told = begins ? {} : { ...meta.told }
  for (const change of page.changes) apply(draft, change, gen, told)
  const isUnderWay = begins || meta.snapshot
  const isComplete = isUnderWay && !page.more
  draft.set('meta', '', { cursor: page.cursor, gen, snapshot: isUnderWay && page.more, told })
  if (isComplete) {
    for (const [key, held] of draft.entries('records')) {
      if (held.gen !== gen) draft.set('records', key, undefined)
    }
    // The snapshot tells what became of edits that have no answer: they are compared with it, as if never
    // sent.
    for (const [space] of draft.entries('sent')) takeBack(draft, space)
  }
  return true
}

/** The cursor leads nowhere any more: the next pull begins a snapshot. */
export function startAgain (draft: Draft, from: string | undefined): void {
  const meta = metaOf(draft)
  if (meta.cursor === from) draft.set('meta', '', { ...meta, cursor: undefined })
}

/**
 * Takes in what an answer to a push told of a record (undefined: it is gone).
 * What the log has told of already is newer.
 */
export function learn (draft: Draft, target: Target, rev: number, record: Content | undefined): void {
  const { gen, told } = metaOf(draft)
  if (rev > (told[target.space] ?? 0)) keep(draft, keyOf(target), { rev, record, gen })
}

function apply (
  draft: Draft,
  { space, n = 0, ops }: ChangeSet,
  gen: number,
  told: Record<string, number>
): void {
  told[space] = Math.max(told[space] ?? 0, n)
  for (const { type, id, act, rev, record } of ops) {
    const isThere = act === 'put' || act === 'join'
    const key = keyOf({ space, type, id })
    if (!keep(draft, key, { rev, record: isThere ? record ?? {} : undefined, gen })) continue
    if (act !== 'leave') continue
    drop(draft, `group:${id}`)
    delete told[`group:${id}`]
  }
}

/** Changes may be told twice, and late: an older one changes nothing, unless a snapshot tells of it. */
function keep (
  draft: Draft,
  key: string,
  { rev, record, gen }: { rev: number, record: Content | undefined, gen: number }
): boolean {
  const held = draft.get('records', key)
  if (held !== undefined && held.gen === gen && held.rev > rev) return false
  // What need not be written needs no room.
  if (held?.gen === gen && held.rev === rev && same(held.record, record)) return true
  if (held !== undefined || record !== undefined) {
    draft.set('records', key, record && { rev, record, gen })
  }
  return true
}

/**
 * A space that is no longer the user's. Edits that were not confirmed can't reach it: the app is told of
 * them.
 */
function drop (draft: Draft, space: string): void {
  for (const [key] of draft.entries('records')) {
    if (key.startsWith(`${space} `)) draft.set('records', key, undefined)
  }
  takeBack(draft, space)
  for (const [key, edit] of draft.entries('edits')) {
    if (edit.space !== space) continue
    draft.set('edits', key, undefined)
    draft.set('refused', crypto.randomUUID(), {
      edit,
      problem: { status: 404, errorType: 'NOT_FOUND', detail: 'The space is no longer yours.' }
    })
  }
}

/** Edits that are on their way are as if they had not been sent. */
export function takeBack (draft: Draft, space: string): void {
  const sent = draft.get('sent', space)
  if (sent === undefined) return
  draft.set('sent', space, undefined)
  for (const edit of sent.edits) restore(draft, edit)
}
