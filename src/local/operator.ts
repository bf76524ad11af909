import type { FastifyPluginAsync } from 'fastify'
import { Type } from 'typebox'
import { TENANT_ID } from '../../entities/fields.ts'
import { TENANT_STATUSES, type TenantStatus } from '../../entities/tenant.ts'
import { tenants } from '../operations/tenants.ts'
import type { Store } from '../store/store.ts'
import { loopbackOnly } from './issuer.ts'

const Params = Type.Object({ tenantId: Type.String({ pattern: TENANT_ID.source }) })
const Body = Type.Object({ status: Type.Enum([...TENANT_STATUSES]) }, { additionalProperties: false })

/** The operator's desk of a local hub: whoever can reach it may suspend a tenant (`npm run tenant`). */
export const operator = (store: Store): FastifyPluginAsync => async (app) => {
  app.addHook('onRequest', loopbackOnly)
  app.put<{ Params: { tenantId: string }, Body: { status: TenantStatus } }>('/local/tenants/:tenantId', {
    config: { public: true },
    schema: { params: Params, body: Body, hide: true }
  }, async ({ params: { tenantId }, body: { status } }) => {
    await tenants(store, Date.now).setStatus(tenantId, status)
    return { tenantId, status }
  })
}
