import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { PublicSetting } from '../../entities/setting.ts'
import type { Limits } from '../limits.ts'
import { PUBLIC_ID } from '../services/public-settings.ts'
import { hasAlready, sendRecord } from './conditions.ts'
import { conditionalRead, noQuery, pageOf, pageQuery, problems } from './schemas.ts'

const CACHE = 'public, max-age=60'

/** Settings that their owners made public, across tenants: no token, and never a tenant or user id. */
export default async function publicSettings (
  app: FastifyInstance,
  { limits }: { limits: Limits }
): Promise<void> {
  const common = { tags: ['public'], security: [] }

  app.get<{ Querystring: { limit: number, cursor?: string } }>('/v1/public/settings', {
    config: { public: true },
    schema: {
      ...common,
      operationId: 'listPublicSettings',
      summary: 'A page of public settings',
      headers: conditionalRead,
      querystring: pageQuery({}, limits.pageItems),
      response: { 200: pageOf(PublicSetting), ...problems }
    }
  }, async (request, reply) => {
    const page = await request.publicSettings.list(request.query)
    // Cursors are sealed anew each time, so the tag is made of what the page shows.
    const tag = `"${
      createHash('sha256').update(JSON.stringify(page.items)).digest('base64url').slice(0, 22)
    }"`
    reply.headers({ 'cache-control': CACHE, etag: tag })
    return hasAlready(request, tag) ? reply.code(304).send() : page
  })

  app.get<{ Params: { publicId: string } }>('/v1/public/settings/:publicId', {
    config: { public: true },
    schema: {
      ...common,
      operationId: 'getPublicSetting',
      summary: 'One public setting',
      params: Type.Object({ publicId: Type.String({ pattern: PUBLIC_ID.source }) }),
      headers: conditionalRead,
      querystring: noQuery,
      response: { 200: PublicSetting, ...problems }
    }
  }, async (request, reply) => {
    const setting = await request.publicSettings.get(request.params.publicId)
    reply.header('cache-control', CACHE)
    return sendRecord(request, reply, setting)
  })
}
