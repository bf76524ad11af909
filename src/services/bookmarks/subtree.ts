import { bookmark, type BookmarkRecord } from '../../../entities/bookmark.ts'
import { Problem } from '../../errors.ts'
import { preconditionFailed } from '../collection.ts'
import type { Context } from '../context.ts'
import { writeAll } from '../../engine/large-write.ts'
import { PreconditionFailed, type Outcome, type Precondition, type Row } from '../../engine/change.ts'
import type { StagedChange } from '../../engine/staged-change.ts'
import { createPace } from '../../turns.ts'
import type { Tree } from './tree.ts'

/**
 * Deletes a folder and all that is in it, as one change-set (or staged batch) that can be undone as a whole.
 * What others put into it meanwhile is not deleted: it is then shown at the root.
 * @param row the folder as it was read
 * @throws Superseded where something in it has moved on; Problem CONFIRMATION_REQUIRED, VALIDATION_FAILED
 *   naming
 *   batchChanges where it holds more than that, and those of a write
 */
export async function removeFolder (
  context: Context,
  row: Row,
  precondition: Precondition | undefined,
  confirm: boolean
): Promise<Outcome> {
  const { view } = await context.readModels.open(context)
  const all = await below(await view.tree(), row.id)
  const { batchChanges } = context.config.limits
  if (all.length >= batchChanges) {
    throw new Problem(
      'VALIDATION_FAILED',
      `The folder holds ${all.length} bookmarks and folders; ${
        batchChanges - 1
      } can be deleted at once. Delete some of the folders in it first.`,
      {
        errors: [{ pointer: 'params/id', detail: 'holds too much to be deleted at once' }],
        limit: { name: 'batchChanges', value: batchChanges, sent: all.length + 1 }
      }
    )
  }
  const remove = (id: string, rev: number): StagedChange => ({
    type: bookmark.resource,
    id,
    act: 'delete',
    basedOn: rev
  })
  return writeAll(context, [{ ...remove(row.id, row.rev), ...precondition && { precondition } },
    ...all.map(({ id, rev }) => remove(id, rev))], !confirm).catch((error: unknown) => {
      throw error instanceof PreconditionFailed ? preconditionFailed(bookmark, row) : error
    })
}

/** All that is in a folder, at any depth, a folder before what is in it. */
export async function below (tree: Tree, id: string): Promise<BookmarkRecord[]> {
  const pace = createPace()
  const all = [...tree.children(id)]
  // The list grows while it is walked.
  for (const { id, kind } of all) {
    if (kind === 'folder') { for (const child of tree.children(id)) all.push(child) }
    if (pace.due()) await pace.turn()
  }
  return all
}
