import { Entity } from 'electrodb'
import { expiresAt, model, operatorPartition, tenantId } from './fields.ts'

/** Something that the operator has to know of: never changed, kept for the retention time. */
export const AuditEvent = new Entity({
  model: model('audit'),
  attributes: {
    tenantId,
    /** RFC 3339, UTC. */
    at: { type: 'string', required: true },
    requestId: { type: 'string', required: true },
    userId: { type: 'string', required: true },
    /** What was tried: method and route, such as `PUT /v1/bookmarks/:id`. */
    action: { type: 'string', required: true },
    /** How it ended. */
    outcome: { type: ['denied'], required: true },
    expiresAt
  },
  indexes: {
    /** "What happened in this tenant, and when?" */
    byTime: {
      pk: operatorPartition,
      sk: {
        field: 'sk',
        composite: ['at', 'requestId'],
        template: 'AUDIT#${at}#${requestId}',
        casing: 'none'
      }
    }
  }
})
