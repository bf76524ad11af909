import { Entity } from 'electrodb'
import { Type } from 'typebox'
import { define } from './definition.ts'
import {
  PlainId,
  Time,
  expiresAt,
  model,
  plainId,
  recordAttributes,
  recordIndexes,
  spaceAttributes,
  spacePartition
} from './fields.ts'

/** Lengths are in characters (Unicode code points). */
export const SESSION_LIMITS = { name: 128, platform: 64 } as const

const content = {
  name: Type.String({
    minLength: 1,
    maxLength: SESSION_LIMITS.name,
    description: 'The name that the user gives the device'
  }),
  platform: Type.String({
    minLength: 1,
    maxLength: SESSION_LIMITS.platform,
    description: 'For example "Firefox on Linux"'
  })
}

/** A device that is signed in by a token of its own, or an app password. */
export const Session = Type.Object({
  id: PlainId,
  ...content,
  kind: Type.Union([Type.Literal('device'), Type.Literal('app')]),
  expiresAt: Type.String({ format: 'date-time', readOnly: true }),
  rev: Type.Integer({ readOnly: true }),
  createdAt: Time,
  updatedAt: Time
}, { additionalProperties: false })

/** What is said of a device when it signs in. */
export const SessionInput = Type.Object({
  ...content,
  kind: Type.Optional(
    Type.Union([Type.Literal('device'), Type.Literal('app')], {
      default: 'device',
      description: '`app`: a password for a program that supports only Basic auth. It cannot create sessions'
    })
  )
}, {
  title: 'SessionInput',
  description: 'A device, or a program with an app password',
  examples: [{ name: 'Laptop', platform: 'Firefox on Linux' }],
  additionalProperties: false
})

export const SessionEntity = new Entity({
  model: model('session'),
  attributes: {
    ...recordAttributes,
    id: plainId,
    name: { type: 'string', required: true },
    platform: { type: 'string', required: true },
    kind: { type: ['device', 'app'] as const, required: true },
    expiresAt: { type: 'string' },
    /** SHA-256 of the token, in base64url: the token itself is shown once and kept nowhere. */
    tokenHash: { type: 'string' }
  },
  indexes: recordIndexes
})

export const session = define({
  resource: 'session',
  record: Session,
  input: SessionInput,
  entity: SessionEntity,
  pushable: false,
  only: 'USER',
  store: ({ name, platform, kind = 'device' }) => ({ name, platform, kind }),
  present: ({ id, name, platform, kind, expiresAt, rev, createdAt, updatedAt }) => ({
    id,
    name,
    platform,
    kind,
    expiresAt: expiresAt!,
    rev,
    createdAt,
    updatedAt
  })
})

/**
 * SEEN#id: when a session was last used. Beside the record and its log: nobody's replica wants to be told
 * every five minutes.
 */
export const SessionSeen = new Entity({
  model: model('session-seen'),
  attributes: { ...spaceAttributes, id: plainId, at: { type: 'string', required: true }, expiresAt },
  indexes: {
    /** "When was each session of this user last used?" */
    bySession: {
      pk: spacePartition,
      sk: { field: 'sk', composite: ['id'], template: 'SEEN#${id}', casing: 'none' }
    }
  }
})
