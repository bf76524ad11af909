import type { FastifyInstance } from 'fastify'
import type { Config } from '../config.ts'
import batches from './batches.ts'
import blocks from './blocks.ts'
import bookmarkFiles from './bookmark-files.ts'
import bookmarks from './bookmarks.ts'
import groups from './groups.ts'
import health from './health.ts'
import limitsRoute from './limits.ts'
import live from './live.ts'
import members from './members.ts'
import publicSettings from './public-settings.ts'
import sessions from './sessions.ts'
import settings from './settings.ts'
import space from './space.ts'
import sync from './sync.ts'
import tenant from './tenant.ts'
import trash from './trash.ts'

/** Every route of the hub, one line each: a bundle has no folders to look through. */
export default async function routes (
  app: FastifyInstance,
  options: Pick<Config, 'limits' | 'streamSeconds' | 'publicUrl' | 'publicMaxAgeSeconds'>
): Promise<void> {
  await app.register(health)
  await app.register(limitsRoute, options)
  await app.register(tenant, options)
  await app.register(sessions, options)
  await app.register(groups, options)
  await app.register(members, options)
  await app.register(blocks, options)
  await app.register(publicSettings, options)
  await app.register(sync, options)
  await app.register(batches)
  await app.register(live, options)
  // What is in a space, by the same handlers: the user's own, and each group's.
  for (const prefix of ['/v1', '/v1/groups/:groupId']) {
    await app.register(async (app) => {
      await app.register(space)
      await app.register(bookmarks, options)
      await app.register(bookmarkFiles, options)
      await app.register(settings, options)
      await app.register(trash, options)
    }, { prefix })
  }
}
