import { Entity } from 'electrodb'
import { Type } from 'typebox'
import { define } from './definition.ts'
import { PlainId, Time, model, plainId, recordAttributes, recordIndexes } from './fields.ts'

/** What someone may do in a group, from most to least. */
export const ROLES = ['owner', 'editor', 'viewer'] as const
export type Role = typeof ROLES[number]
export const RoleName = Type.Union([Type.Literal('owner'), Type.Literal('editor'), Type.Literal('viewer')], {
  title: 'Role',
  description: 'An owner manages the group, an editor changes its records, and a viewer reads them'
})

/**
 * That its user belongs to a group: the id is the group's. It is in the user's own space, so its log tells
 * devices of joins and leaves.
 */
export const Membership = Type.Object({
  id: PlainId,
  role: RoleName,
  rev: Type.Integer({ readOnly: true }),
  createdAt: Time,
  updatedAt: Time
}, { title: 'Membership', additionalProperties: false })

const MembershipInput = Type.Pick(Membership, ['role'], { additionalProperties: false })

export const MembershipEntity = new Entity({
  model: model('membership'),
  attributes: {
    ...recordAttributes,
    id: plainId,
    role: { type: ROLES, required: true }
  },
  indexes: recordIndexes
})

export const membership = define({
  resource: 'membership',
  record: Membership,
  input: MembershipInput,
  entity: MembershipEntity,
  acts: { put: 'join', delete: 'leave' },
  pushable: false,
  only: 'USER',
  store: ({ role }) => ({ role }),
  present: ({ id, role, rev, createdAt, updatedAt }) => ({ id, role, rev, createdAt, updatedAt })
})
