import fp from 'fastify-plugin'

/**
 * One line per request: route (the pattern, never the URL: ids are users' data), status, duration in
 * milliseconds. `requestId` and `tenantId` come from the request's own logger. No bodies, tokens, titles or
 * URLs.
 */
export default fp(async (app) => {
  app.addHook('onResponse', async (request, reply) => {
    const route = request.is404 ? 'none' : request.routeOptions.url
    request.log.info({
      method: request.method,
      route,
      status: reply.statusCode,
      ...request.refusedFor !== undefined && { reason: request.refusedFor },
      duration: Math.round(reply.elapsedTime * 100) / 100
    }, 'request')
  })
}, { name: 'log' })
