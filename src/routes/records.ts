import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type, type Static, type TObject, type TSchema } from 'typebox'
import { mergePatchOf, type AnyEntity, type Definition } from '../../entities/definition.ts'
import type { Collection, Saved } from '../services/collection.ts'
import type { ListQuery } from '../engine/list-query.ts'
import { etag, preconditionOf, sendRecord } from './conditions.ts'
import {
  conditionalRead,
  conditionalWrite,
  idempotentWrite,
  noQuery,
  pageOf,
  pageQuery,
  paramsOf,
  problems,
  spacePath
} from './schemas.ts'

interface Options<R extends TObject, I extends TObject> {
  /** Within a space: `/bookmarks` */
  readonly path: string
  readonly definition: Definition<R, I, AnyEntity>
  readonly id: TSchema
  readonly pageItems: number
  readonly service: (request: FastifyRequest) => Collection<R, I>
  /** False for kinds whose ids are names that a client chooses: they have no POST. */
  readonly add: boolean
  /** What a page of the list holds; the record where it is left out. */
  readonly item?: TSchema
  /** Query parameters beyond limit and cursor, and what they ask for. */
  readonly query?: Record<string, TSchema>
  /** Query parameters of DELETE; `confirm` says that it may take most of the space along. */
  readonly removal?: Record<string, TSchema>
  readonly filter?: (query: Record<string, unknown>) => Omit<ListQuery<Static<R>>, 'limit' | 'cursor'>
}

type WithId = { Params: { id: string } }
type Recorded = { id: string, rev: number }

/** The routes that every kind of record has: GET and PUT, PATCH, DELETE of one, GET (and POST) of all. */
export function recordRoutes<R extends TObject, I extends TObject> (
  app: FastifyInstance,
  {
    path,
    definition,
    id,
    pageItems,
    service,
    add,
    item = definition.record,
    query = {},
    removal = {},
    filter = () => ({})
  }: Options<R, I>
): void {
  const { resource, record, input } = definition
  const tags = [`${resource}s`]
  const Kind = resource.replace(/^./, (first) => first.toUpperCase())
  const all = { tags, params: paramsOf(app) }
  const one = { tags, params: paramsOf(app, { id }), querystring: noQuery }
  const saved = { 200: record, 201: record, ...problems }
  const respond = (request: FastifyRequest, reply: FastifyReply, { record, created }: Saved<Static<R>>) => {
    const { id, rev } = record as Recorded
    reply.code(created ? 201 : 200).headers({
      etag: etag(rev),
      ...created && { location: `${spacePath(app, request)}${path}/${id}` }
    })
    return record
  }

  app.get<{ Querystring: { limit: number, cursor?: string } }>(path, {
    schema: {
      ...all,
      operationId: `list${Kind}s`,
      summary: `List ${resource}s`,
      querystring: pageQuery(query, pageItems),
      response: { 200: pageOf(item), ...problems }
    }
  }, (request) => {
    const { limit, cursor, ...rest } = request.query
    return service(request).list({ limit, cursor, filterName: JSON.stringify(rest), ...filter(rest) })
  })

  if (add) {
    app.post(
      path,
      {
        schema: {
          ...all,
          operationId: `create${Kind}`,
          summary: `Create a ${resource}`,
          querystring: noQuery,
          headers: idempotentWrite,
          body: input,
          response: saved
        }
      },
      async (request, reply) => respond(request, reply, await service(request).add(request.body as Static<I>))
    )
  }

  app.get<WithId>(
    `${path}/:id`,
    {
      schema: {
        ...one,
        operationId: `get${Kind}`,
        summary: `Get a ${resource}`,
        headers: conditionalRead,
        response: { 200: record, ...problems }
      }
    },
    async (request, reply) =>
      sendRecord(request, reply, await service(request).get(request.params.id) as Recorded)
  )

  app.put<WithId>(
    `${path}/:id`,
    {
      schema: {
        ...one,
        operationId: `put${Kind}`,
        summary: `Create or replace a ${resource}`,
        headers: conditionalWrite,
        body: input,
        response: saved
      }
    },
    async (request, reply) =>
      respond(
        request,
        reply,
        await service(request).put(request.params.id, request.body as Static<I>, preconditionOf(request))
      )
  )

  app.patch<WithId>(
    `${path}/:id`,
    {
      schema: {
        ...one,
        operationId: `update${Kind}`,
        summary: `Change a ${resource} (JSON Merge Patch, RFC 7396)`,
        consumes: ['application/merge-patch+json', 'application/json'],
        headers: conditionalWrite,
        body: mergePatchOf(input),
        response: { 200: record, ...problems }
      }
    },
    async (request, reply) =>
      respond(
        request,
        reply,
        await service(request).patch(request.params.id, request.body as object, preconditionOf(request))
      )
  )

  app.delete<WithId & { Querystring: { confirm?: boolean } }>(`${path}/:id`, {
    schema: {
      ...one,
      querystring: Type.Object(removal, { additionalProperties: false }),
      operationId: `delete${Kind}`,
      summary: `Delete a ${resource}`,
      headers: conditionalWrite,
      response: { 204: Type.Null(), ...problems }
    }
  }, async (request, reply) => {
    await service(request).remove(request.params.id, preconditionOf(request), request.query.confirm)
    return reply.code(204).send()
  })
}
