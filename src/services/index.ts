import type { Role } from '../../entities/membership.ts'
import { spaceKey } from '../../entities/fields.ts'
import type { Scope, Store } from '../store/store.ts'
import { bookmarks } from './bookmarks/index.ts'
import type { Context, Shared } from './context.ts'
import { blocks } from './groups/blocks.ts'
import { groups, oneGroup } from './groups/index.ts'
import { invitations, invite } from './groups/invitations.ts'
import { members, type MemberRecord } from './groups/members.ts'
import { GROUP } from '../engine/change-set.ts'
import { memberships, type Action } from './memberships.ts'
import { sessions } from './sessions.ts'
import { settings } from './settings.ts'
import { sync } from './sync/index.ts'
import { trash } from './trash.ts'
import { readHead } from '../engine/rows.ts'
import { stagedBy } from '../engine/staging.ts'

/**
 * The tenant world, for one request: everything the people of one tenant may do, in the user's own space. It
 * is handed one tenant's store and can reach nothing else; no method takes a tenant id.
 */
export function createServices (
  shared: Shared,
  scope: Scope,
  store: Store,
  { idempotency, assertAllowed }: Pick<Context, 'idempotency' | 'assertAllowed'>
) {
  const space = spaceKey(scope.tenantId, 'USER', scope.userId)
  const context: Context = {
    ...shared,
    store,
    space,
    userId: scope.userId,
    sessionId: scope.sessionId,
    idempotency,
    assertAllowed
  }
  return {
    ...inSpace(context),
    sync: sync(context),
    sessions: sessions(context),
    groups: groups(context),
    invitations: invitations(context),
    blocks: blocks(context),
    usage: () => usage(context),
    /**
     * What can be done in a group, for a member who may do that much.
     * @throws Problem NOT_FOUND, UNAUTHORIZED_ACCESS
     */
    async inGroup (groupId: string, action: Action) {
      const group = await memberships(context).enter(GROUP + groupId, action)
      return {
        ...inSpace(group),
        group: oneGroup(group),
        members: members(group),
        invite: (invited: { userId: string, role: Role }): Promise<MemberRecord> => invite(group, invited)
      }
    }
  }
}

/** What can be done in any one space. */
function inSpace (context: Context) {
  return {
    bookmarks: bookmarks(context),
    settings: settings(context),
    trash: trash(context)
  }
}

/** What the user's space holds, and what the user has staged beside it: 1.5 RCU. */
async function usage (context: Context) {
  const [head, staged] = await Promise.all([readHead(context.store, context.space), stagedBy(context)])
  return {
    records: head?.count ?? 0,
    bytes: head?.bytes ?? 0,
    stagedBatches: staged.batches,
    stagedBytes: staged.bytes
  }
}

export type SpaceServices = ReturnType<typeof inSpace>
export type GroupServices = Awaited<ReturnType<Services['inGroup']>>

export type Services = ReturnType<typeof createServices>
