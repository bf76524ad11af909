import { restore } from './edits.ts'
import { keyOf, metaOf, type Draft, type Meta, type Table } from './state.ts'
import type { ChangeSet, Content, Page, Target } from './wire.ts'

const other = (shown: Meta['shown']) => shown === 'records0' ? 'records1' : 'records0'

/**
 * Takes in one answer to a pull, with its cursor. A snapshot is gathered beside what is shown, and takes its
 * place when it is complete: until then the user keeps what was there. Parts of a batch wait for the last
 * one.
 * @param from the cursor of the request: where the device has gone on since, the page is dropped. It would
 *   do no harm
 *   but to take the device back
 * @returns false where it was dropped
 */
export function takeIn (draft: Draft, from: string | undefined, page: Page): boolean {
  const meta = metaOf(draft)
  if (meta.cursor !== from) return false
  const begins = page.reset === true
  const next = {
    ...meta,
    cursor: page.cursor,
    snapshot: begins || meta.snapshot,
    told: begins ? {} : meta.told
  }
  if (begins) clear(draft, other(meta.shown), 'waiting')
  const pages = draft.entries('waiting').sort(([one], [two]) => Number(one) - Number(two)).map((
    [, changes]
  ) => changes)
  const changes = [...pages.flat(), ...page.changes]
  if (isBatchOpen(changes)) {
    draft.set('waiting', String(pages.length), page.changes)
    draft.set('meta', '', next)
    return true
  }
  clear(draft, 'waiting')
  const told = { ...next.told }
  for (const change of changes) apply(draft, change, next.snapshot ? other(meta.shown) : meta.shown, told)
  const isComplete = next.snapshot && !page.more
  draft.set('meta', '', { ...next, told, ...isComplete && { shown: other(meta.shown), snapshot: false } })
  if (isComplete) {
    clear(draft, meta.shown)
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
  const { shown, told } = metaOf(draft)
  if (rev > (told[target.space] ?? 0)) keep(draft, shown, keyOf(target), rev, record)
}

function apply (
  draft: Draft,
  { space, n = 0, ops }: ChangeSet,
  table: Meta['shown'],
  told: Record<string, number>
): void {
  told[space] = Math.max(told[space] ?? 0, n)
  for (const { type, id, act, rev, record } of ops) {
    if (
      !keep(
        draft,
        table,
        keyOf({ space, type, id }),
        rev,
        act === 'put' || act === 'join' ? record ?? {} : undefined
      )
    ) continue
    if (act !== 'leave') continue
    drop(draft, `group:${id}`, table)
    delete told[`group:${id}`]
  }
}

/** Changes may be told twice, and late: an older one changes nothing. */
function keep (
  draft: Draft,
  table: Meta['shown'],
  key: string,
  rev: number,
  record: Content | undefined
): boolean {
  const held = draft.get(table, key)
  if (held !== undefined && held.rev > rev) return false
  if (held !== undefined || record !== undefined) draft.set(table, key, record && { rev, record })
  return true
}

/**
 * A space that is no longer the user's. Edits that were not confirmed can't reach it: the app is told of
 * them.
 */
function drop (draft: Draft, space: string, table: Meta['shown']): void {
  for (const [key] of draft.entries(table)) if (key.startsWith(`${space} `)) draft.set(table, key, undefined)
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

function takeBack (draft: Draft, space: string): void {
  const sent = draft.get('sent', space)
  if (sent === undefined) return
  draft.set('sent', space, undefined)
  for (const edit of sent.edits) restore(draft, edit)
}

function clear (draft: Draft, ...tables: Table[]): void {
  for (const table of tables) for (const [key] of draft.entries(table)) draft.set(table, key, undefined)
}

/** Whether the last change-set of a space is a part that others must follow. */
function isBatchOpen (changes: readonly ChangeSet[]): boolean {
  const last = new Map(changes.map(({ space, batch }) => [space, batch]))
  return [...last.values()].some((batch) => batch !== undefined && batch.part < batch.parts)
}
