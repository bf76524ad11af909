import { Entity } from 'electrodb'
import { Type } from 'typebox'
import { define } from './definition.ts'
import { PlainId, Time, model, plainId, recordAttributes, recordIndexes } from './fields.ts'
import { ROLES, RoleName } from './membership.ts'

/**
 * Someone in a group, or invited to it: the id is the user's. In the group's space; the user's own has the
 * membership, or the invitation.
 */
export const Member = Type.Object({
  id: PlainId,
  role: RoleName,
  state: Type.Union([Type.Literal('active'), Type.Literal('invited')]),
  invitedBy: Type.Optional(PlainId),
  expiresAt: Type.Optional(Type.String({ format: 'date-time', description: 'When the invitation expires' })),
  rev: Type.Integer({ readOnly: true }),
  createdAt: Time,
  updatedAt: Time
}, { title: 'Member', additionalProperties: false })

export const MemberInput = Type.Pick(Member, ['role'], { additionalProperties: false })

export const MemberEntity = new Entity({
  model: model('member'),
  attributes: {
    ...recordAttributes,
    id: plainId,
    role: { type: ROLES, required: true },
    state: { type: ['active', 'invited'] as const, required: true },
    invitedBy: { type: 'string' },
    expiresAt: { type: 'string' }
  },
  indexes: recordIndexes
})

export const member = define({
  resource: 'member',
  record: Member,
  input: MemberInput,
  entity: MemberEntity,
  pushable: false,
  only: 'GROUP',
  store: ({ role }) => ({ role, state: 'active' as const }),
  present: ({ id, role, state, invitedBy, expiresAt, rev, createdAt, updatedAt }) => ({
    id,
    role,
    state,
    invitedBy,
    expiresAt,
    rev,
    createdAt,
    updatedAt
  })
})
