import { Entity } from 'electrodb'
import { expiresAt, model, spaceAttributes, spacePartition } from './fields.ts'

/**
 * A space and its log (one user's, or one group's). Every change of a space is one transaction that moves HEAD from
 * n to n+1, appends LOG n+1, and writes the records. Nothing here expires by itself but log entries and idempotency rows.
 */

/** HEAD: the last change number, and what the space holds. No TTL: an idle user must not restart at 1. */
export const Head = new Entity({
  model: model('head'),
  attributes: {
    ...spaceAttributes,
    n: { type: 'number', required: true },
    at: { type: 'string', required: true },
    /** Raised by restore and purge, so that every cursor from before is refused. Milliseconds of the space's first write. */
    epoch: { type: 'number', required: true },
    /** The change number up to which the log may have been swept. */
    floor: { type: 'number', required: true },
    bytes: { type: 'number', required: true },
    count: { type: 'number', required: true }
  },
  indexes: {
    /** "Where does this space stand?" */
    only: { pk: spacePartition, sk: { field: 'sk', composite: [], template: 'HEAD', casing: 'none' } }
  }
})

/** What one operation of a change-set did to one record. */
export interface LogOp { type: string, id: string, act: 'put' | 'delete' | 'join' | 'leave' }

/** LOG#n: one change-set. Numbers are contiguous: a reader that sees a hole knows that something is still to come. */
export const LogEntry = new Entity({
  model: model('log'),
  attributes: {
    ...spaceAttributes,
    n: { type: 'number', required: true, padding: { length: 12, char: '0' } },
    at: { type: 'string', required: true },
    sessionId: { type: 'string' },
    ops: {
      type: 'list',
      required: true,
      items: {
        type: 'map',
        properties: {
          type: { type: 'string', required: true },
          id: { type: 'string', required: true },
          act: { type: ['put', 'delete', 'join', 'leave'], required: true }
        }
      }
    },
    expiresAt
  },
  indexes: {
    /** "What changed after n?" */
    byNumber: { pk: spacePartition, sk: { field: 'sk', composite: ['n'], template: 'LOG#${n}', casing: 'none' } }
  }
})

/** IDEM#key: the outcome of a write that carried an Idempotency-Key, written in the transaction of its effect. */
export const IdempotencyRow = new Entity({
  model: model('idempotency'),
  attributes: {
    ...spaceAttributes,
    key: { type: 'string', required: true },
    /** SHA-256 of method, route and body: the same key with another request is refused. */
    requestHash: { type: 'string', required: true },
    /** The outcome as JSON text. Routes make the same bytes of the same outcome. */
    outcome: { type: 'string', required: true },
    expiresAt
  },
  indexes: {
    /** "Was this request answered before?" */
    byKey: { pk: spacePartition, sk: { field: 'sk', composite: ['key'], template: 'IDEM#${key}', casing: 'none' } }
  }
})

/** The tenant's directory: one row a space, written once, in the transaction that first uses the space. */
export const DirectoryEntry = new Entity({
  model: model('directory'),
  attributes: { ...spaceAttributes, createdAt: { type: 'string', required: true } },
  indexes: {
    /** "Which spaces has this tenant?" */
    bySpace: {
      pk: { field: 'pk', composite: ['tenantId'], template: 'TENANT#${tenantId}', casing: 'none' },
      sk: { field: 'sk', composite: ['spaceKind', 'spaceId'], template: 'SPACE#${spaceKind}#${spaceId}', casing: 'none' }
    }
  }
})
