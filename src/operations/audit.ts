import { AuditEvent } from '../../entities/audit-event.ts'
import type { Store } from '../store/store.ts'

/** One thing that happened, for the tenant's audit. */
export interface Happening {
  readonly tenantId: string
  readonly userId: string
  readonly requestId: string
  /** Method and route, such as `PUT /v1/bookmarks/:id`: never an id of a record. */
  readonly action: string
  readonly outcome: 'denied'
}

/** The operator's record of what happened in each tenant: out of the tenant's own reach. */
export function audit (store: Store, now: () => number, retentionDays: number) {
  return {
    /** Writes one event. 1 WCU. */
    async record (happening: Happening): Promise<void> {
      await AuditEvent.put({
        ...happening,
        at: new Date(now()).toISOString(),
        expiresAt: Math.floor(now() / 1000) + retentionDays * 86_400
      }).go(store)
    },
    /** The events of a tenant, newest first. 0.5 RCU per 4 KB. */
    async list (tenantId: string, limit = 100) {
      const { data } = await AuditEvent.query.byTime({ tenantId }).go({
        ...store,
        order: 'desc',
        limit,
        pages: 1,
        consistent: true
      })
      return data
    }
  }
}
