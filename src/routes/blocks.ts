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
      operationId: 'listBlocks',
      summary: 'List the users whom you have blocked',
      querystring: pageQuery({}, limits.pageItems),
      response: { 200: pageOf(Block), ...problems }
    }
  }, ({ services, query }) => services.blocks.list(query))

  app.put<OfOne>('/v1/blocks/:id', {
    schema: {
      ...one,
      operationId: 'putBlock',
      summary: 'Block a user',
      description:
        'A user of your tenant whom you block can no longer invite you. Pending invitations from that user are declined. If the user was blocked already, the answer is 200.',
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
      operationId: 'deleteBlock',
      summary: 'Unblock a user',
      response: { 204: Type.Null(), ...problems }
    }
  }, async ({ services, params }, reply) => {
    await services.blocks.remove(params.id)
    return reply.code(204).send()
  })
}
