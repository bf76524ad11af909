import { Entity } from 'electrodb'
import { expiresAt, model, tenantId } from './fields.ts'

/**
 * A pairing code in flight: whose new device it lets in. The operator's, because who claims it has no token
 * that would name a tenant. Found by a keyed hash of the code's first half, so that wrong tries at the second
 * half can be counted.
 */
export const Pairing = new Entity({
  model: model('pairing'),
  attributes: {
    handle: { type: 'string', required: true, readOnly: true, validate: /^[A-Za-z0-9_-]{43}$/ },
    /** A keyed hash of the whole code. */
    codeHash: { type: 'string', required: true },
    tenantId,
    userId: { type: 'string', required: true },
    /** Of the device that made it. */
    sessionId: { type: 'string' },
    /** Wrong codes that began like this one. */
    tries: { type: 'number', required: true },
    /** Names the claim that won. */
    claim: { type: 'string' },
    expiresAt
  },
  indexes: {
    /** "Whose code begins like this?" */
    byHandle: {
      pk: { field: 'pk', composite: ['handle'], template: 'OPS#PAIRING#${handle}', casing: 'none' },
      sk: { field: 'sk', composite: [], template: 'PAIRING', casing: 'none' }
    }
  }
})
