import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { Definition } from '../../entities/definition.ts'
import { DottedId, Time } from '../../entities/fields.ts'
import { registry, type Resource } from '../../entities/index.ts'
import type { Limits } from '../limits.ts'
import { etag, preconditionOf } from './conditions.ts'
import { idempotentWrite, matchingWrite, noQuery, pageOf, pageQuery, paramsOf, problems } from './schemas.ts'

const kinds = (Object.values(registry) as unknown as Definition[]).filter(({ pushable }) => pushable)
const Kind = Type.Union(kinds.map(({ resource }) => Type.Literal(resource)))

const Trashed = Type.Object({
  type: Kind,
  id: DottedId,
  n: Type.Integer({ description: 'The number of the change-set that deleted it' }),
  deletedAt: Time,
  expiresAt: Type.String({ format: 'date-time', description: 'It can be restored until then' }),
  record: Type.Unknown({ description: 'The record as it was when it was deleted' })
}, { title: 'TrashItem' })

const RevertedBody = Type.Object({
  n: Type.Integer({ description: 'The number of the change-set that undoes it' }),
  results: Type.Array(
    Type.Object({
      type: Kind,
      id: DottedId,
      status: Type.Integer({
        description:
          '200: restored. 204: deleted. 409: not changed, because the change-set edited it, or because it was changed since'
      }),
      rev: Type.Optional(Type.Integer())
    })
  )
}, { title: 'RevertResult' })

/** Undo: what was deleted can be had back for as long as the log is kept. */
export default async function trash (app: FastifyInstance, { limits }: { limits: Limits }): Promise<void> {
  const tags = ['trash']

  app.get<{ Querystring: { type?: Resource, limit: number, cursor?: string } }>('/trash', {
    schema: {
      tags,
      params: paramsOf(app),
      operationId: 'listTrash',
      summary: 'List deleted records, the last deleted first',
      querystring: pageQuery({ type: Type.Optional(Kind) }, limits.pageItems),
      response: { 200: pageOf(Trashed), ...problems }
    }
  }, ({ space, query }) => space.trash.list(query))

  app.post<{ Params: { type: Resource, id: string } }>('/trash/:type/:id/restore', {
    schema: {
      tags,
      operationId: 'restoreRecord',
      summary: 'Restore a deleted record',
      description:
        'If-Match takes the number of the change-set that deleted the record, as the trash shows it: "7".',
      params: paramsOf(app, { type: Kind, id: DottedId }),
      querystring: noQuery,
      headers: matchingWrite,
      response: { 200: Type.Union(kinds.map(({ record }) => record)), ...problems }
    }
  }, async (request, reply) => {
    const restored = await request.space.trash.restore(
      request.params.type,
      request.params.id,
      preconditionOf(request)
    )
    reply.header('etag', etag(restored.rev))
    return restored
  })

  app.post<{ Params: { n: number } }>('/changes/:n/revert', {
    schema: {
      tags,
      operationId: 'revertChange',
      summary: 'Revert a change-set',
      params: paramsOf(app, { n: Type.Integer({ minimum: 1, maximum: 999_999_999_999 }) }),
      querystring: noQuery,
      headers: idempotentWrite,
      response: { 200: RevertedBody, ...problems }
    }
  }, (request) => request.space.trash.revert(request.params.n))
}
