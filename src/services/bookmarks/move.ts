import { generateKeyBetween, generateNKeysBetween } from 'fractional-indexing'
import { bookmark, type BookmarkRecord } from '../../../entities/bookmark.ts'
import { Problem } from '../../errors.ts'
import type { Precondition, Row } from '../../engine/change.ts'
import { assertMatches, notFound } from '../collection.ts'
import type { Context } from '../context.ts'
import { once } from '../../engine/idempotency.ts'
import { writeAll } from '../../engine/large-write.ts'
import { inLine } from '../../engine/line.ts'
import { retryOnConflict } from '../../engine/retry.ts'
import type { StagedChange } from '../../engine/staged-change.ts'

/** Where a bookmark or folder is to go. */
export interface Destination {
  /** Null is the root; where it is left out the folder stays. */
  readonly folderId?: string | null
  /**
   * A neighbour in that folder, behind or before which it then stands; at the end where both are left out.
   */
  readonly before?: string
  readonly after?: string
}

/**
 * Puts a bookmark or folder into a folder, at a place in its order. That is one record written, but where a
 * neighbour has no position to stand beside: then all in the folder get one.
 * @returns it, as this request has made it: also where it is repeated under its key, whatever came after
 * @throws Problem NOT_FOUND, PRECONDITION_FAILED, VALIDATION_FAILED, FOLDER_CYCLE, and those of a write
 */
export async function move (
  context: Context,
  id: string,
  { folderId, before, after }: Destination,
  precondition?: Precondition
): Promise<BookmarkRecord | undefined> {
  const brief = { but: id }
  const { results } = await once(
    context,
    () =>
      inLine(context, 'positions', () =>
        retryOnConflict(async () => {
          const model = await context.readModels.open(context)
          const record = model.records.get(id)
          if (record === undefined) throw notFound('bookmark')
          assertMatches(bookmark, record as unknown as Row, precondition)
          const into = folderId === undefined ? record.folderId : folderId ?? undefined
          if (into !== undefined && folderId !== undefined && !model.folders.has(into)) {
            throw invalid('/folderId', 'is not the id of a folder')
          }
          const beside = (await model.view.tree()).children(
            into !== undefined && model.folders.has(into) ? into : undefined
          )
            .filter((other) => other.id !== id)
          const place = placeOf(beside, before, after)
          const between = keyBetween(beside, place)
          const moved = { ...record, folderId: into }
          if (between !== undefined) {
            return writeAll(context, [changeOf({ ...moved, position: between })], false, brief)
          }
          const all = [...beside.slice(0, place), moved, ...beside.slice(place)]
          const keys = generateNKeysBetween(null, null, all.length)
          return writeAll(
            context,
            all.flatMap((record, index) =>
              record === moved || record.position !== keys[index]
                ? changeOf({ ...record, position: keys[index]! })
                : []
            ),
            false,
            brief
          )
        }))
  )
  const row = results.find((result) => result.row.id === id)?.row
  return row === undefined ? undefined : bookmark.present(row as never)
}

function placeOf (
  beside: readonly BookmarkRecord[],
  before: string | undefined,
  after: string | undefined
): number {
  if (before !== undefined && after !== undefined) {
    throw invalid('/after', 'can\'t be told together with "before"')
  }
  if (before === undefined && after === undefined) return beside.length
  const place = beside.findIndex(({ id }) => id === (before ?? after))
  if (place === -1) throw invalid(before !== undefined ? '/before' : '/after', 'is not in the folder')
  return before !== undefined ? place : place + 1
}

/**
 * A position between two neighbours, or undefined where they have none that the library could stand one
 * between.
 */
function keyBetween (beside: readonly BookmarkRecord[], place: number): string | undefined {
  const [left, right] = [beside[place - 1], beside[place]]
  if (
    (left !== undefined && left.position === undefined) ||
    (right !== undefined && right.position === undefined)
  ) return undefined
  if (left !== undefined && right !== undefined && left.position! >= right.position!) return undefined
  try {
    return generateKeyBetween(left?.position ?? null, right?.position ?? null)
  } catch {
    return undefined
  }
}

function changeOf ({ id, rev, createdAt: _, updatedAt: __, ...content }: BookmarkRecord): StagedChange {
  return { type: bookmark.resource, id, act: 'put', content: bookmark.store(content), basedOn: rev }
}

const invalid = (pointer: string, detail: string) =>
  new Problem('VALIDATION_FAILED', `${pointer} ${detail}.`, { errors: [{ pointer, detail }] })
