import { bookmark, type BookmarkRecord } from '../../../entities/bookmark.ts'
import { Problem } from '../../errors.ts'
import { notFound } from '../collection.ts'
import type { Context } from '../context.ts'
import { once } from '../../engine/idempotency.ts'
import { writeAll } from '../../engine/large-write.ts'
import type { ListQuery, Page } from '../../engine/list-query.ts'
import { inLine } from '../../engine/line.ts'
import { retryOnConflict } from '../../engine/retry.ts'
import type { StagedChange } from '../../engine/staged-change.ts'
import { byCodeUnits, createPace, sorted } from '../../turns.ts'
import { bindingOf } from './search.ts'

/** A tag, and how many bookmarks and folders have it. */
export interface Tagged {
  readonly tag: string
  readonly count: number
}

/**
 * The tags of a space in the order of their code units. From memory, as a search. @throws Problem
 * INVALID_CURSOR
 */
export async function listTags (
  context: Context,
  { limit, cursor }: Pick<ListQuery<unknown>, 'limit' | 'cursor'>
): Promise<Page<Tagged>> {
  const binding = bindingOf(context, 'tags', undefined)
  const after = cursor === undefined ? '' : context.sealer.open(binding, cursor) as string
  const { view } = await context.readModels.open(context)
  const pace = createPace()
  const counts = new Map<string, number>()
  for (const { tags } of view.records) {
    for (const tag of tags) if (tag > after) counts.set(tag, (counts.get(tag) ?? 0) + 1)
    if (pace.due(1 + tags.length)) await pace.turn()
  }
  const names = await sorted([...counts.keys()], byCodeUnits, pace)
  return {
    items: names.slice(0, limit).map((tag) => ({ tag, count: counts.get(tag)! })),
    ...names.length > limit && { cursor: context.sealer.seal(binding, names[limit - 1]) }
  }
}

/**
 * Gives a tag another name in all of a space, or takes it away, as one change-set or staged batch. Where a
 * bookmark has the new name already, the two become one.
 * @param to the new name; undefined removes the tag
 * @returns how many bookmarks and folders were changed
 * @throws Problem NOT_FOUND, VALIDATION_FAILED naming batchChanges, and those of a write
 */
export async function replaceTag (context: Context, tag: string, to: string | undefined): Promise<number> {
  let count = 0
  const { n, results } = await once(context, () =>
    inLine(context, 'tags', () =>
      retryOnConflict(async () => {
        const tagged = await taggedWith(context, tag)
        if (tagged.length === 0) throw notFound('tag')
        const { batchChanges } = context.config.limits
        if (tagged.length > batchChanges) {
          throw new Problem(
            'VALIDATION_FAILED',
            `${tagged.length} bookmarks have the tag; ${batchChanges} can be changed at once.`,
            {
              errors: [{ pointer: '/tag', detail: 'is on too many bookmarks' }],
              limit: { name: 'batchChanges', value: batchChanges, sent: tagged.length }
            }
          )
        }
        count = tagged.length
        return writeAll(
          context,
          tagged.map((record) =>
            retagged(record, [...new Set(record.tags.flatMap((own) => own !== tag ? own : to ?? []))])
          ),
          false
        )
      })))
  return n > 0 && results.length > 0 ? results.length : count
}

async function taggedWith (context: Context, tag: string): Promise<BookmarkRecord[]> {
  const { view } = await context.readModels.open(context)
  const pace = createPace()
  const tagged: BookmarkRecord[] = []
  for (const record of view.records) {
    if (record.tags.includes(tag)) tagged.push(record)
    if (pace.due()) await pace.turn()
  }
  return tagged
}

/** The change that gives a record other tags. */
function retagged (
  { id, rev, createdAt: _, updatedAt: __, ...content }: BookmarkRecord,
  tags: string[]
): StagedChange {
  return {
    type: bookmark.resource,
    id,
    act: 'put',
    content: bookmark.store({ ...content, tags }),
    basedOn: rev
  }
}
