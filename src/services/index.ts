import { spaceKey } from '../../entities/fields.ts'
import type { Scope, Store } from '../store/store.ts'
import { bookmarks } from './bookmarks.ts'
import type { Context, Shared } from './context.ts'
import { memberships } from './memberships.ts'
import { settings } from './settings.ts'
import { sync } from './sync/index.ts'
import { trash } from './trash.ts'
import { readHead } from './space/rows.ts'

/**
 * The tenant world, for one request: everything the people of one tenant may do, in the user's own space. It is handed
 * one tenant's store and can reach nothing else; no method takes a tenant id.
 */
export function createServices (shared: Shared, scope: Scope, store: Store, idempotency: Context['idempotency']) {
  const space = spaceKey(scope.tenantId, 'USER', scope.userId)
  const context: Context = { ...shared, store, space, userId: scope.userId, sessionId: scope.sessionId, idempotency }
  return {
    bookmarks: bookmarks(context),
    settings: settings(context),
    memberships: memberships(context),
    sync: sync(context),
    trash: trash(context),
    /** What the space holds: from HEAD, 1 RCU. */
    async usage (): Promise<{ records: number, bytes: number }> {
      const head = await readHead(store, space)
      return { records: head?.count ?? 0, bytes: head?.bytes ?? 0 }
    }
  }
}

export type Services = ReturnType<typeof createServices>
