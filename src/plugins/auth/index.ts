import jwt from '@fastify/jwt'
import type { FastifyError, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { TrustedIssuer } from '../../issuers.ts'
import { Problem } from '../../errors.ts'
import type { Sealer } from '../../engine/cursor.ts'
import { openDeviceToken, type DeviceToken } from '../../services/device-token.ts'
import { createKeySource } from './key-source.ts'
import {
  assertClaims,
  assertOneReading,
  bearerToken,
  deviceTokenOf,
  keyReference,
  unauthenticated,
  type Claims,
  type Decoded
} from './token.ts'

/**
 * What a good token says: one of an issuer, or one of the hub's own, whose session is still to be looked at.
 */
export type Identity =
  & { readonly userId: string, /** Milliseconds. */ readonly expiresAt: number }
  & ({ readonly issuer: TrustedIssuer, readonly claims: Claims } | { readonly device: DeviceToken })

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Served without a token. */
    public?: boolean
  }
  interface FastifyRequest {
    /** Who the verified token is about; null on public routes. */
    identity: Identity | null
  }
  interface FastifyInstance {
    /** True when the keys of every trusted issuer are at hand. */
    keysReady(): Promise<boolean>
  }
}

/**
 * Wall 1: a request without a good token of a trusted issuer goes no further. Every bad token is a 401, never
 * a 500.
 */
export default fp<{ issuers: readonly TrustedIssuer[], sealer: Sealer, now: () => number }>(
  async (app, { issuers, sealer, now }) => {
    const registry = new Map(issuers.map((entry) => [entry.issuer, entry]))
    const keys = new Map(issuers.map(({ issuer, jwksUri }) => [issuer, createKeySource(jwksUri)]))

    await app.register(jwt, {
      decode: { complete: true },
      // The key is looked up in the registry entry that the issuer names; a token can't point anywhere else.
      secret: async (_request: FastifyRequest, decoded: Decoded) => {
        const { issuer, alg, kid } = keyReference(decoded, registry)
        return keys.get(issuer.issuer)!.keyFor({ alg, kid })
      },
      // nbf is checked with iat, in assertClaims: issuers' clocks may be a minute ahead.
      verify: {
        algorithms: ['RS256'],
        allowedIss: [...registry.keys()],
        requiredClaims: ['iss', 'exp', 'sub', 'token_use'],
        ignoreNotBefore: true,
        extractToken: (request: FastifyRequest) => bearerToken(request.raw)
      }
    } as never)

    app.decorateRequest('identity', null)
    app.decorate(
      'keysReady',
      async () => (await Promise.all([...keys.values()].map((source) => source.ready()))).every(Boolean)
    )

    app.addHook('onRequest', async (request) => {
      if (request.is404 || request.routeOptions.config.public === true) return
      const own = deviceTokenOf(request.raw)
      if (own !== undefined) {
        const device = openDeviceToken(sealer, own.token)
        if (
          device === undefined || device.expiresAt <= now() || (own.name ?? device.userId) !== device.userId
        ) throw unauthenticated('The device token is not valid.')
        request.identity = Object.freeze({ userId: device.userId, expiresAt: device.expiresAt, device })
        return
      }
      const claims = await request.jwtVerify<Claims>().catch((error: unknown) => {
        if (error instanceof Problem && error.errorType !== 'UNAUTHENTICATED') throw error
        if ((error as FastifyError).code === 'FST_JWT_AUTHORIZATION_TOKEN_EXPIRED') {
          throw unauthenticated('The token has expired.')
        }
        throw error instanceof Problem && error.extras.headers !== undefined
          ? error
          : unauthenticated(error instanceof Problem ? error.message : 'The token is not valid.')
      })
      assertOneReading(bearerToken(request.raw))
      const issuer = registry.get(claims.iss as string)!
      request.identity = Object.freeze({
        issuer,
        userId: assertClaims(claims, issuer),
        claims,
        expiresAt: claims.exp as number * 1000
      })
    })
  },
  { name: 'auth', dependencies: ['problems'] }
)
