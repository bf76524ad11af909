import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { Block } from '../../entities/block.ts'
import { PlainId } from '../../entities/fields.ts'
import type { Limits } from '../limits.ts'
import { idempotentWrite, noQuery, pageOf, pageQuery, problems } from './schemas.ts'

type OfOne = { Params: { id: string } }

/** From whom a user takes no invitations. */
export default async function blocks (app: FastifyInstance, { limits }: { limits: Limits }): Promise<void> {
  const one = {
    tags: ['groups'],
    params: Type.Object({ id: PlainId }),
    querystring: noQuery,
    headers: idempotentWrite
  }

  app.get<{ Querystring: { limit: number, cursor?: string } }>('/v1/blocks', {
    schema: {
      tags: one.tags,
      summary: 'Whom you have blocked',
      querystring: pageQuery({}, limits.pageItems),
      response: { 200: pageOf(Block), ...problems }
    }
  }, ({ services, query }) => services.blocks.list(query))

  app.put<OfOne>('/v1/blocks/:id', {
    schema: {
      ...one,
      summary: 'Take no more invitations from someone',
      description:
        'By user id, of your tenant. What is pending of theirs is declined. 200 where it was so already.',
      response: { 200: Block, 201: Block, ...problems }
    }
  }, async ({ services, params }, reply) => {
    const { record, created } = await services.blocks.put(params.id)
    reply.code(created ? 201 : 200)
    return record
  })

  app.delete<OfOne>('/v1/blocks/:id', {
    schema: {
      ...one,
      summary: 'Take invitations from someone again',
      response: { 204: Type.Null(), ...problems }
    }
  }, async ({ services, params }, reply) => {
    await services.blocks.remove(params.id)
    return reply.code(204).send()
  })
}
