import type { FastifyInstance } from 'fastify'
import { Type, type TObject, type TSchema } from 'typebox'
import type { Definition } from '../../entities/definition.ts'
import { PlainId, Time } from '../../entities/fields.ts'
import { registry } from '../../entities/index.ts'
import type { Limits } from '../limits.ts'
import type { Pulled } from '../services/sync/pull.ts'
import type { Push } from '../services/sync/push.ts'
import { idempotentWrite, problems } from './schemas.ts'

const definitions = Object.values(registry) as unknown as Definition[]
const kinds = (of: readonly Definition[]) => Type.Union(of.map(({ resource }) => Type.Literal(resource)))
export const Space = Type.String({
  pattern: '^(?:me|group:[A-Za-z0-9][A-Za-z0-9_-]{0,63})$',
  description: '`me`, or `group:{groupId}`'
})

const Op = Type.Object({
  type: kinds(definitions),
  id: Type.String(),
  act: Type.Union(['put', 'delete', 'join', 'leave'].map((act) => Type.Literal(act)), {
    description:
      '`join`: the user is now in the space `group:{id}`. `leave`: the user is no longer in it; delete your copy'
  }),
  rev: Type.Integer(),
  record: Type.Optional(Type.Unknown({ description: 'With put and join: the record, as a GET returns it' }))
}, { title: 'ChangeSetOperation' })

const ChangeSetBody = Type.Object({
  space: Space,
  n: Type.Optional(
    Type.Integer({
      description: 'The number of the change-set in its space. Numbers have no gap. Absent in a snapshot'
    })
  ),
  at: Type.Optional(Time),
  sessionId: Type.Optional(Type.String()),
  batch: Type.Optional(
    Type.Object({ id: Type.String(), part: Type.Integer(), parts: Type.Integer() }, {
      description:
        'Present in a change-set of a staged batch. The parts of a batch follow each other, and are sent only once all of them are written'
    })
  ),
  ops: Type.Array(Op)
}, { title: 'ChangeSet' })

/** What a pull answers with, and what the events of a stream hold. */
export const PulledBody = Type.Object({
  reset: Type.Optional(
    Type.Literal(true, {
      description: 'Delete all records that you hold: this is the first page of a snapshot'
    })
  ),
  changes: Type.Array(ChangeSetBody),
  cursor: Type.String({
    description: 'Send it unchanged with the next pull, once you have stored the changes'
  }),
  more: Type.Boolean({ description: 'More changes are ready: pull again at once' })
}, { title: 'Pulled' })

/** A cursor can name a hundred groups. */
export const SyncCursor = Type.String({ minLength: 1, maxLength: 8192 })
export const operations = (most: number) =>
  Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: most,
      default: Math.min(500, most),
      description: 'How many operations an answer holds. A change-set is never split'
    })
  )

const PushedBody = Type.Object({
  n: Type.Optional(
    Type.Integer({ description: 'The number of the change-set. Absent if there was nothing to change' })
  ),
  results: Type.Array(
    Type.Object({
      type: kinds(definitions),
      id: Type.String(),
      status: Type.Integer(),
      rev: Type.Optional(Type.Integer())
    })
  )
}, { title: 'PushResult' })

/**
 * A schema without defaults: inside of oneOf they would not be filled in, and the services have their own.
 */
function plain (schema: TObject): TObject {
  return Type.Object(
    Object.fromEntries(
      Object.entries<TSchema & { default?: unknown }>(schema.properties).map((
        [name, { default: _, ...rest }]
      ) => [name, schema.required?.includes(name) === true ? rest : Type.Optional(rest)])
    ),
    { additionalProperties: false }
  )
}

/**
 * One change of any kind that clients may write: told apart by its type, so that an error names the field.
 */
const Change = {
  title: 'Change',
  type: 'object',
  discriminator: { propertyName: 'type' },
  required: ['type'],
  oneOf: definitions.filter(({ pushable }) => pushable).map(({ resource, record, input }) =>
    Type.Object({
      space: Type.Optional(Space),
      type: Type.Literal(resource),
      id: (record.properties as Record<string, TSchema>).id!,
      act: Type.Union([Type.Literal('put'), Type.Literal('delete')]),
      record: Type.Optional(plain(input)),
      ifMatch: Type.Optional(
        Type.Integer({
          minimum: 0,
          description: 'The revision that the record must have. 0: the record must not exist'
        })
      )
    }, {
      title: `${resource.replace(/^./, (first) => first.toUpperCase())}Change`,
      additionalProperties: false
    })
  )
}

export const Changes = Type.Array(Type.Unsafe(Change), { minItems: 1 })
const PUSH_EXAMPLE = {
  changes: [{
    type: 'bookmark',
    id: 'example',
    act: 'put',
    record: { url: 'https://example.com/', title: 'Example' }
  }]
}
export const PushBody = Type.Object({
  changes: Changes,
  confirm: Type.Optional(Type.Boolean({ description: 'Allows the push to delete more than half of a space' }))
}, {
  title: 'Push',
  description: 'Changes of one space. Either all of them are applied, or none',
  examples: [PUSH_EXAMPLE],
  additionalProperties: false
})

/** How far a staged batch is. */
export const BatchBody = Type.Object({
  id: PlainId,
  state: Type.Union(['open', 'committing', 'committed', 'stopped'].map((state) => Type.Literal(state)), {
    description:
      '`stopped`: the user lost the right to write during the commit. What was written by then stays'
  }),
  space: Space,
  changes: Type.Integer({ description: 'How many changes are staged' }),
  bytes: Type.Integer(),
  committed: Type.Integer({ description: 'How many of them are committed' }),
  createdAt: Time,
  expiresAt: Type.String({
    format: 'date-time',
    description: 'If the batch is not committed by then, it is abandoned'
  }),
  first: Type.Optional(
    Type.Integer({ description: 'The number of the first change-set, once the batch is committed' })
  ),
  last: Type.Optional(
    Type.Integer({ description: 'The number of the last change-set, once the batch is committed' })
  )
}, { title: 'Batch' })

/** Everything of a user in step: pull what changed, push what one did. */
export default async function sync (app: FastifyInstance, { limits }: { limits: Limits }): Promise<void> {
  const tags = ['sync']

  app.get<{ Querystring: { cursor?: string, limit: number, wait?: number } }>('/v1/sync', {
    schema: {
      tags,
      operationId: 'pullChanges',
      summary: 'Pull the changes since a cursor, or a snapshot without one',
      querystring: Type.Object({
        cursor: Type.Optional(SyncCursor),
        limit: operations(limits.syncOperations),
        wait: Type.Optional(
          Type.Integer({
            minimum: 0,
            maximum: 25,
            description: 'Seconds to wait for a change if there is none yet'
          })
        )
      }, { additionalProperties: false }),
      response: { 200: PulledBody, ...problems }
    }
  }, async (request, reply): Promise<Pulled> => {
    const { cursor, limit, wait = 0 } = request.query
    const pulled = await request.services.sync.pull({
      cursor,
      limit,
      ...wait > 0 && { wait: wait * 1000, signal: app.untilGone(reply), outside: request.turn.outside }
    })
    // What it waited for may be that the device was signed out, or the tenant suspended.
    if (wait > 0) await Promise.all([request.assertActive(), request.assertSignedIn()])
    return pulled
  })

  app.post<{ Body: Push, Querystring: { batch?: boolean } }>('/v1/sync', {
    schema: {
      tags,
      operationId: 'pushChanges',
      summary: 'Push changes, all or none',
      description:
        'A push has at most 98 changes, or 97 with an Idempotency-Key. With ?batch=true the changes begin a staged batch of up to 10,000, which is committed by a later request; the answer is 201 with the state of the batch.',
      querystring: Type.Object({
        batch: Type.Optional(Type.Boolean({ description: 'Stage the changes as the beginning of a batch' }))
      }, {
        additionalProperties: false
      }),
      headers: idempotentWrite,
      body: PushBody,
      response: { 200: PushedBody, 201: BatchBody, ...problems }
    }
  }, async ({ body, query, services }, reply) => {
    if (query.batch !== true) return services.sync.push(body)
    const batch = await services.sync.batches.create(body.changes)
    reply.code(201).header('location', `/v1/sync/batches/${batch.id}`)
    return batch
  })
}
