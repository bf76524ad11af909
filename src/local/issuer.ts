import { createHash, createPrivateKey, createPublicKey, randomUUID } from 'node:crypto'
import { createSigner } from 'fast-jwt'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { PlainId, TENANT_ID } from '../../entities/fields.ts'
import type { TrustedIssuer } from '../issuers.ts'
import { Problem } from '../errors.ts'

const LIFETIME_SECONDS = 3600
const CLIENT_ID = 'local'
const LOOPBACK_HOST = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/

const TokenRequest = Type.Object({
  tenant: Type.String({ pattern: TENANT_ID.source, default: 'default' }),
  user: { ...PlainId, default: 'demo' },
  roles: Type.Array(Type.String({ minLength: 1, maxLength: 128 }), { maxItems: 50, default: [] })
}, { additionalProperties: false })

export interface Subject {
  readonly tenant: string
  readonly user: string
  readonly roles?: readonly string[]
}

export interface LocalIssuer {
  /** Its entry in the registry of trusted issuers. */
  readonly entry: TrustedIssuer
  /** Tokens in the shape of Cognito's. */
  mint(
    subject: Subject
  ): Promise<{ access_token: string, id_token: string, token_type: 'Bearer', expires_in: number }>
  /** Discovery, JWKS and token endpoint under the issuer's path. */
  readonly plugin: FastifyPluginAsync
}

/** A page in a browser can make its own name lead to 127.0.0.1; the Host header then still tells. */
export async function loopbackOnly ({ headers: { host } }: FastifyRequest): Promise<void> {
  if (host === undefined || !LOOPBACK_HOST.test(host)) {
    throw new Problem('UNAUTHORIZED_ACCESS', 'This hub answers only on loopback names.')
  }
}

/**
 * An issuer for one's own desk: real RS256 keys and Cognito's claims, and whoever can reach it gets any
 * token.
 * @param issuer its URL, such as http://127.0.0.1:3000/local
 * @param privateKeyPem RSA, at least 2,048 bits
 */
export function createLocalIssuer (issuer: string, privateKeyPem: string): LocalIssuer {
  const jwk = createPublicKey(createPrivateKey(privateKeyPem)).export({ format: 'jwk' })
  const kid = createHash('sha256').update(JSON.stringify(jwk)).digest('base64url')
  const jwksUri = `${issuer}/.well-known/jwks.json`

  const signer = createSigner({
    algorithm: 'RS256',
    key: privateKeyPem,
    kid,
    iss: issuer,
    expiresIn: LIFETIME_SECONDS * 1000
  })
  const sign = (sub: string, claims: Record<string, unknown>) => signer({ ...claims, sub, jti: randomUUID() })

  async function mint ({ tenant, user, roles = [] }: Subject) {
    const shared = { 'cognito:groups': roles, 'custom:tenant_id': tenant }
    return {
      access_token: sign(user, {
        ...shared,
        token_use: 'access',
        client_id: CLIENT_ID,
        username: user,
        scope: 'openid sync-hub/tenant'
      }),
      id_token: sign(user, { ...shared, token_use: 'id', aud: CLIENT_ID, 'cognito:username': user }),
      token_type: 'Bearer' as const,
      expires_in: LIFETIME_SECONDS
    }
  }

  return {
    entry: {
      issuer,
      jwksUri,
      clientIds: [CLIENT_ID],
      tokenUse: 'access',
      tenant: { claim: 'custom:tenant_id' }
    },
    mint,
    async plugin (app) {
      const path = new URL(issuer).pathname
      app.addHook('onRequest', loopbackOnly)
      const config = { public: true }
      app.get(`${path}/.well-known/openid-configuration`, { config }, async () => ({
        issuer,
        jwks_uri: jwksUri,
        token_endpoint: `${issuer}/token`,
        response_types_supported: ['token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256']
      }))
      app.get(
        `${path}/.well-known/jwks.json`,
        { config },
        async () => ({ keys: [{ ...jwk, kid, alg: 'RS256', use: 'sig' }] })
      )
      app.post<{ Body: Subject }>(
        `${path}/token`,
        { config, schema: { body: TokenRequest } },
        ({ body }) => mint(body)
      )
    }
  }
}
