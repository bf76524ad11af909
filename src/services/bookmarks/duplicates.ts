import type { BookmarkRecord } from '../../../entities/bookmark.ts'
import type { Context } from '../context.ts'
import type { ListQuery, Page } from '../../engine/list.ts'
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
  const twice = [...pages].filter(([page, ids]) => ids.size > 1 && page > after).map(([page]) => page).sort()
  const items = twice.slice(0, limit).map((page): Duplicates => {
    const bookmarks = [...pages.get(page)!].map((id) => records.get(id)!).sort((a, b) =>
      a.createdAt < b.createdAt || (a.createdAt === b.createdAt && a.id < b.id) ? -1 : 1
    )
    return { page, count: bookmarks.length, bookmarks: bookmarks.slice(0, MAX_TOLD) }
  })
  return { items, ...twice.length > limit && { cursor: context.sealer.seal(binding, twice[limit - 1]) } }
}
