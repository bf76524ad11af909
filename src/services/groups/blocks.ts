import type { Static } from 'typebox'
import { block, type Block } from '../../../entities/block.ts'
import { notFound, type Saved } from '../collection.ts'
import type { Context } from '../context.ts'
import { once } from '../../engine/idempotency.ts'
import { everyRecord, list } from '../../engine/list.ts'
import type { Page } from '../../engine/list-query.ts'
import { readRow } from '../../engine/rows.ts'
import { retryOnConflict } from '../../engine/retry.ts'
import { memberships } from '../memberships.ts'
import { Problem } from '../../errors.ts'
import { assertWithin, commitSides, dismiss, isLive, KIND, removed, written } from './membership-writes.ts'

export type BlockRecord = Static<typeof Block>

/** From whom of the tenant a user takes no invitations. */
export function blocks (given: Context) {
  const { own, spaceOf } = memberships(given)
  const context = { ...given, space: own }
  const { store, writer, config: { limits } } = context

  /** Declines what someone has asked the user into. */
  async function declineFrom (inviter: string): Promise<void> {
    for await (const { id, invitedBy } of everyRecord(context, KIND.invitation)) {
      if (invitedBy !== inviter) continue
      await dismiss(
        { ...context, idempotency: undefined },
        spaceOf(id),
        [context.userId],
        (member) => member.state === 'invited' && member.invitedBy === inviter
      ).catch((error: unknown) => {
        // A group that has ended, or someone who was in between: nothing is left to be declined.
        if (!(error instanceof Problem && error.errorType === 'NOT_FOUND')) throw error
      })
    }
  }

  return {
    /** In the order of the user ids. @throws Problem INVALID_CURSOR */
    list: (query: { limit: number, cursor?: string | undefined }): Promise<Page<BlockRecord>> =>
      list(context, KIND.block, query) as Promise<Page<BlockRecord>>,
    /**
     * Blocks someone, and declines what is pending of theirs. Who is blocked already stays so.
     * @throws Problem LIMIT_REACHED
     */
    async put (id: string): Promise<Saved<BlockRecord>> {
      const { results } = await once(
        context,
        () =>
          writer.withSpacesLocked([own], () =>
            retryOnConflict(async () => {
              const row = await readRow(store, KIND.block, own, id)
              if (isLive(row)) {
                return {
                  n: row.rev,
                  at: row.updatedAt,
                  results: [{ resource: block.resource, row, created: false }]
                }
              }
              let blocked = 1
              for await (const _ of everyRecord(context, KIND.block)) blocked++
              assertWithin('userBlocks', limits.userBlocks, blocked, 'The user would block too many people')
              return commitSides(context, [[own, [written(KIND.block, id, row, {})]]])
            }))
      )
      await declineFrom(id)
      const { row, created } = results[0]!
      return { record: block.present(row), created }
    },
    /** @throws Problem NOT_FOUND */
    async remove (id: string): Promise<void> {
      await once(context, () =>
        writer.withSpacesLocked([own], () =>
          retryOnConflict(async () => {
            const row = await readRow(store, KIND.block, own, id)
            if (!isLive(row)) throw notFound('block')
            return commitSides(context, [[own, removed(KIND.block, row)]])
          })))
    }
  }
}
