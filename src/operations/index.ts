import { LRUCache } from 'lru-cache'
import type { TenantStatus } from '../../entities/tenant.ts'
import type { Config } from '../config.ts'
import { Problem } from '../errors.ts'
import type { Stores } from '../store/store.ts'
import { audit, type Happening } from './audit.ts'
import { pairings } from './pairings.ts'
import { tenants } from './tenants.ts'

/** A suspended tenant is refused within 5 s: this, and the time of one read. */
export const STATUS_KNOWN_FOR_MS = 4000
const MAX_TENANTS = 10_000

/**
 * The operator world: what is known and recorded about tenants. It is handed the operator's store, which
 * holds no tenant's data.
 */
export function createOperations (
  config: Pick<Config, 'retentionDays' | 'secret' | 'limits'>,
  stores: Pick<Stores, 'operator'>,
  now: () => number
) {
  const statuses = new LRUCache<string, TenantStatus>({
    max: MAX_TENANTS,
    ttl: STATUS_KNOWN_FOR_MS,
    fetchMethod: async (tenantId) => tenants(await stores.operator(), now).status(tenantId)
  })
  return {
    /**
     * A tenant's status, at most STATUS_KNOWN_FOR_MS old: one read for all requests of that time.
     * @throws Problem STORE_UNAVAILABLE: what can't be known is not taken for good
     */
    async statusOf (tenantId: string): Promise<TenantStatus> {
      return (await statuses.fetch(tenantId).catch((cause: unknown) => {
        // Also where the store denies it: then it is the operator's role that is wrong, and not this tenant's
        // request.
        throw new Problem('STORE_UNAVAILABLE', 'The status of the tenant could not be read.', {
          retryAfter: 1
        }, { cause })
      }))!
    },
    /** @throws Problem TENANT_SUSPENDED, STORE_UNAVAILABLE */
    async assertActive (tenantId: string): Promise<void> {
      if (await this.statusOf(tenantId) === 'suspended') {
        throw new Problem(
          'TENANT_SUSPENDED',
          'This tenant is suspended, and its data is kept. Ask the operator of this hub.'
        )
      }
    },
    /** Writes to the tenant's audit. @throws a failure of the store */
    async record (happening: Happening): Promise<void> {
      await audit(await stores.operator(), now, config.retentionDays).record(happening)
    },
    /** Codes by which a new device joins those of a user. */
    pairings: async () => pairings(await stores.operator(), config, now)
  }
}

export type Operations = ReturnType<typeof createOperations>
