import { keyPart, TENANT_ID } from '../../entities/fields.ts'
import { Tenant, type TenantStatus } from '../../entities/tenant.ts'
import type { Store } from '../store/store.ts'

/** What the operator knows and decides about tenants. */
export function tenants (store: Store, now: () => number) {
  const named = (tenantId: string) => ({ tenantId: keyPart('tenantId', tenantId, TENANT_ID) })
  return {
    /**
     * A tenant's status; one that nobody has decided on is active. 1 RCU. @throws TypeError on what is no
     * tenant id
     */
    async status (tenantId: string): Promise<TenantStatus> {
      const { data } = await Tenant.get(named(tenantId)).go({ ...store, consistent: true })
      return data?.status ?? 'active'
    },
    /**
     * Sets a tenant's status; every hub holds to it within STATUS_KNOWN_FOR_MS. @throws TypeError on what is
     * no tenant id
     */
    async setStatus (tenantId: string, status: TenantStatus): Promise<void> {
      await Tenant.put({ ...named(tenantId), status, updatedAt: new Date(now()).toISOString() }).go(store)
    }
  }
}
