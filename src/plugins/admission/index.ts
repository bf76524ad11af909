import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Limits } from '../../limits.ts'
import { Problem } from '../../errors.ts'
import { createFairQueue } from '../../fair-queue.ts'
import { watchEventLoop } from './event-loop.ts'
import { createTurn, FREE, type Turn } from './turn.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered without a turn, however much waits: what tells whether the hub is alive. */
    unqueued?: boolean
  }
  interface FastifyRequest {
    /** This request's place among those that work. */
    turn: Turn
  }
  interface FastifyInstance {
    /** Requests that have their turn, and requests that wait for it. */
    readonly load: { readonly running: number, readonly waiting: number }
  }
}

/** A body up to this many bytes is read before its request has its turn. */
const SMALL_BODY_BYTES = 16_384
/** Larger ones are read by so many requests at once; what the others would send waits with their senders. */
const UPLOADS = { slots: 32, slotsPerKey: 8, maxWaiting: 256, maxWaitingPerKey: 32 }
/** What one tenant may have in flight where the event loop stands still. */
const FEW = 4
/** Between two lines of the log about connections that were dropped. */
const DROPS_TOLD_EVERY_MS = 10_000

const GONE = new Problem('OVERLOADED', 'The client did not wait.')

/**
 * Whose turn it is: requests work side by side up to a number, and more of them wait in turns by tenant (by
 * address where there is no token), before their bodies are parsed, and before large ones are read. What would
 * only wait in vain is refused.
 */
export default fp<{ limits: Limits }>(async (app, { limits }) => {
  const work = createFairQueue({
    slots: limits.requestsRunning,
    slotsPerKey: limits.requestsRunningPerTenant,
    maxWaiting: limits.requestsWaiting,
    maxWaitingPerKey: limits.requestsWaitingPerTenant
  })
  const isLate = watchEventLoop(app, limits.eventLoopDelayMs)
  const queues = {
    work,
    uploads: createFairQueue(UPLOADS),
    refusal: () => overloaded('requestsWaitingPerTenant', limits.requestsWaitingPerTenant),
    gone: GONE
  }
  boundConnections(app, limits.connections)
  app.decorate('load', work)
  app.decorateRequest('turn', null as unknown as Turn)

  app.addHook('onRequest', async (request, reply) => {
    if (request.routeOptions.config.unqueued === true) {
      request.turn = FREE
      return
    }
    const key = keyOf(request)
    if (isLate() && work.pendingOf(key) >= FEW) throw overloaded('requestsRunningPerTenant', FEW)
    const turn = createTurn(queues, key)
    request.turn = turn
    reply.raw.once('close', () => {
      turn.close()
    })
    const bytes = bodyBytesOf(request)
    if (bytes === 0) await turn.begin()
    else if (bytes > SMALL_BODY_BYTES) await turn.read()
  })
  // JSON is parsed in its turn (plugins/body.ts); here are those whose bodies are kept as they are, or empty.
  app.addHook('preValidation', async ({ turn }) => turn.begin())
  app.addHook('preHandler', async ({ turn }) => {
    turn.handle()
  })
  app.addHook('onSend', async ({ turn }) => {
    // What was refused before it was known whose it is has none.
    ;(turn as Turn | null)?.end()
  })
}, { name: 'admission', dependencies: ['tenant', 'problems'] })

/** One tenant, whoever asks; who has no token is known by the address alone. */
const keyOf = ({ scope, ip }: FastifyRequest) => scope === null ? `address ${ip}` : `tenant ${scope.tenantId}`

/** Bytes of the body as announced: without an end where it comes in chunks. */
function bodyBytesOf ({ headers }: FastifyRequest): number {
  return headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : Infinity
}

const overloaded = (name: keyof Limits, value: number) =>
  new Problem('OVERLOADED', 'The hub has too many requests. Try again in a second.', {
    retryAfter: 1,
    limit: { name, value }
  })

/** Connections beyond the limit are closed as they come, before anything is read from them. */
function boundConnections (app: FastifyInstance, connections: number): void {
  app.server.maxConnections = connections
  let dropped = 0
  let toldAt = -Infinity
  app.server.on('drop', () => {
    dropped++
    if (performance.now() - toldAt < DROPS_TOLD_EVERY_MS) return
    app.log.warn({ connections, dropped }, 'connections were dropped: too many are open')
    toldAt = performance.now()
    dropped = 0
  })
}
