import { preconditionFailed } from '../collection.ts'
import type { Context } from '../context.ts'
import { everyRecord } from '../../engine/list.ts'
import { contentOf, PreconditionFailed, type Precondition } from '../../engine/change.ts'
import { readRow } from '../../engine/rows.ts'
import { retryOnConflict } from '../../engine/retry.ts'
import { commitSides, dismiss, KIND, readGroup, removed, userSpace, written } from './membership-writes.ts'

/** Members that leave in one transaction: each takes an action of the group's space, and three of its own. */
const AT_ONCE = 20

/**
 * Ends a group: nobody joins any more, then members and invitations go, and the owner last. What was done in
 * part goes on when it is sent again.
 * @throws Problem PRECONDITION_FAILED, CONTENTION
 */
export async function closeGroup (given: Context, precondition: Precondition | undefined): Promise<void> {
  // There is no outcome to keep: who repeats it finds no group.
  const context = { ...given, idempotency: undefined }
  const { space, userId, store, writer, sessionId } = context
  await retryOnConflict(async () => {
    const row = await readGroup(context, space)
    if (row.closing === true) return
    const change = {
      ...written(KIND.group, row.id, row, { ...contentOf(row), closing: true }),
      ...precondition && { precondition }
    }
    await writer.commit({ store, space, sessionId, changes: [change] }).catch(async (error: unknown) => {
      throw error instanceof PreconditionFailed
        ? preconditionFailed(KIND.group, await readRow(store, KIND.group, space, space.spaceId))
        : error
    })
  })
  const own = userSpace(context, userId)
  for (let isAlone = false; !isAlone;) {
    for (let others = await someOthers(context); others.length > 0; others = await someOthers(context)) {
      await dismiss(context, space, others)
    }
    isAlone = await writer.withSpacesLocked([space, own], () =>
      retryOnConflict(async () => {
        const [row, self, pointer] = await Promise.all([readGroup(context, space),
          readRow(store, KIND.member, space, userId), readRow(store, KIND.membership, own, space.spaceId)])
        // Someone whom the list did not show yet.
        if (row.members + row.invitations > 1) return false
        await commitSides(context, [[space, [...removed(KIND.group, row), ...removed(KIND.member, self)]], [
          own,
          removed(KIND.membership, pointer)
        ]])
        return true
      }))
  }
}

async function someOthers (context: Context): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of everyRecord(context, KIND.member)) {
    if (id !== context.userId) ids.push(id)
    if (ids.length === AT_ONCE) break
  }
  return ids
}
