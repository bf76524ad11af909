import type { Static } from 'typebox'
import { member } from '../../../entities/group-member.ts'
import type { Invitation } from '../../../entities/invitation.ts'
import { membership, type Membership, type Role } from '../../../entities/membership.ts'
import { Problem } from '../../errors.ts'
import { notFound } from '../collection.ts'
import type { Context } from '../context.ts'
import { once } from '../../engine/idempotency.ts'
import { list, everyRecord } from '../../engine/list.ts'
import type { Page } from '../../engine/list-query.ts'
import { memberships } from '../memberships.ts'
import { readRow } from '../../engine/rows.ts'
import { retryOnConflict } from '../../engine/retry.ts'
import type { MemberRecord } from './members.ts'
import {
  assertRoom,
  assertWithin,
  commitSides,
  dismiss,
  isLive,
  KIND,
  moved,
  readGroup,
  removed,
  userSpace,
  written,
  type GroupRow,
  type MemberRow
} from './membership-writes.ts'

const DAY_MS = 86_400_000
/** Expired invitations that one transaction tidies away. */
const TIDIED = 20

export type InvitationRecord = Static<typeof Invitation>

const hasExpired = ({ expiresAt }: { readonly expiresAt?: string | undefined }, now: number) =>
  expiresAt === undefined || Date.parse(expiresAt) <= now

/**
 * Asks someone of the same tenant into a group; also someone who never signed in, who finds it then. Nobody
 * of another tenant can be meant: a user id is one within the tenant. Who is invited already is invited anew.
 * @param context of the group's space @returns the member to be
 * @throws Problem ALREADY_MEMBER, LIMIT_REACHED, BLOCKED
 */
export async function invite (
  context: Context,
  { userId: id, role }: { readonly userId: string, readonly role: Role }
): Promise<MemberRecord> {
  const { store, space, userId, now, config: { limits } } = context
  const own = userSpace(context, id)
  const attempt = () =>
    context.writer.withSpacesLocked([space, own], () =>
      retryOnConflict(async () => {
        const [row, found, pointer, blocked] = await Promise.all([readGroup(context, space),
          readRow(store, KIND.member, space, id), readRow(store, KIND.invitation, own, space.spaceId),
          readRow(store, KIND.block, own, userId)])
        if (row.closing === true) throw notFound('group')
        const known = isLive(found) ? found as MemberRow : undefined
        if (known?.state === 'active') {
          throw new Problem('ALREADY_MEMBER', 'The user is already in the group.')
        }
        if (isLive(blocked)) throw new Problem('BLOCKED', 'The user has blocked you.')
        if (known === undefined) {
          assertWithin(
            'groupInvitations',
            limits.groupInvitations,
            row.invitations + 1,
            'The group would have too many pending invitations'
          )
          assertWithin(
            'groupMembers',
            limits.groupMembers,
            row.members + row.invitations + 1,
            'The group would have too many members, those invited included'
          )
          const { items } = await list({ ...context, space: own }, KIND.invitation, {
            limit: limits.userInvitations,
            matches: (record) => !hasExpired(record as InvitationRecord, now())
          })
          assertWithin(
            'userInvitations',
            limits.userInvitations,
            items.length + 1,
            'The user would have too many pending invitations'
          )
          assertWithin(
            'invitationsFromOne',
            limits.invitationsFromOne,
            (items as InvitationRecord[]).filter(({ invitedBy }) => invitedBy === userId).length + 1,
            'The user would have too many pending invitations from you'
          )
        }
        const terms = {
          role,
          invitedBy: userId,
          expiresAt: new Date(now() + limits.invitationDays * DAY_MS).toISOString()
        }
        return commitSides(context, [[space, [written(KIND.member, id, found, { ...terms, state: 'invited' }),
          moved(row, { invitations: known === undefined ? 1 : 0 })]], [own, [
          written(KIND.invitation, space.spaceId, pointer, { ...terms, name: row.name }),
          // Who is blocked at this moment asks nobody.
          { definition: KIND.block, id: userId, act: 'check', content: {} }
        ]]])
      }))
  const { results } = await once(context, async () => {
    for (;;) {
      try {
        return await attempt()
      } catch (error) {
        // Those that have expired make room.
        if (!(error instanceof Problem && error.errorType === 'LIMIT_REACHED' && await tidy(context))) {
          throw error
        }
      }
    }
  })
  return member.present(results[0]!.row as never)
}

/** Takes some of a group's expired invitations away. @returns false where there were none */
async function tidy (context: Context): Promise<boolean> {
  const isOver = (row: MemberRow) => row.state === 'invited' && hasExpired(row, context.now())
  const expired: string[] = []
  for await (const row of everyRecord(context, KIND.member)) {
    if (isOver(row as MemberRow)) expired.push(row.id)
    if (expired.length === TIDIED) break
  }
  return expired.length > 0 &&
    await dismiss({ ...context, idempotency: undefined }, context.space, expired, isOver) !== undefined
}

/** The invitations of one user. */
export function invitations (given: Context) {
  const { own, spaceOf } = memberships(given)
  const context = { ...given, space: own }
  const { store, userId, now, config: { limits } } = context

  return {
    /** Those that have not expired, in the order of the groups' ids. @throws Problem INVALID_CURSOR */
    list: (query: { limit: number, cursor?: string | undefined }): Promise<Page<InvitationRecord>> =>
      list(context, KIND.invitation, {
        ...query,
        matches: (record) => !hasExpired(record as InvitationRecord, now())
      }) as Promise<Page<InvitationRecord>>,
    /**
     * Joins the group. Who is in it already stays so.
     * @throws Problem NOT_FOUND where there is no invitation, it was withdrawn, or it has expired;
     *   LIMIT_REACHED
     */
    async accept (groupId: string): Promise<Static<typeof Membership>> {
      const space = spaceOf(groupId)
      const { results } = await once(
        context,
        () =>
          context.writer.withSpacesLocked([own, space], () =>
            retryOnConflict(async () => {
              const [row, found, invited, pointer] = await Promise.all([
                readRow(store, KIND.group, space, groupId),
                readRow(store, KIND.member, space, userId),
                readRow(store, KIND.invitation, own, groupId),
                readRow(store, KIND.membership, own, groupId)
              ])
              if (isLive(pointer)) {
                return {
                  n: pointer.rev,
                  at: pointer.updatedAt,
                  results: [{ resource: membership.resource, row: pointer, created: false }]
                }
              }
              const asked = isLive(found) ? found as MemberRow : undefined
              if (
                !isLive(row) || row.closing === true || !isLive(invited) || asked?.state !== 'invited' ||
                hasExpired(asked, now())
              ) throw notFound('invitation')
              await assertRoom(context, own, limits.userGroups)
              const { role } = asked
              return commitSides(context, [[own, [written(KIND.membership, groupId, pointer, { role }),
                ...removed(KIND.invitation, invited)]], [space, [
                written(KIND.member, userId, asked, { role, state: 'active', invitedBy: asked.invitedBy }),
                moved(row as GroupRow, { members: 1, owners: Number(role === 'owner'), invitations: -1 })
              ]]])
            }))
      )
      return membership.present(
        results.find(({ resource }) => resource === membership.resource)!.row as never
      )
    },
    /** @throws Problem NOT_FOUND where there is none, or it was withdrawn */
    async decline (groupId: string): Promise<void> {
      await once(context, async () => {
        const outcome = await dismiss(context, spaceOf(groupId), [userId], ({ state }) => state === 'invited')
          .catch((error: unknown) => {
            throw error instanceof Problem && error.errorType === 'NOT_FOUND' ? notFound('invitation') : error
          })
        if (outcome === undefined) throw notFound('invitation')
        return outcome
      })
    }
  }
}
