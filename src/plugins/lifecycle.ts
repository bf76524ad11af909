import { setMaxListeners } from 'node:events'
import { Server } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyReply } from 'fastify'
import fp from 'fastify-plugin'

/** The port closes once nobody has connected for this time, and after MAX_ACCEPTING_MS at the latest. */
const QUIET_MS = 50
const MAX_ACCEPTING_MS = 2000

declare module 'fastify' {
  interface FastifyInstance {
    readonly draining: boolean
    /** Comes when the hub begins to end: who waits for changes is answered then. */
    readonly closing: AbortSignal
    /**
     * Comes when the client is gone, or the hub begins to end. Leaves nothing behind once the reply has
     * closed; AbortSignal.any would leave an entry on `closing` for each request, as long as the hub runs
     * (seen with Node 20).
     */
    untilGone(reply: FastifyReply): AbortSignal
    /**
     * Ends the hub without cutting anyone off: /ready answers 503 and every answer closes its connection for
     * the grace time, so that a load balancer and keep-alive clients go elsewhere; then the port closes and
     * what is in flight finishes.
     */
    drain(graceSeconds: number): Promise<void>
  }
}

export default fp(async (app) => {
  let draining = false
  let portCloses: Promise<void> | undefined
  let open = 0
  let answered = () => {}
  const closing = new AbortController()
  // One for each request that may wait: they are many, and each takes its own away.
  setMaxListeners(0, closing.signal)
  app.decorate('closing', closing.signal)
  app.decorate('untilGone', ({ raw }: FastifyReply) => {
    const gone = new AbortController()
    const end = () => {
      closing.signal.removeEventListener('abort', end)
      gone.abort()
    }
    raw.once('close', end)
    closing.signal.addEventListener('abort', end)
    // Who is gone already will not close again.
    if (raw.destroyed || closing.signal.aborted) end()
    return gone.signal
  })
  app.addHook('preClose', async () => {
    closing.abort()
  })
  app.decorate('draining', { getter: () => draining })
  app.addHook('onRequest', (_request, reply, done) => {
    open++
    reply.raw.once('close', () => {
      open--
      answered()
    })
    if (portCloses === undefined) done()
    else void portCloses.then(() => done())
  })
  app.addHook('onSend', async (_request, reply) => {
    if (draining) reply.header('connection', 'close')
  })
  app.decorate('drain', async (graceSeconds: number) => {
    draining = true
    closing.abort()
    await pause(graceSeconds * 1000)
    // Connections that wait in the kernel when a port closes are reset. New requests are held back until it
    // has closed:
    // clients that wait for an answer open no connection, so under any load there comes a moment without new
    // ones.
    let release = () => {}
    portCloses = new Promise((resolve) => {
      release = resolve
    })
    let connected = true
    app.server.on('connection', () => {
      connected = true
    })
    for (const end = Date.now() + MAX_ACCEPTING_MS; connected && Date.now() < end;) {
      connected = false
      await pause(QUIET_MS)
    }
    // The port alone: http.Server's own close would also cut answers that are written and not yet read by the
    // client.
    const ended = new Promise((resolve) => {
      Server.prototype.close.call(app.server, resolve)
    })
    release()
    answered = () => {
      if (open === 0) app.server.closeIdleConnections()
    }
    answered()
    // Before app.close(): its hooks take away the store, which what is in flight still needs.
    await ended
    await app.close()
  })
}, { name: 'lifecycle' })
