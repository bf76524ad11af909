import { Entity } from 'electrodb'
import { Type } from 'typebox'
import { define } from './definition.ts'
import { DottedId, Time, dottedId, model, recordAttributes, recordIndexes } from './fields.ts'

/** Public settings are spread over this many index partitions by a hash of their public id. */
export const PUBLIC_SHARDS = 10

const value = Type.Unknown({
  description:
    'Any JSON value of at most 64 KB and 16 levels. An integer beyond 2^53, an infinite number and a subnormal number are refused, never rounded.'
})
const isPublic = Type.Boolean({ default: false, description: 'Anyone can read it at /v1/public/settings' })

export const Setting = Type.Object({
  id: DottedId,
  value,
  isPublic,
  publicId: Type.Optional(
    Type.String({ readOnly: true, description: 'Its id at /v1/public/settings while isPublic is true' })
  ),
  rev: Type.Integer({ readOnly: true }),
  createdAt: Time,
  updatedAt: Time
}, { title: 'Setting', additionalProperties: false })

export const SettingInput = Type.Object({
  value,
  isPublic: Type.Optional(isPublic)
}, {
  title: 'SettingInput',
  description: 'A value, and whether anyone may read it',
  examples: [{ value: { theme: 'dark', fontSize: 14 } }],
  additionalProperties: false
})

/** What anyone may read of a public setting: never a tenant, a user or a storage key. */
export const PublicSetting = Type.Object({
  publicId: Type.String(),
  id: DottedId,
  value,
  rev: Type.Integer(),
  updatedAt: Time
}, { title: 'PublicSetting', additionalProperties: false })

export const SettingEntity = new Entity({
  model: model('setting'),
  attributes: {
    ...recordAttributes,
    id: dottedId,
    /** JSON text: DynamoDB would round numbers, lose the order of keys and refuse what JSON allows. */
    value: { type: 'string', required: true },
    isPublic: { type: 'boolean', required: true },
    publicId: { type: 'string' },
    publicShard: { type: 'string' }
  },
  indexes: {
    ...recordIndexes,
    /**
     * "Which settings are public, across tenants?" Sparse. The rows stay in their owner's partition, so only
     * the owner can write them. `condition`, and not a `set` that returns undefined: that would leave an
     * unpublished row listed.
     */
    byPublic: {
      index: 'gsi2',
      projection: ['id', 'value', 'publicId', 'rev', 'updatedAt'],
      condition: (row: { isPublic?: boolean, deletedAt?: string }) =>
        row.isPublic === true && row.deletedAt === undefined,
      pk: {
        field: 'gsi2pk',
        composite: ['publicShard'],
        template: 'PUBLIC#SETTING#${publicShard}',
        casing: 'none'
      },
      sk: { field: 'gsi2sk', composite: ['publicId'], template: '${publicId}', casing: 'none' }
    }
  }
})

export const setting = define({
  resource: 'setting',
  record: Setting,
  input: SettingInput,
  entity: SettingEntity,
  pushable: true,
  store: ({ value, isPublic = false }) => ({ value: JSON.stringify(value), isPublic }),
  present: ({ id, value, isPublic, publicId, rev, createdAt, updatedAt }) => ({
    id,
    value: JSON.parse(value) as unknown,
    isPublic,
    ...(isPublic && publicId !== undefined && { publicId }),
    rev,
    createdAt,
    updatedAt
  })
})
