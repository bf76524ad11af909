import { randomUUID } from 'node:crypto'
import type { Static } from 'typebox'
import { group, type Group, type GroupInput } from '../../../entities/group.ts'
import type { Membership, Role } from '../../../entities/membership.ts'
import { inputOf, preconditionFailed } from '../collection.ts'
import type { Context } from '../context.ts'
import { once } from '../../engine/idempotency.ts'
import { list } from '../../engine/list.ts'
import type { Page } from '../../engine/list-query.ts'
import { memberships } from '../memberships.ts'
import { mergePatch } from '../merge-patch.ts'
import { contentOf, PreconditionFailed, type Outcome, type Precondition } from '../../engine/change.ts'
import { readAcross, readRow } from '../../engine/rows.ts'
import { retryOnConflict } from '../../engine/retry.ts'
import { closeGroup } from './closing.ts'
import { assertRoom, commitSides, KIND, readGroup, written, type GroupRow } from './membership-writes.ts'

/** A group as one of its members sees it. */
export type MyGroup = Static<typeof Group> & { readonly role: Role }
type Input = Static<typeof GroupInput>

/** The groups of one user. */
export function groups (context: Context) {
  const { store, userId, config: { limits } } = context
  const { own, spaceOf } = memberships(context)
  const mine = { ...context, space: own }

  return {
    /**
     * The user's groups, in the order of their ids: one Query in the user's own space, and one batch read of
     * what the groups are called.
     * @throws Problem INVALID_CURSOR
     */
    async list (query: { limit: number, cursor?: string | undefined }): Promise<Page<MyGroup>> {
      const { items, ...page } = await list(mine, KIND.membership, query)
      const roles = new Map((items as Static<typeof Membership>[]).map(({ id, role }) => [id, role]))
      const rows = await readAcross(
        store,
        KIND.group,
        [...roles.keys()].map((id) => ({ ...spaceOf(id), id }))
      )
      const found = new Map(rows.map((row) => [row.id, row as GroupRow]))
      return {
        items: [...roles].flatMap(([id, role]) => found.has(id) ? [seen(found.get(id)!, role)] : []),
        ...page
      }
    },
    /**
     * Founds a group, whose owner the user is.
     * @throws Problem LIMIT_REACHED, CONTENTION
     */
    async create (input: Input): Promise<MyGroup> {
      const outcome = await once(mine, () =>
        mine.writer.withSpacesLocked([own], async () => {
          await assertRoom(mine, own, limits.userGroups)
          const id = randomUUID()
          return commitSides(mine, [[own, [written(KIND.membership, id, undefined, { role: 'owner' })]], [
            spaceOf(id),
            [written(KIND.group, id, undefined, group.store(input)),
              written(KIND.member, userId, undefined, { role: 'owner', state: 'active' })]
          ]])
        }))
      return seen(rowOf(outcome), 'owner')
    }
  }
}

/** One group, for a member who may do what is asked: `context` is that of the group's space. */
export function oneGroup (context: Context & { readonly role: Role }) {
  const { space, role, writer, store, sessionId, idempotency } = context

  /** Writes the group anew, from what it is, as long as it takes until nobody was in between. */
  async function edit (
    precondition: Precondition | undefined,
    make: (row: GroupRow) => Input
  ): Promise<MyGroup> {
    return seen(
      rowOf(
        await once(context, () =>
          retryOnConflict(async () => {
            const row = await readGroup(context, space)
            // What is not said is taken away; what the hub counts stays.
            const { name, description } = make(row)
            const change = {
              ...written(KIND.group, row.id, row, { ...contentOf(row), name, description }),
              ...precondition && { precondition }
            }
            return writer.commit({ store, space, sessionId, idempotency, changes: [change] }).catch(
              async (error: unknown) => {
                throw error instanceof PreconditionFailed
                  ? preconditionFailed(KIND.group, await readRow(store, KIND.group, space, space.spaceId))
                  : error
              }
            )
          }))
      ),
      role
    )
  }

  return {
    /** @throws Problem NOT_FOUND */
    get: async (): Promise<MyGroup> => seen(await readGroup(context, space), role),
    put: (input: Input, precondition?: Precondition): Promise<MyGroup> => edit(precondition, () => input),
    patch: (patch: object, precondition?: Precondition): Promise<MyGroup> =>
      edit(precondition, (row) => mergePatch(inputOf(group, group.present(row)), patch) as Input),
    /**
     * Ends the group for everyone: members and invitations go first, in transactions of some twenty, and its
     * owner last. Where it is broken off it can be sent again. What was in the group can't be reached any
     * more.
     * @throws Problem PRECONDITION_FAILED, CONTENTION
     */
    remove: (precondition?: Precondition): Promise<void> => closeGroup(context, precondition)
  }
}

const seen = (row: GroupRow, role: Role): MyGroup => ({ ...group.present(row), role })
const rowOf = ({ results }: Outcome) =>
  results.find(({ resource }) => resource === group.resource)!.row as GroupRow
