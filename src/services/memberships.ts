import { membership, type Role } from '../../entities/membership.ts'
import { spaceKey, type SpaceKey } from '../../entities/fields.ts'
import { collection, notFound } from './collection.ts'
import type { Context } from './context.ts'
import { readRows } from './space/rows.ts'

/** The names of spaces on the wire: a user's own one, and `group:{id}`. */
export const ME = 'me'
export const GROUP = 'group:'

/** The groups that a user belongs to, as the user's own space has them. */
export function memberships (context: Context) {
  const { store, space, userId } = context
  const own = spaceKey(space.tenantId, 'USER', userId)
  const pointers = collection({ ...context, space: own }, membership, { check () {} })
  const spaceOf = (groupId: string): SpaceKey => spaceKey(space.tenantId, 'GROUP', groupId)

  return {
    /** Which of the groups the user belongs to at this moment, with the role. Strong reads, 1 RCU a group. */
    async among (groupIds: readonly string[]): Promise<Map<string, Role>> {
      const rows = await readRows(store, membership, own, groupIds)
      return new Map(rows.filter(({ deletedAt }) => deletedAt === undefined).map(({ id, role }) => [id, role as Role]))
    },
    spaceOf,
    /**
     * The space of a name on the wire.
     * @throws Problem NOT_FOUND where there is no such group or the user is not in it: the two can't be told apart
     */
    async resolve (name: string): Promise<{ space: SpaceKey, role: Role }> {
      if (name === ME) return { space: own, role: 'owner' }
      const groupId = name.slice(GROUP.length)
      const role = (await this.among([groupId])).get(groupId)
      if (role === undefined) throw notFound('space')
      return { space: spaceOf(groupId), role }
    },
    async join (groupId: string, role: Role): Promise<void> { await pointers.put(groupId, { role }) },
    async leave (groupId: string): Promise<void> { await pointers.remove(groupId) }
  }
}
