import { block } from '../../../entities/block.ts'
import { group } from '../../../entities/group.ts'
import { invitation } from '../../../entities/invitation.ts'
import { member } from '../../../entities/group-member.ts'
import { membership, type Role } from '../../../entities/membership.ts'
import { spaceKey, spaceName, type SpaceKey } from '../../../entities/fields.ts'
import type { Definition } from '../../../entities/definition.ts'
import { Problem } from '../../errors.ts'
import { notFound } from '../collection.ts'
import type { Context } from '../context.ts'
import { everyRecord } from '../../engine/list.ts'
import {
  contentOf,
  knownOf,
  removal,
  Superseded,
  type Change,
  type Outcome,
  type Row
} from '../../engine/change.ts'
import { readAcross, readRow, readRows } from '../../engine/rows.ts'
import { retryOnConflict } from '../../engine/retry.ts'

/**
 * Who belongs to a group stands in two spaces: the group's has the members, and counts them; each user's own
 * has the membership, or the invitation. Both sides are written in one transaction, on the group as it was
 * read.
 */

export const KIND = { block, group, invitation, member, membership } as unknown as Record<
  'block' | 'group' | 'invitation' | 'member' | 'membership',
  Definition
>

/** A group as it is stored. */
export type GroupRow = Row & {
  readonly name: string,
  readonly members: number,
  readonly owners: number,
  readonly invitations: number,
  readonly closing?: boolean
}
export type MemberRow = Row & {
  readonly role: Role,
  readonly state: 'active' | 'invited',
  readonly invitedBy?: string,
  readonly expiresAt?: string
}

/** Counters of a group, as one change moves them. */
export interface Moves {
  readonly members?: number
  readonly owners?: number
  readonly invitations?: number
}

export const isLive = <R extends Row>(row: R | undefined): row is R =>
  row !== undefined && row.deletedAt === undefined

/** @throws Problem NOT_FOUND */
export async function readGroup ({ store }: Context, space: SpaceKey): Promise<GroupRow> {
  const row = await readRow(store, KIND.group, space, space.spaceId)
  if (!isLive(row)) throw notFound('group')
  return row as GroupRow
}

/** A record that is written anew, on the row that was read; without one it must not be there. */
export function written (
  definition: Definition,
  id: string,
  row: Row | undefined,
  content: Record<string, unknown>
): Change {
  return {
    definition,
    id,
    act: 'put',
    content,
    ...row === undefined ? { precondition: { ifNoneMatch: true } } : { basedOn: knownOf(definition, row) }
  }
}

/** What takes a row away, where it is there. */
export function removed (definition: Definition, row: Row | undefined): Change[] {
  return isLive(row) ? [{ ...removal(definition, row), basedOn: knownOf(definition, row) }] : []
}

/**
 * The group with its counters moved: with this in it, no two changes of a group's members overtake each
 * other.
 * @throws Problem LAST_OWNER where nobody would be left to manage the group
 */
export function moved (
  row: GroupRow,
  { members = 0, owners = 0, invitations = 0 }: Moves,
  further: Record<string, unknown> = {}
): Change {
  const after = {
    members: row.members + members,
    owners: row.owners + owners,
    invitations: row.invitations + invitations
  }
  if (after.owners < 1) {
    throw new Problem(
      'LAST_OWNER',
      'A group must have an owner. Make another member an owner first, or delete the group.'
    )
  }
  return written(KIND.group, row.id, row, { ...contentOf(row), ...further, ...after })
}

/**
 * Commits what changes in several spaces at once, within `withSpacesLocked`. The Idempotency-Key stands in the
 * space of the context.
 * @param closing that it is the last write of the context's space
 * @throws Superseded where a row is not what it was when it was read; Problem QUOTA_EXCEEDED, CONTENTION
 */
export function commitSides (
  { store, space: keyed, sessionId, idempotency, writer }: Context,
  sides: readonly (readonly [space: SpaceKey, changes: readonly Change[]])[],
  closing?: 'ends'
): Promise<Outcome> {
  const writes = sides.filter(([, changes]) => changes.length > 0).map(([space, changes]) => ({
    store,
    space,
    changes,
    sessionId,
    ...spaceName(space) === spaceName(keyed) && { idempotency, ...closing && { closing } }
  }))
  return writer.commitAcross(writes)
}

/**
 * Takes people out of a group: members, and those who are invited. Both sides of all of them in one
 * transaction, so about twenty at most.
 * @param goes who of them, as they are then
 * @returns undefined where there were none
 */
export function dismiss (
  context: Context,
  space: SpaceKey,
  ids: readonly string[],
  goes: (member: MemberRow) => boolean = () => true
): Promise<Outcome | undefined> {
  const spaces = ids.map((id) => userSpace(context, id))
  const pointers = async (definition: Definition) =>
    new Map(
      (await readAcross(context.store, definition, spaces.map((place) => ({ ...place, id: space.spaceId }))))
        .map((row) => [row.spaceId, row])
    )
  return context.writer.withSpacesLocked([space, ...spaces], () =>
    retryOnConflict(async () => {
      const [row, members, joined, invited] = await Promise.all([readGroup(context, space),
        readRows(context.store, KIND.member, space, ids), pointers(KIND.membership),
        pointers(KIND.invitation)])
      const there = (members.filter(isLive) as MemberRow[]).filter(goes)
      if (there.length === 0) return undefined
      // Four reads are not one: who is in has a membership, who is invited an invitation, or they are not of
      // one moment.
      if (
        there.some(({ id, state }) => !isLive((state === 'active' ? joined : invited).get(id)))
      ) throw new Superseded()
      const active = there.filter(({ state }) => state === 'active')
      const owners = active.filter(({ role }) => role === 'owner')
      return commitSides(context, [[space, [moved(row, {
        members: -active.length,
        owners: -owners.length,
        invitations: active.length - there.length
      }), ...there.flatMap((member) => removed(KIND.member, member))]], ...there.map(({ id }) =>
        [userSpace(context, id), [...removed(KIND.membership, joined.get(id)),
          ...removed(KIND.invitation, invited.get(id))]] as const
      )])
    }))
}

export const userSpace = ({ space: { tenantId } }: Context, userId: string): SpaceKey =>
  spaceKey(tenantId, 'USER', userId)

/** @throws Problem LIMIT_REACHED naming the limit, its value and what it would become */
export function assertWithin (name: string, value: number, sent: number, what: string): void {
  if (sent > value) {
    throw new Problem('LIMIT_REACHED', `${what}; ${value} is the most.`, { limit: { name, value, sent } })
  }
}

/**
 * Whether the user may join one group more: exactly within `together`, and between processes a glance.
 * @throws Problem LIMIT_REACHED
 */
export async function assertRoom ({ store }: Context, own: SpaceKey, most: number): Promise<void> {
  let groups = 0
  for await (const _ of everyRecord({ store, space: own }, KIND.membership)) groups++
  assertWithin('userGroups', most, groups + 1, 'The user would be in too many groups')
}
