import type { Static } from 'typebox'
import { member, type Member } from '../../../entities/group-member.ts'
import type { Role } from '../../../entities/membership.ts'
import { Problem } from '../../errors.ts'
import { assertMatches, notFound } from '../collection.ts'
import type { Context } from '../context.ts'
import { once } from '../../engine/idempotency.ts'
import { list } from '../../engine/list.ts'
import type { Page } from '../../engine/list-query.ts'
import { assertMay } from '../memberships.ts'
import { contentOf, type Precondition } from '../../engine/change.ts'
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

  async function goes (id: string, state: MemberRow['state'], precondition?: Precondition): Promise<void> {
    await once(context, async () => {
      const outcome = await dismiss(context, space, [id], (row) => {
        if (row.state !== state) return false
        assertMatches(KIND.member, row, precondition)
        return true
      })
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
    async setRole (id: string, to: Role, precondition?: Precondition): Promise<MemberRecord> {
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
              assertMatches(KIND.member, found, precondition)
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
     * @throws Problem NOT_FOUND, UNAUTHORIZED_ACCESS, PRECONDITION_FAILED, LAST_OWNER
     */
    async remove (id: string, precondition?: Precondition): Promise<void> {
      if (id !== userId) assertMay(role, 'manage')
      else if (context.idempotency !== undefined) throw leavesOnce()
      await goes(id, 'active', precondition)
    },
    /** Takes an invitation back. @throws Problem NOT_FOUND where there is none, or it was accepted */
    withdraw: (id: string, precondition?: Precondition): Promise<void> => goes(id, 'invited', precondition)
  }
}

/** Who has left finds no group that could answer again. */
function leavesOnce (): Problem {
  const detail = 'is not taken by who leaves: sent again, it is told that there is no such group'
  return new Problem('VALIDATION_FAILED', `idempotency-key ${detail}.`, {
    errors: [{ pointer: 'headers/idempotency-key', detail }]
  })
}
