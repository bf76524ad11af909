import { Entity } from 'electrodb'
import { Type } from 'typebox'
import { define } from './definition.ts'
import { PlainId, Time, model, plainId, recordAttributes, recordIndexes } from './fields.ts'

/** That its user takes no invitations from someone of the tenant: the id is theirs. They are not told of it. */
export const Block = Type.Object({
  id: PlainId,
  rev: Type.Integer({ readOnly: true }),
  createdAt: Time,
  updatedAt: Time
}, { additionalProperties: false })

export const BlockEntity = new Entity({
  model: model('block'),
  attributes: { ...recordAttributes, id: plainId },
  indexes: recordIndexes
})

export const block = define({
  resource: 'block',
  record: Block,
  input: Type.Object({}, { additionalProperties: false }),
  entity: BlockEntity,
  pushable: false,
  only: 'USER',
  store: () => ({}),
  present: ({ id, rev, createdAt, updatedAt }) => ({ id, rev, createdAt, updatedAt })
})
