import { setImmediate as nextRound, setTimeout as pause } from 'node:timers/promises'
import fp from 'fastify-plugin'

/** However busy the port is, it closes after this time. */
const MAX_ACCEPTING_MS = 2000

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
    // Connections that wait in the kernel when the port closes are reset, and Node takes one a round of its event loop:
    // so the port closes right after a round that found none.
    let accepted = true
    app.server.on('connection', () => { accepted = true })
    for (const end = Date.now() + MAX_ACCEPTING_MS; accepted && Date.now() < end;) {
      accepted = false
      await nextRound()
    }
    // Before app.close(): its hooks take away the store, which what is in flight still needs.
    await new Promise((resolve) => { app.server.close(resolve) })
    await app.close()
  })
}, { name: 'lifecycle' })
