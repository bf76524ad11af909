import fp from 'fastify-plugin'
import { TENANT_ID } from '../../entities/fields.ts'
import type { TrustedIssuer } from '../issuers.ts'
import { Problem } from '../errors.ts'
import type { Scope } from '../store/store.ts'
import type { Identity } from './auth/index.ts'
import type { Claims } from './auth/token.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose data this request is about: set once from the verified token, frozen; null on public routes. */
    scope: Scope | null
  }
}

/** The claim that Cognito user pools carry a tenant in. */
const TENANT_CLAIM = 'custom:tenant_id'

/** Wall 2: from a verified token to the one tenant that the request is about. There is no default tenant. */
export default fp(async (app) => {
  app.decorateRequest('scope', null)
  app.addHook('onRequest', async (request, reply) => {
    if (request.identity === null) return
    request.scope = scopeOf(request.identity)
    request.log = reply.log = request.log.child({ tenantId: request.scope.tenantId })
  })
}, { name: 'tenant', dependencies: ['auth'] })

/** @throws as tenantOf */
function scopeOf (identity: Identity): Scope {
  const { userId } = identity
  // What the hub made is for one user's own things: it has no roles.
  if ('device' in identity) {
    return Object.freeze({
      tenantId: identity.device.tenantId,
      userId,
      roles: Object.freeze([]),
      sessionId: identity.device.sessionId
    })
  }
  const groups = identity.claims['cognito:groups']
  return Object.freeze({
    tenantId: tenantOf(identity.issuer, userId, identity.claims),
    userId,
    roles: Object.freeze(Array.isArray(groups) ? groups.filter((role) => typeof role === 'string') : []),
    sessionId: undefined
  })
}

/** @throws Problem MISSING_TENANT_ID, INVALID_TENANT_ID, UNAUTHORIZED_ACCESS */
function tenantOf ({ tenant }: TrustedIssuer, userId: string, claims: Claims): string {
  const claimed = claims['claim' in tenant ? tenant.claim : TENANT_CLAIM]
  if ('fixed' in tenant) {
    // A pool that belongs to one tenant can't speak for another, whatever its tokens say.
    if (claimed !== undefined && claimed !== tenant.fixed) {
      throw new Problem(
        'UNAUTHORIZED_ACCESS',
        'The token claims a tenant that its issuer does not speak for.'
      )
    }
    return grammatical(tenant.fixed)
  }
  if ('sub' in tenant) return grammatical(userId)
  if (claimed === undefined || claimed === null || claimed === '') {
    throw new Problem('MISSING_TENANT_ID', `The token has no ${tenant.claim}.`, {
      headers: { 'www-authenticate': 'Bearer realm="sync-hub", error="invalid_token"' }
    })
  }
  return grammatical(claimed)
}

function grammatical (tenantId: unknown): string {
  if (typeof tenantId === 'string' && TENANT_ID.test(tenantId)) return tenantId
  throw new Problem(
    'INVALID_TENANT_ID',
    'A tenant id is 3 to 48 lower-case letters, digits and inner hyphens.'
  )
}
