import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import ipaddr from 'ipaddr.js'
import type { Limits } from '../limits.ts'
import { Problem } from '../errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** A hook of routes that take codes which can be guessed. @throws Problem RATE_LIMITED */
    limitClaims(request: FastifyRequest, reply: FastifyReply): Promise<void>
    /** As limitClaims, for making codes: there are only so many. */
    limitPairings(request: FastifyRequest, reply: FastifyReply): Promise<void>
    /** As limitClaims, for what writes to the spaces of others. */
    limitPeopleChanges(request: FastifyRequest, reply: FastifyReply): Promise<void>
  }
}

const WINDOW_SECONDS = 60

/**
 * Limits per address, in the memory of this process, before the token is looked at: guessing tokens is bounded,
 * and with smaller limits making and trying codes.
 */
export default fp<{ limits: Limits }>(async (app, { limits }) => {
  await app.register(rateLimit, { global: false })
  const ofAddress = ({ ip }: FastifyRequest) => networkOf(ip)
  const ofUser = ({ scope }: FastifyRequest) => `${scope!.tenantId} ${scope!.userId}`
  app.decorate('limitClaims', limit(app, 'claimsPerAddress', limits.claimsPerAddress, ofAddress))
  app.decorate('limitPairings', limit(app, 'pairingsPerUser', limits.pairingsPerUser, ofUser))
  app.decorate(
    'limitPeopleChanges',
    limit(app, 'peopleChangesPerUser', limits.peopleChangesPerUser, ofUser)
  )
  app.addHook('onRequest', limit(app, 'requestsPerAddress', limits.requestsPerAddress, ofAddress))
}, { name: 'limits', dependencies: ['problems'] })

/**
 * The limit per tenant, once it is known, so that one tenant's burst never refuses another's request; and before
 * a body is read, so that what is refused costs nothing, and what is not valid counts as well.
 */
export const tenantLimits = fp<{ limits: Limits }>(async (app, { limits }) => {
  const check = limit(app, 'requestsPerTenant', limits.requestsPerTenant, ({ scope }) => scope!.tenantId)
  app.addHook('onRequest', async (request, reply) => {
    if (request.scope !== null) await check(request, reply)
  })
}, { name: 'tenant-limits', dependencies: ['limits', 'tenant'] })

/** A hook that counts by a key. @param max in a window; 0 turns it off */
function limit (
  app: FastifyInstance,
  name: string,
  max: number,
  keyOf: (request: FastifyRequest) => string
): (request: FastifyRequest, reply: FastifyReply) => Promise<void> {
  if (max === 0) return async () => {}
  const check = app.createRateLimit({
    max,
    timeWindow: WINDOW_SECONDS * 1000,
    keyGenerator: (request) => `${name} ${keyOf(request)}`
  })
  return async (request, reply) => {
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

/**
 * Whose an address is, as far as can be told: an IPv4 address, also where it is written as IPv6, and the /64 of an
 * IPv6 address, which is the least that a customer is given. What is no address counts as it is.
 */
export function networkOf (ip: string): string {
  if (!ipaddr.isValid(ip)) return ip
  const address = ipaddr.process(ip)
  return address.kind() === 'ipv4'
    ? address.toString()
    : `${address.toByteArray().slice(0, 8).map((byte) => byte.toString(16).padStart(2, '0')).join('')}::/64`
}
