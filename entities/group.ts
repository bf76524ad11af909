import { Entity } from 'electrodb'
import { Type } from 'typebox'
import { define } from './definition.ts'
import { PlainId, Time, model, plainId, recordAttributes, recordIndexes } from './fields.ts'

/** Lengths are in characters (Unicode code points). */
export const GROUP_LIMITS = { name: 128, description: 1024 } as const

const content = {
  name: Type.String({ minLength: 1, maxLength: GROUP_LIMITS.name }),
  description: Type.Optional(Type.String({ maxLength: GROUP_LIMITS.description }))
}

/** A group, in its own space. What its reader may do in it is in the reader's membership. */
export const Group = Type.Object({
  id: PlainId,
  ...content,
  members: Type.Integer({ readOnly: true }),
  invitations: Type.Integer({
    readOnly: true,
    description: 'How many invitations are pending, including those that have expired'
  }),
  rev: Type.Integer({ readOnly: true }),
  createdAt: Time,
  updatedAt: Time
}, { additionalProperties: false })

export const GroupInput = Type.Object(content, {
  title: 'GroupInput',
  description: 'The name and description of a group',
  examples: [{ name: 'Book club' }],
  additionalProperties: false
})

export const GroupEntity = new Entity({
  model: model('group'),
  attributes: {
    ...recordAttributes,
    id: plainId,
    name: { type: 'string', required: true },
    description: { type: 'string' },
    /**
     * Counted in the group itself: every change of its members is written with it, so that no two of them
     * overtake each other.
     */
    members: { type: 'number', required: true },
    owners: { type: 'number', required: true },
    invitations: { type: 'number', required: true },
    /** Its deletion has begun: nobody joins any more. */
    closing: { type: 'boolean' }
  },
  indexes: recordIndexes
})

export const group = define({
  resource: 'group',
  record: Group,
  input: GroupInput,
  entity: GroupEntity,
  pushable: false,
  only: 'GROUP',
  /** As a group begins: with its founder. */
  store: ({ name, description }) => ({ name, description, members: 1, owners: 1, invitations: 0 }),
  present: ({ id, name, description, members, invitations, rev, createdAt, updatedAt }) => ({
    id,
    name,
    description,
    members,
    invitations,
    rev,
    createdAt,
    updatedAt
  })
})
