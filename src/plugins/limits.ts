import rateLimit from '@fastify/rate-limit'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Limits } from '../config.ts'
import { Problem } from '../errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** A hook of routes that take codes which can be guessed. @throws Problem RATE_LIMITED */
    limitClaims(request: FastifyRequest, reply: FastifyReply): Promise<void>
    /** As limitClaims, for making codes: there are only so many. */
    limitPairings(request: FastifyRequest, reply: FastifyReply): Promise<void>
  }
}

const WINDOW_SECONDS = 60

/**
 * Two limits in the memory of this process: per address before the token is looked at, so that guessing
 * tokens is bounded (with a smaller one for codes), and per tenant once it is known, so that one tenant's
 * burst never refuses another's request.
 */
export default fp<{ limits: Limits }>(async (app, { limits }) => {
  await app.register(rateLimit, { global: false })

  const limit = (name: string, max: number, keyOf: (request: FastifyRequest) => string) => {
    const check = app.createRateLimit({
      max,
      timeWindow: WINDOW_SECONDS * 1000,
      keyGenerator: (request) => `${name} ${keyOf(request)}`
    })
    return async (request: FastifyRequest, reply: FastifyReply) => {
      const state = await check(request)
      if (state.isAllowed) return
      // draft-ietf-httpapi-ratelimit-headers
      reply.header('ratelimit-policy', `"${name}";q=${max};w=${WINDOW_SECONDS}`)
      reply.header('ratelimit', `"${name}";r=${state.remaining};t=${state.ttlInSeconds}`)
      if (state.isExceeded) {
        throw new Problem('RATE_LIMITED', `More than ${max} requests in ${WINDOW_SECONDS} s.`, {
          retryAfter: state.ttlInSeconds,
          limit: { name, value: max, sent: max + 1 }
        })
      }
    }
  }

  const unlessZero = (name: string, max: number, keyOf: (request: FastifyRequest) => string) =>
    max > 0 ? limit(name, max, keyOf) : async () => {}
  app.decorate('limitClaims', unlessZero('claimsPerAddress', limits.claimsPerAddress, ({ ip }) => ip))
  app.decorate(
    'limitPairings',
    unlessZero(
      'pairingsPerUser',
      limits.pairingsPerUser,
      ({ scope }) => `${scope!.tenantId} ${scope!.userId}`
    )
  )
  if (limits.requestsPerAddress > 0) {
    app.addHook(
      'onRequest',
      limit('requestsPerAddress', limits.requestsPerAddress, ({ ip }) => ip)
    )
  }
  if (limits.requestsPerTenant > 0) {
    const perTenant = limit('requestsPerTenant', limits.requestsPerTenant, ({ scope }) => scope!.tenantId)
    app.addHook('preHandler', async (request, reply) => {
      if (request.scope !== null) await perTenant(request, reply)
    })
  }
}, { name: 'limits', dependencies: ['problems'] })
