import { Entity } from 'electrodb'
import { Type } from 'typebox'
import { define } from './definition.ts'
import { GROUP_LIMITS } from './group.ts'
import { PlainId, Time, model, plainId, recordAttributes, recordIndexes } from './fields.ts'
import { ROLES, RoleName } from './membership.ts'

/** An invitation, in the space of who is invited: the id is the group's, so that there is one for a group. */
export const Invitation = Type.Object({
  id: PlainId,
  name: Type.String({
    maxLength: GROUP_LIMITS.name,
    description: 'The name of the group when the invitation was made'
  }),
  role: RoleName,
  invitedBy: PlainId,
  expiresAt: Type.String({ format: 'date-time' }),
  rev: Type.Integer({ readOnly: true }),
  createdAt: Time,
  updatedAt: Time
}, { title: 'Invitation', additionalProperties: false })

const InvitationInput = Type.Pick(Invitation, ['name', 'role', 'invitedBy', 'expiresAt'], {
  additionalProperties: false
})

export const InvitationEntity = new Entity({
  model: model('invitation'),
  attributes: {
    ...recordAttributes,
    id: plainId,
    name: { type: 'string', required: true },
    role: { type: ROLES, required: true },
    invitedBy: { type: 'string', required: true },
    expiresAt: { type: 'string', required: true }
  },
  indexes: recordIndexes
})

export const invitation = define({
  resource: 'invitation',
  record: Invitation,
  input: InvitationInput,
  entity: InvitationEntity,
  pushable: false,
  only: 'USER',
  store: ({ name, role, invitedBy, expiresAt }) => ({ name, role, invitedBy, expiresAt }),
  present: ({ id, name, role, invitedBy, expiresAt, rev, createdAt, updatedAt }) => ({
    id,
    name,
    role,
    invitedBy,
    expiresAt,
    rev,
    createdAt,
    updatedAt
  })
})
