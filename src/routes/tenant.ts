import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { Limits } from '../limits.ts'
import { publishedLimits } from './limits.ts'
import { noQuery, problems } from './schemas.ts'

const WhoAmI = Type.Object({
  tenantId: Type.String(),
  userId: Type.String(),
  roles: Type.Array(Type.String()),
  usage: Type.Object({
    records: Type.Integer(),
    bytes: Type.Integer(),
    stagedBatches: Type.Integer(),
    stagedBytes: Type.Integer()
  }, {
    description: 'What your own space holds, and your staged batches that are neither committed nor abandoned'
  }),
  limits: Type.Record(Type.String(), Type.Integer())
}, { title: 'WhoAmI' })

export default async function tenant (app: FastifyInstance, { limits }: { limits: Limits }): Promise<void> {
  app.get('/v1/tenant', {
    schema: {
      tags: ['hub'],
      operationId: 'getTenant',
      summary: 'Get your tenant, your user id and your usage',
      querystring: noQuery,
      response: { 200: WhoAmI, ...problems }
    }
  }, async ({ scope, services }) => {
    const { tenantId, userId, roles } = scope!
    return {
      tenantId,
      userId,
      roles: [...roles],
      usage: await services.usage(),
      limits: publishedLimits(limits)
    }
  })
}
