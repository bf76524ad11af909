import { setTimeout as pause } from 'node:timers/promises'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    readonly draining: boolean
    /**
     * Ends the hub without cutting anyone off: /ready answers 503 and every answer closes its connection for the grace
     * time, so that a load balancer and keep-alive clients go elsewhere; then the port closes and what is in flight finishes.
     */
    drain (graceSeconds: number): Promise<void>
  }
}

export default fp(async (app) => {
  let draining = false
  app.decorate('draining', { getter: () => draining })
  app.addHook('onSend', async (_request, reply) => { if (draining) reply.header('connection', 'close') })
  app.decorate('drain', async (graceSeconds: number) => {
    draining = true
    await pause(graceSeconds * 1000)
    await app.close()
  })
}, { name: 'lifecycle' })
