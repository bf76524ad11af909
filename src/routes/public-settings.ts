import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { LRUCache } from 'lru-cache'
import { Type } from 'typebox'
import { PublicSetting } from '../../entities/setting.ts'
import type { Limits } from '../limits.ts'
import { PUBLIC_ID } from '../services/public-settings.ts'
import { hasAlready, sendRecord } from './conditions.ts'
import { conditionalRead, noQuery, pageOf, pageQuery, problems } from './schemas.ts'

/** Bytes of pages that a process keeps. */
const CACHE_BYTES = 16_777_216

interface PageQuery {
  limit: number
  cursor?: string
}

/** A page as it is sent. */
interface SentPage {
  readonly body: Buffer
  readonly etag: string
  /** Milliseconds, `Date.now()`. */
  readonly madeAt: number
}

/** How a page is made, where there is none yet. */
interface Maker {
  readonly query: PageQuery
  readonly list: FastifyRequest['publicSettings']['list']
  readonly serialize: (page: object) => string
}

async function makePage ({ query, list, serialize }: Maker): Promise<SentPage> {
  const page = await list(query)
  // Cursors are sealed anew each time, so the tag is made of what the page shows.
  const etag = `"${createHash('sha256').update(JSON.stringify(page.items)).digest('base64url').slice(0, 22)}"`
  return { body: Buffer.from(serialize(page)), etag, madeAt: Date.now() }
}

/**
 * Pages as they are sent, for as long as any cache may keep them: made once for all who ask meanwhile. They
 * stand before everything that decides what is public, so what is taken back is listed for that time.
 */
function createPages (seconds: number): (maker: Maker) => Promise<SentPage> {
  if (seconds === 0) return makePage
  const pages = new LRUCache<string, SentPage, Maker>({
    maxSize: CACHE_BYTES,
    sizeCalculation: ({ body }, key) => body.length + key.length + 200,
    ttl: seconds * 1000,
    fetchMethod: (_key, _stale, { context }) => makePage(context)
  })
  return async (maker) =>
    (await pages.fetch(JSON.stringify([maker.query.limit, maker.query.cursor]), { context: maker }))!
}

/** Settings that their owners made public, across tenants: no token, and never a tenant or user id. */
export default async function publicSettings (
  app: FastifyInstance,
  { limits, publicMaxAgeSeconds }: { limits: Limits, publicMaxAgeSeconds: number }
): Promise<void> {
  const pages = createPages(publicMaxAgeSeconds)
  const cacheControl = (madeAt = Date.now()) =>
    `public, max-age=${Math.max(0, publicMaxAgeSeconds - Math.floor((Date.now() - madeAt) / 1000))}`
  const common = { tags: ['public'], security: [] }

  app.get<{ Querystring: PageQuery }>('/v1/public/settings', {
    config: { public: true },
    schema: {
      ...common,
      operationId: 'listPublicSettings',
      summary: 'List public settings',
      headers: conditionalRead,
      querystring: pageQuery({}, limits.pageItems),
      response: { 200: pageOf(PublicSetting), ...problems }
    }
  }, async (request, reply) => {
    const { body, etag, madeAt } = await pages({
      query: request.query,
      list: (query) => request.publicSettings.list(query),
      serialize: reply.getSerializationFunction('200')! as (page: object) => string
    })
    // What a cache on the way keeps is never older than what it would have kept without ours.
    reply.headers({ 'cache-control': cacheControl(madeAt), etag })
    if (hasAlready(request, etag)) return reply.code(304).send()
    return reply.type('application/json; charset=utf-8').send(body)
  })

  app.get<{ Params: { publicId: string } }>('/v1/public/settings/:publicId', {
    config: { public: true },
    schema: {
      ...common,
      operationId: 'getPublicSetting',
      summary: 'Get a public setting',
      params: Type.Object({ publicId: Type.String({ pattern: PUBLIC_ID.source }) }),
      headers: conditionalRead,
      querystring: noQuery,
      response: { 200: PublicSetting, ...problems }
    }
  }, async (request, reply) => {
    const setting = await request.publicSettings.get(request.params.publicId)
    reply.header('cache-control', cacheControl())
    return sendRecord(request, reply, setting)
  })
}
