import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Type, type TObject, type TSchema } from 'typebox'
import { PlainId } from '../../entities/fields.ts'
import { ERRORS } from '../errors.ts'

/** problem+json, RFC 9457. Only described here: problems are serialised by plugins/problems.ts. */
export const ProblemBody = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.Optional(Type.String()),
  instance: Type.String({ description: 'The request id, as in X-Request-Id and the log' }),
  errorType: Type.Union(Object.keys(ERRORS).map((errorType) => Type.Literal(errorType)), {
    title: 'ErrorType',
    description: 'What went wrong. These names do not change'
  }),
  errors: Type.Optional(Type.Array(Type.Object({
    pointer: Type.String({
      pattern: '^(?:$|/|params/|querystring/|headers/|line )',
      description:
        'The field: a JSON pointer into the body, or `params/id`, `querystring/limit`, `headers/if-match` and the like'
    }),
    detail: Type.String()
  }))),
  limit: Type.Optional(
    Type.Object({ name: Type.String(), value: Type.Number(), sent: Type.Optional(Type.Number()) }, {
      description: 'The limit that was reached, by its name in /v1/limits'
    })
  ),
  current: Type.Optional(Type.Unknown({ description: 'With 412: the current record' })),
  deleted: Type.Optional(Type.Boolean({ description: 'With 412: the record was deleted' })),
  results: Type.Optional(
    Type.Array(Type.Unknown(), {
      description:
        'Why the push was refused, change by change: 412 with current or deleted for a change that conflicts, 424 for the others'
    })
  ),
  written: Type.Optional(
    Type.Array(Type.Object({ n: Type.Integer(), changes: Type.Integer() }), {
      description:
        'The change-sets that were written before the request lost its right and ended early. A revert of change-set n undoes all of its changes'
    })
  ),
  snapshot: Type.Optional(Type.String({ description: 'With CURSOR_EXPIRED: the path of a new snapshot' }))
}, { title: 'Problem' })

export const problems = {
  '4xx': {
    description: 'A problem that the client can fix',
    content: { 'application/problem+json': { schema: ProblemBody } }
  },
  '5xx': {
    description: 'A problem of the hub. The cause is in its log',
    content: { 'application/problem+json': { schema: ProblemBody } }
  }
}

/** A page of a list. */
export const pageOf = (item: TSchema & { title?: string }) =>
  Type.Object({
    items: Type.Array(item),
    cursor: Type.Optional(
      Type.String({
        description: 'Present if there may be more items: send it unchanged with the next request'
      })
    )
  }, item.title === undefined ? {} : { title: `${item.title}Page` })

/** Query parameters of every list, and those of one. Unknown ones are refused. */
export const pageQuery = (properties: Record<string, TSchema>, most: number): TObject =>
  Type.Object({
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: most, default: Math.min(50, most) })),
    cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 2048 })),
    ...properties
  }, { additionalProperties: false })

export const conditionalRead = Type.Object({
  'if-none-match': Type.Optional(
    Type.String({ description: 'An ETag. If it is still the current one, the answer is 304' })
  )
})
const ifMatch = Type.Optional(Type.String({ description: 'The ETag that the record must have' }))
const idempotencyKey = Type.Optional(
  Type.String({ description: 'A request that is repeated with the same key takes effect once' })
)
/** What a write takes: any header of these that its schema leaves out is refused (plugins/write-headers.ts). */
export const conditionalWrite = Type.Object({
  'if-match': ifMatch,
  'if-none-match': Type.Optional(Type.String({ description: '`*`: the record must not exist' })),
  'idempotency-key': idempotencyKey
})
/** Of a record that is there. */
export const matchingWrite = Type.Object({ 'if-match': ifMatch, 'idempotency-key': idempotencyKey })
/** Of what can't be repeated under a key: who sends it again is told that it is gone. */
export const matchingOnce = Type.Object({ 'if-match': ifMatch })
export const idempotentWrite = Type.Object({ 'idempotency-key': idempotencyKey })

/** Query parameters where a route has none. */
export const noQuery = Type.Object({}, { additionalProperties: false })

/** Path parameters of a route in a space: its own, and the group's id where the space is a group's. */
export const paramsOf = ({ prefix }: FastifyInstance, properties: Record<string, TSchema> = {}): TObject =>
  Type.Object({ ...prefix.includes(':groupId') && { groupId: PlainId }, ...properties })

/** The path of the space that a request is about: `/v1`, or `/v1/groups/{groupId}`. */
export const spacePath = ({ prefix }: FastifyInstance, { params }: FastifyRequest): string =>
  prefix.replace(':groupId', (params as { groupId: string }).groupId)
