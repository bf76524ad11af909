import { membership, type Role } from '../../entities/membership.ts'
import { spaceKey, type SpaceKey } from '../../entities/fields.ts'
import { Problem } from '../errors.ts'
import { notFound } from './collection.ts'
import { GROUP, ME } from '../engine/change-set.ts'
import type { Context } from './context.ts'
import { readRows } from '../engine/rows.ts'

/** What can be done in a group, and who may: the one place that says so. Everyone may leave. */
export const PERMISSIONS = {
  /** See what is in it, and who. */
  read: ['owner', 'editor', 'viewer'],
  /** Change the records in it. */
  write: ['owner', 'editor'],
  /** Change the group itself, its members and invitations. */
  manage: ['owner']
} as const satisfies Record<string, readonly Role[]>
export type Action = keyof typeof PERMISSIONS

/** @throws Problem UNAUTHORIZED_ACCESS */
export function assertMay (role: Role, action: Action): void {
  if ((PERMISSIONS[action] as readonly Role[]).includes(role)) return
  throw new Problem(
    'UNAUTHORIZED_ACCESS',
    `A member with the role ${role} can't do this. The role must be ${PERMISSIONS[action].join(' or ')}.`
  )
}

/** The groups that a user belongs to, as the user's own space has them. */
export function memberships (context: Context) {
  const { store, reads, space: { tenantId }, userId } = context
  const own = spaceKey(tenantId, 'USER', userId)
  const spaceOf = (groupId: string): SpaceKey => spaceKey(tenantId, 'GROUP', groupId)

  return {
    own,
    spaceOf,
    /**
     * Which of the groups the user belongs to at this moment, with the role. Strong reads, 1 RCU a group.
     * @param isFollowing whether many may ask in the same turn: then it is one call for all
     */
    async among (groupIds: readonly string[], isFollowing = false): Promise<Map<string, Role>> {
      const rows = isFollowing
        ? await reads.rows(store, membership, groupIds.map((id) => ({ ...own, id })))
        : await readRows(store, membership, own, groupIds)
      return new Map(
        rows.filter(({ deletedAt }) => deletedAt === undefined).map(({ id, role }) => [id, role as Role])
      )
    },
    /**
     * The context of a space by its name on the wire, for someone who would do this in it.
     * @throws Problem NOT_FOUND where there is no such group or the user is not in it: the two can't be
     *   told apart
     * @throws Problem UNAUTHORIZED_ACCESS where the user's role does not allow it
     */
    async enter (name: string, action: Action): Promise<Context & { readonly role: Role }> {
      if (name === ME) return { ...context, space: own, role: 'owner' }
      const groupId = name.slice(GROUP.length)
      const allowed = async () => {
        const role = (await this.among([groupId])).get(groupId)
        if (role === undefined) throw notFound('space')
        assertMay(role, action)
        return role
      }
      const role = await allowed()
      // Members of a group choose their keys without knowing of each other.
      const { idempotency } = context
      return {
        ...context,
        role,
        space: spaceOf(groupId),
        assertAllowed: async () => {
          await context.assertAllowed()
          await allowed()
        },
        idempotency: idempotency && { ...idempotency, key: `${userId} ${idempotency.key}` }
      }
    }
  }
}
