import { Type } from 'typebox'

/**
 * Fragments that entities spread. Physical names (pk, sk, gsi1pk, ttl ...) live here and nowhere else;
 * `src/store/table.ts` declares the same names for the table itself and a test compares the two.
 */

/**
 * 3 to 48 characters: lower-case letters, digits and inner hyphens. No `#`, `*` or `?` can reach a key or a
 * policy pattern.
 */
export const TENANT_ID = /^[a-z0-9](?:[a-z0-9-]{1,46}[a-z0-9])$/
/** 1 to 64 characters of `A-Z a-z 0-9 _ -`, starting with a letter or digit: user ids and record ids. */
export const PLAIN_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/
/** As PLAIN_ID, and dots: names of settings such as `editor.theme`. */
export const DOTTED_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

export const PlainId = Type.String({
  pattern: PLAIN_ID.source,
  description: '1 to 64 of A-Z a-z 0-9 _ -, starting with a letter or digit'
})
export const DottedId = Type.String({
  pattern: DOTTED_ID.source,
  description: '1 to 64 of A-Z a-z 0-9 . _ -, starting with a letter or digit'
})
/** An RFC 3339 time in UTC with milliseconds. */
export const Time = Type.String({ format: 'date-time', readOnly: true, description: 'RFC 3339, UTC' })

/** Names one space: one user's, or one group's, within a tenant. */
export interface SpaceKey {
  readonly tenantId: string
  readonly spaceKind: 'USER' | 'GROUP'
  readonly spaceId: string
}

/**
 * Names a space. The edge has checked the ids already; this is the second check, where keys are built,
 * because ElectroDB does not type-check key facets (`['a']` builds the key of `'a'`, null builds
 * `TENANT#null`).
 * @throws TypeError naming the part that does not fit
 */
export function spaceKey (tenantId: string, spaceKind: 'USER' | 'GROUP', spaceId: string): SpaceKey {
  return Object.freeze({
    tenantId: keyPart('tenantId', tenantId, TENANT_ID),
    spaceKind,
    spaceId: keyPart('spaceId', spaceId, PLAIN_ID)
  })
}

/** A space as one string: what processes remember spaces by. */
export const spaceName = ({ tenantId, spaceKind, spaceId }: SpaceKey): string =>
  `${tenantId}#${spaceKind}#${spaceId}`

/** `value` itself, where it is a string of the grammar. @throws TypeError naming the part */
export function keyPart (name: string, value: unknown, grammar: RegExp): string {
  if (typeof value !== 'string' || !grammar.test(value)) {
    throw new TypeError(`${name} does not fit the grammar of keys`)
  }
  return value
}

export const tenantId = { type: 'string', required: true, readOnly: true, validate: TENANT_ID } as const

/** The partition: attributes that every row of a space carries. They are read-only, so a row never moves. */
export const spaceAttributes = {
  tenantId,
  spaceKind: { type: ['USER', 'GROUP'], required: true, readOnly: true },
  spaceId: { type: 'string', required: true, readOnly: true, validate: PLAIN_ID }
} as const

const SPACE_PARTITION = {
  composite: ['tenantId', 'spaceKind', 'spaceId'],
  template: 'TENANT#${tenantId}#${spaceKind}#${spaceId}',
  casing: 'none'
} as const

/** The primary key of a space's rows, `TENANT#{tenantId}#USER#{userId}`. */
export const spacePartition = { field: 'pk', ...SPACE_PARTITION } as const

/**
 * The partition of the operator's rows about a tenant: outside the tenant's own prefix, so that IAM keeps the
 * tenant out.
 */
export const operatorPartition = {
  field: 'pk',
  composite: ['tenantId'],
  template: 'OPS#TENANT#${tenantId}',
  casing: 'none'
} as const

/** What every synchronised record carries. `rev` is the number of its last change in the space's log. */
export const recordAttributes = {
  ...spaceAttributes,
  rev: { type: 'number', required: true },
  createdAt: { type: 'string', required: true },
  updatedAt: { type: 'string', required: true },
  /** Present on a tombstone only. */
  deletedAt: { type: 'string' },
  /** When the sweep may remove a tombstone: epoch seconds, the table's TTL attribute. */
  purgeAt: { type: 'number', field: 'ttl' }
} as const

export const plainId = { type: 'string', required: true, readOnly: true, validate: PLAIN_ID } as const
export const dottedId = { type: 'string', required: true, readOnly: true, validate: DOTTED_ID } as const

/** Logical expiry in epoch seconds, compared on every read; TTL only sweeps, late and unordered. */
export const expiresAt = { type: 'number', required: true, field: 'ttl' } as const

/**
 * The two indexes of every record.
 * byId: "which records are in this space?" One Query on the collection answers for every kind.
 * byTime: "what is newest in this space?" Keys only, so an edit costs it nothing; tombstones leave it.
 */
export const recordIndexes = {
  byId: { collection: 'records', pk: spacePartition, sk: { field: 'sk', composite: ['id'], casing: 'none' } },
  byTime: {
    index: 'gsi1',
    projection: 'keys_only',
    condition: (row: { deletedAt?: string }) => row.deletedAt === undefined,
    pk: { field: 'gsi1pk', ...SPACE_PARTITION },
    sk: { field: 'gsi1sk', composite: ['createdAt', 'id'], casing: 'none' }
  }
} as const

/** Every ElectroDB model of the hub belongs to this service, version 1. */
export const model = (entity: string) => ({ entity, service: 'hub', version: '1' }) as const
