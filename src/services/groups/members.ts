import type { Static } from 'typebox'
import { member, type Member } from '../../../entities/group-member.ts'
import type { Role } from '../../../entities/membership.ts'
import { notFound } from '../collection.ts'
import type { Context } from '../context.ts'
import { once } from '../../engine/idempotency.ts'
import { list, type Page } from '../../engine/list.ts'
import { assertMay } from '../memberships.ts'
import { contentOf } from '../../engine/change.ts'
import { readRow } from '../../engine/rows.ts'
import { retryOnConflict } from '../../engine/retry.ts'
import {
  commitSides,
  dismiss,
  isLive,
  KIND,
  moved,
  readGroup,
  userSpace,
  written,
  type MemberRow
} from './membership-writes.ts'

export type MemberRecord = Static<typeof Member>

/** Who is in a group, or invited, and what they may do. */
export function members (context: Context & { readonly role: Role }) {
  const { store, space, userId, role } = context

  async function goes (id: string, state: MemberRow['state']): Promise<void> {
    await once(context, async () => {
      const outcome = await dismiss(context, space, [id], (member) => member.state === state)
      if (outcome === undefined) throw notFound(state === 'active' ? 'member' : 'invitation')
      return outcome
    })
  }

  return {
    /**
     * A page of those who are in it, or are invited, in the order of their user ids. @throws Problem
     * INVALID_CURSOR
     */
    list: (
      state: MemberRow['state'],
      query: { limit: number, cursor?: string | undefined }
    ): Promise<Page<MemberRecord>> =>
      list(context, KIND.member, {
        ...query,
        filterName: state,
        matches: (record) => (record as MemberRecord).state === state
      }) as Promise<Page<MemberRecord>>,
    /**
     * Changes what a member may do.
     * @throws Problem NOT_FOUND, LAST_OWNER
     */
    async setRole (id: string, to: Role): Promise<MemberRecord> {
      const own = userSpace(context, id)
      const { results } = await once(
        context,
        () =>
          context.writer.withSpacesLocked([space, own], () =>
            retryOnConflict(async () => {
              const [row, found, pointer] = await Promise.all([readGroup(context, space),
                readRow(store, KIND.member, space, id), readRow(store, KIND.membership, own, space.spaceId)])
              if (
                !isLive(found) || !isLive(pointer) || (found as MemberRow).state !== 'active'
              ) throw notFound('member')
              const owners = Number(to === 'owner') - Number((found as MemberRow).role === 'owner')
              return commitSides(context, [[space, [
                written(KIND.member, id, found, { ...contentOf(found), role: to }),
                moved(row, { owners })
              ]], [own, [written(KIND.membership, space.spaceId, pointer, { role: to })]]])
            }))
      )
      return member.present(results[0]!.row as never)
    },
    /**
     * Takes a member out; anyone may take oneself out.
     * @throws Problem NOT_FOUND, UNAUTHORIZED_ACCESS, LAST_OWNER
     */
    async remove (id: string): Promise<void> {
      if (id !== userId) assertMay(role, 'manage')
      await goes(id, 'active')
    },
    /** Takes an invitation back. @throws Problem NOT_FOUND where there is none, or it was accepted */
    withdraw: (id: string): Promise<void> => goes(id, 'invited')
  }
}
