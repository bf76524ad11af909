import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  sign,
  type JsonWebKey,
  type KeyObject,
  type SignKeyObjectInput
} from 'node:crypto'
import { subscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import {
  createServer as createHttpServer,
  type ClientRequest,
  type IncomingMessage,
  type ServerResponse
} from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { TenantRule, TrustedIssuer } from '../../src/issuers.ts'
import { privateKey } from './hub.ts'

/** Turns the text `header.payload` into a signature. */
export type Signer = (input: string) => Buffer

export const signedBy =
  (key: KeyObject | string, hash = 'sha256', options: Partial<SignKeyObjectInput> = {}): Signer => (input) =>
    sign(hash, Buffer.from(input), { key, ...options } as SignKeyObjectInput)
export const hmac = (secret: string | Buffer): Signer => (input) =>
  createHmac('sha256', secret).update(input).digest()

/**
 * One part of a token. Text goes in as it is, so that it may be what JSON.stringify would never write; all
 * else as JSON.
 */
export const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** A token of any header and payload, by node:crypto alone: libraries refuse to make bad ones. */
export function forge (header: unknown, payload: unknown, signer: Signer): string {
  const input = `${encode(header)}.${encode(payload)}`
  return `${input}.${signer(input).toString('base64url')}`
}

export interface SigningKey {
  readonly kid: string
  readonly key: KeyObject | string
  readonly jwk: JsonWebKey
}

/**
 * A key under a name. Making an RSA key takes a tenth of a second, so pools share one unless told otherwise.
 */
export function namedKey (kid: string, key: KeyObject | string = privateKey): SigningKey {
  return {
    kid,
    key,
    jwk: { ...createPublicKey(key).export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' }
  }
}

export const newRsaKey = (modulusLength = 2048) => generateKeyPairSync('rsa', { modulusLength }).privateKey

/** A trusted issuer whose every move a test decides. */
export interface Pool {
  readonly entry: TrustedIssuer
  readonly key: SigningKey
  /** What its JWKS address serves. */
  keys: unknown[]
  /** Answers in place of the JWKS. */
  misbehave: ((request: IncomingMessage, response: ServerResponse) => void) | undefined
  /** Requests that its JWKS address had. */
  fetches: number
  header(changes?: object): Record<string, unknown>
  /** Cognito's claims for a user of tenant `acme`; undefined removes one. */
  claims(changes?: object): Record<string, unknown>
  /** A token of this pool: good, unless the changes spoil it. */
  token(claims?: object, header?: object, signer?: Signer): string
}

export interface PoolOptions {
  readonly issuer?: string
  readonly key?: SigningKey
  readonly tokenUse?: 'access' | 'id'
  readonly tenant?: TenantRule
}

export interface Pools {
  readonly origin: string
  readonly pool: (name: string, options?: PoolOptions) => Pool
  /** The registry entries of all pools so far. */
  readonly entries: () => TrustedIssuer[]
}

/** A server on loopback for the keys of as many pools as a test file needs. */
export async function startPools (t: Test): Promise<Pools> {
  const pools = new Map<string, Pool>()
  const server = createHttpServer((request, response) => {
    const pool = pools.get(request.url!.slice(1))!
    pool.fetches++
    // Each fetch on its own connection: one that died idle would be a failure that no test asked for.
    response.setHeader('connection', 'close')
    if (pool.misbehave !== undefined) return pool.misbehave(request, response)
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ keys: pool.keys }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  function pool (
    name: string,
    {
      issuer = `${origin}/issuer/${name}`,
      key = namedKey('k1'),
      tokenUse = 'access',
      tenant = { claim: 'custom:tenant_id' }
    }: PoolOptions = {}
  ): Pool {
    const made: Pool = {
      entry: { issuer, jwksUri: `${origin}/${name}`, clientIds: ['app-1', 'app-2'], tokenUse, tenant },
      key,
      keys: [key.jwk],
      misbehave: undefined,
      fetches: 0,
      header: (changes) => ({ alg: 'RS256', kid: key.kid, typ: 'JWT', ...changes }),
      claims (changes) {
        const now = Math.floor(Date.now() / 1000)
        const client = tokenUse === 'access' ? { client_id: 'app-1' } : { aud: 'app-1' }
        return {
          sub: 'alice',
          iss: issuer,
          token_use: tokenUse,
          ...client,
          iat: now - 60,
          exp: now + 86_400,
          'custom:tenant_id': 'acme',
          ...changes
        }
      },
      token: (claims, header, signer = signedBy(key.key)) =>
        forge(made.header(header), made.claims(claims), signer)
    }
    pools.set(name, made)
    return made
  }
  return { origin, pool, entries: () => [...pools.values()].map(({ entry }) => entry) }
}

/** A listener that nothing should ever connect to. */
export async function startTrap (t: Test): Promise<{ readonly url: string, connections: number }> {
  const server = createServer((socket) => {
    trap.connections++
    socket.on('error', () => {})
    socket.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
  })
  const trap = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, connections: 0 }
  return trap
}

/** Every address that this process asks for anything from now on, by fetch or by node:http. */
export function watchRequests (): Set<string> {
  const asked = new Set<string>()
  subscribe('undici:request:create', (message) => {
    const { origin, path } = (message as { request: { origin: string | URL, path: string } }).request
    asked.add(new URL(path, origin).href)
  })
  subscribe('http.client.request.start', (message) => {
    const { request } = message as { request: ClientRequest }
    asked.add(`${request.protocol}//${String(request.getHeader('host'))}${request.path}`)
  })
  return asked
}
