import type { FastifyInstance } from 'fastify'
import type { Limits } from '../config.ts'
import batches from './batches.ts'
import bookmarks from './bookmarks.ts'
import health from './health.ts'
import limitsRoute from './limits.ts'
import live from './live.ts'
import publicSettings from './public-settings.ts'
import settings from './settings.ts'
import sync from './sync.ts'
import tenant from './tenant.ts'
import trash from './trash.ts'

/** Every route of the hub, one line each: a bundle has no folders to look through. */
export default async function routes (app: FastifyInstance, options: { limits: Limits, streamSeconds: number }): Promise<void> {
  await app.register(health)
  await app.register(limitsRoute, options)
  await app.register(tenant, options)
  await app.register(bookmarks, options)
  await app.register(settings, options)
  await app.register(publicSettings, options)
  await app.register(sync, options)
  await app.register(batches)
  await app.register(live, options)
  await app.register(trash, options)
}
