import type { BookmarkRecord } from '../../../entities/bookmark.ts'
import type { Context } from '../context.ts'
import type { ListQuery, Page } from '../../engine/list-query.ts'
import { byCodeUnits, createPace, sorted } from '../../turns.ts'
import { bindingOf } from './search.ts'

/** Bookmarks of one page that are told of together; there may be more. */
const MAX_TOLD = 100

/** Several bookmarks of one page, the oldest first. */
export interface Duplicates {
  /** What their URLs have in common (`pageOf`). */
  readonly page: string
  readonly count: number
  readonly bookmarks: readonly BookmarkRecord[]
}

/**
 * Pages that are bookmarked more than once, wherever. From memory, as a search. @throws Problem
 * INVALID_CURSOR
 */
export async function listDuplicates (
  context: Context,
  { limit, cursor }: Pick<ListQuery<unknown>, 'limit' | 'cursor'>
): Promise<Page<Duplicates>> {
  const binding = bindingOf(context, 'duplicates', undefined)
  const after = cursor === undefined ? '' : context.sealer.open(binding, cursor) as string
  const { pages, records } = await context.readModels.open(context)
  const pace = createPace()
  const found = new Map<string, BookmarkRecord[]>()
  for (const [page, ids] of pages) {
    // Others may change what is not looked at yet.
    if (typeof ids === 'object' && ids.size > 1 && page > after) {
      found.set(page, [...ids].flatMap((id) => records.get(id) ?? []))
    }
    if (pace.due(typeof ids === 'object' ? ids.size : 1)) await pace.turn()
  }
  const twice = await sorted([...found.keys()], byCodeUnits, pace)
  const items: Duplicates[] = []
  for (const page of twice.slice(0, limit)) {
    const bookmarks = await sorted(found.get(page)!, oldestFirst, pace)
    items.push({ page, count: bookmarks.length, bookmarks: bookmarks.slice(0, MAX_TOLD) })
  }
  return { items, ...twice.length > limit && { cursor: context.sealer.seal(binding, twice[limit - 1]) } }
}

const oldestFirst = (a: BookmarkRecord, b: BookmarkRecord) =>
  byCodeUnits(a.createdAt, b.createdAt) || byCodeUnits(a.id, b.id)
