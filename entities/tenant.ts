import { Entity } from 'electrodb'
import { model, operatorPartition, tenantId } from './fields.ts'

/** What a tenant may do: everything, or nothing for now. */
export const TENANT_STATUSES = ['active', 'suspended'] as const
export type TenantStatus = (typeof TENANT_STATUSES)[number]

/** A tenant, as the operator sees it. A tenant without a row is active: tokens bring tenants into being. */
export const Tenant = new Entity({
  model: model('tenant'),
  attributes: {
    tenantId,
    status: { type: TENANT_STATUSES, required: true },
    /** When the status was set. */
    updatedAt: { type: 'string', required: true }
  },
  indexes: {
    /** "What may this tenant do?" */
    byId: { pk: operatorPartition, sk: { field: 'sk', composite: [], template: 'TENANT', casing: 'none' } }
  }
})
