import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Action } from '../services/memberships.ts'
import type { GroupServices, SpaceServices } from '../services/index.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * What a member of a group must be allowed to do for this route; where left out, `read` for GET and
     * `write` else.
     */
    action?: Action
  }
  interface FastifyRequest {
    /** The space that the path names: a group's, or the user's own. */
    space: SpaceServices
    /** The group that the path names, where it names one. */
    group: GroupServices
  }
}

/**
 * Opens the space of the path for the routes beside it. Whether a member may is asked here, and nowhere in
 * the handlers.
 */
export default fp(async (app) => {
  app.decorateRequest('space', null as unknown as SpaceServices)
  app.decorateRequest('group', null as unknown as GroupServices)
  app.addHook('preHandler', async (request: FastifyRequest) => {
    const { groupId } = request.params as { groupId?: string }
    const { action = request.method === 'GET' || request.method === 'HEAD' ? 'read' : 'write' } =
      request.routeOptions.config
    request.space = groupId === undefined
      ? request.services
      : request.group = await request.services.inGroup(groupId, action)
  })
})
