import { setting, type Setting } from '../../../entities/setting.ts'
import type { Static } from 'typebox'
import type { Definition } from '../../../entities/definition.ts'
import { preconditionFailed } from '../collection.ts'
import type { Context } from '../context.ts'
import { expireRecords } from '../../engine/expire.ts'
import { everyRecord } from '../../engine/list.ts'
import {
  contentOf,
  knownOf,
  PreconditionFailed,
  type Change,
  type Precondition,
  type Row
} from '../../engine/change.ts'
import { readRow } from '../../engine/rows.ts'
import { retryOnConflict } from '../../engine/retry.ts'
import { commitSides, dismiss, KIND, readGroup, removed, userSpace, written } from './membership-writes.ts'

/** Members that leave in one transaction: each takes an action of the group's space, and three of its own. */
const AT_ONCE = 20
/** What was in a group that has ended is kept for as long as deleted records are, and at most so long. */
export const ENDED_DAYS = 90
const DAY_SECONDS = 86_400
const SETTING = setting as unknown as Definition

/**
 * Ends a group: from the first transaction on nothing comes into it and nobody joins. Its public settings are
 * taken back, then members and invitations go; what was in it gets an end, at which the store sweeps it; its
 * owner goes last, and with that even HEAD. What was done in part goes on when it is sent again, and until
 * then the owner sees the group.
 * @throws Problem PRECONDITION_FAILED, CONTENTION
 */
export async function closeGroup (given: Context, precondition: Precondition | undefined): Promise<void> {
  // There is no outcome to keep: who repeats it finds no group.
  const context = { ...given, idempotency: undefined }
  await close(context, precondition)
  await unpublish(context)
  const own = userSpace(context, context.userId)
  for (let hasEnded = false; !hasEnded;) {
    for (let others = await someOthers(context); others.length > 0; others = await someOthers(context)) {
      await dismiss(context, context.space, others)
    }
    const days = Math.min(context.config.retentionDays, ENDED_DAYS)
    await expireRecords(
      context,
      Math.floor(context.now() / 1000) + days * DAY_SECONDS,
      // Tombstones before long, and then with an end of their own.
      (resource) => resource === KIND.group.resource || resource === KIND.member.resource
    )
    // Once more, as all of it is visible now.
    await unpublish(context)
    hasEnded = await end(context, own)
  }
}

async function close (
  context: Context,
  precondition: Precondition | undefined
): Promise<void> {
  const { space, store, writer, sessionId } = context
  await retryOnConflict(async () => {
    const row = await readGroup(context, space)
    if (row.closing === true) return
    const change = {
      ...written(KIND.group, row.id, row, { ...contentOf(row), closing: true }),
      ...precondition && { precondition }
    }
    await writer.commit({ store, space, sessionId, changes: [change], closing: 'begins' }).catch(
      async (error: unknown) => {
        throw error instanceof PreconditionFailed
          ? preconditionFailed(KIND.group, await readRow(store, KIND.group, space, space.spaceId))
          : error
      }
    )
  })
}

/** Takes back what anyone could read, before its members are told to drop the rest. */
async function unpublish (context: Context): Promise<void> {
  const { space, store, writer, sessionId } = context
  await retryOnConflict(async () => {
    let changes: Change[] = []
    const commit = async () => {
      if (changes.length > 0) {
        await writer.commit({ store, space, sessionId, changes, closing: 'goes on' })
      }
      changes = []
    }
    for await (const row of everyRecord(context, SETTING)) {
      if ((row as Row & Static<typeof Setting>).isPublic) changes.push(taken(row))
      if (changes.length === AT_ONCE) await commit()
    }
    await commit()
  })
}

function taken (row: Row): Change {
  const { publicId: _, publicShard: __, ...content } = contentOf(row)
  return {
    definition: SETTING,
    id: row.id,
    act: 'put',
    content: { ...content, isPublic: false, ...row.purgeAt !== undefined && { purgeAt: row.purgeAt } },
    basedOn: knownOf(SETTING, row)
  }
}

/** The last write of a group. @returns false where someone is in it still whom the list did not show yet */
function end (context: Context, own: ReturnType<typeof userSpace>): Promise<boolean> {
  const { space, store, writer, userId } = context
  return writer.withSpacesLocked([space, own], () =>
    retryOnConflict(async () => {
      const [row, self, pointer] = await Promise.all([readGroup(context, space),
        readRow(store, KIND.member, space, userId), readRow(store, KIND.membership, own, space.spaceId)])
      if (row.members + row.invitations > 1) return false
      await commitSides(context, [[space, [...removed(KIND.group, row), ...removed(KIND.member, self)]], [own,
        removed(KIND.membership, pointer)]], 'ends')
      return true
    }))
}

async function someOthers (context: Context): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of everyRecord(context, KIND.member)) {
    if (id !== context.userId) ids.push(id)
    if (ids.length === AT_ONCE) break
  }
  return ids
}
