import type { IncomingMessage } from 'node:http'
import { parse } from 'lossless-json'
import { PLAIN_ID } from '../../../entities/fields.ts'
import type { TrustedIssuer } from '../../issuers.ts'
import { Problem } from '../../errors.ts'

/** Clocks of issuers may be this far ahead of ours. */
const SKEW_SECONDS = 60
const MAX_LENGTH = 12_288
const TOKEN = /^Bearer ((?:[A-Za-z0-9_-]+\.){2}[A-Za-z0-9_-]+)$/i

/** A verified token's payload, its claims not yet believed one by one. */
export type Claims = Readonly<Record<string, unknown>>

/** A decoded, not yet verified token. */
export interface Decoded {
  readonly header: unknown
  readonly payload: unknown
}

/** What the log says of a refused token, by the sentence that its sender gets. Codes are for people to count. */
const REASONS: readonly (readonly [RegExp, string])[] = [[/expired/, 'expired'], [/^Send /, 'no_token'], [
  /more than one Authorization/,
  'two_tokens'
], [/device token/, 'device_token'], [/trusted issuer/, 'unknown_issuer'], [/key that its issuer/,
  'unknown_key'], [/too short/, 'short_key'], [/another app client/, 'other_client'], [/token is needed/,
  'token_use'], [/in the future|not valid yet/, 'not_yet'], [/names no user/, 'no_user'], [/RS256/,
  'algorithm'], [/not valid/, 'signature_or_claims']]

/** 401 with the challenge that RFC 6750 section 3 asks for. */
export function unauthenticated (detail: string, error: string | undefined = 'invalid_token'): Problem {
  const challenge = error === undefined
    ? 'Bearer realm="sync-hub"'
    : `Bearer realm="sync-hub", error="${error}", error_description="${detail.replaceAll('"', '')}"`
  return new Problem('UNAUTHENTICATED', detail, {
    reason: REASONS.find(([sentence]) => sentence.test(detail))?.[1] ?? 'malformed',
    headers: { 'www-authenticate': challenge }
  })
}

/** @throws Problem UNAUTHENTICATED where there is not exactly one Authorization header */
function authorizationOf (request: IncomingMessage): string {
  const names = request.rawHeaders.filter((name, index) =>
    index % 2 === 0 && name.toLowerCase() === 'authorization'
  )
  if (names.length > 1) {
    throw unauthenticated('The request has more than one Authorization header.', 'invalid_request')
  }
  const { authorization } = request.headers
  if (authorization === undefined) {
    throw unauthenticated('Send "Authorization: Bearer" and an access token.', undefined)
  }
  return authorization
}

/**
 * A token that the hub itself made, with the name that a Basic header gives (RFC 7617; a Bearer header gives
 * none): what speaks Basic only sends it as the password, and the user id as the name.
 * @returns undefined where it is something else @throws Problem UNAUTHENTICATED as bearerToken
 */
export function deviceTokenOf (
  request: IncomingMessage
): { readonly token: string, readonly name?: string } | undefined {
  const authorization = authorizationOf(request)
  const bearer = /^Bearer (shd_[A-Za-z0-9_-]{1,1024})$/i.exec(authorization)?.[1]
  if (bearer !== undefined) return { token: bearer }
  const basic = /^Basic ([A-Za-z0-9+/]{1,2048}={0,2})$/i.exec(authorization)?.[1]
  const [, name, token] = /^([^:]*):(shd_[A-Za-z0-9_-]{1,1024})$/.exec(
    basic === undefined ? '' : Buffer.from(basic, 'base64').toString()
  ) ?? []
  return token === undefined ? undefined : { token, name: name! }
}

/**
 * The bearer token of a request: exactly one Authorization header, in the one canonical spelling (a second
 * spelling of the same signature would be a second token).
 * @throws Problem UNAUTHENTICATED
 */
export function bearerToken (request: IncomingMessage): string {
  const authorization = authorizationOf(request)
  const token = authorization.length <= MAX_LENGTH ? TOKEN.exec(authorization)?.[1] : undefined
  if (token === undefined) throw unauthenticated('The Authorization header is not "Bearer" and a signed JWT.')
  if (!token.split('.').every((part) => Buffer.from(part, 'base64url').toString('base64url') === part)) {
    throw unauthenticated('The token is not in canonical base64url.')
  }
  return token
}

/**
 * Refuses JSON with a name that is there twice with different values: of those, JSON.parse takes the last and
 * others the first. For verified tokens only: this parser is slow on what a stranger might send.
 * @throws Problem UNAUTHENTICATED
 */
export function assertOneReading (token: string): void {
  try {
    for (const part of token.split('.').slice(0, 2)) parse(Buffer.from(part, 'base64url').toString())
  } catch {
    throw unauthenticated('The token can be read in more than one way.')
  }
}

/**
 * Finds the trusted issuer of a decoded token and what its key is called. Everything that could name another
 * key or another algorithm is refused before any key is looked up.
 * @throws Problem UNAUTHENTICATED
 */
export function keyReference (
  { header, payload }: Decoded,
  issuers: ReadonlyMap<string, TrustedIssuer>
): { issuer: TrustedIssuer, alg: string, kid: string } {
  if (!isObject(header) || !isObject(payload)) throw unauthenticated('The token is not a JWT.')
  const { alg, kid, typ } = header
  if (alg !== 'RS256') throw unauthenticated('The token is not signed with RS256.')
  if (typeof kid !== 'string' || kid === '' || kid.length > 256 || !kid.isWellFormed()) {
    throw unauthenticated('The token does not name its key.')
  }
  if (typ !== undefined && !(typeof typ === 'string' && /^(?:application\/)?(?:at\+)?jwt$/i.test(typ))) {
    throw unauthenticated('The token is not a JWT.')
  }
  // RFC 7515 sections 4.1.2 to 4.1.11: keys that a token brings along are never used, and extensions are not
  // understood.
  const strange = ['crit', 'jku', 'jwk', 'x5u', 'x5c', 'b64', 'zip'].find((name) => name in header)
  if (strange !== undefined) throw unauthenticated(`The token has the header ${strange}, which is not taken.`)
  const issuer = typeof payload.iss === 'string' ? issuers.get(payload.iss) : undefined
  if (issuer === undefined) throw unauthenticated('The token is not from a trusted issuer.')
  return { issuer, alg, kid }
}

/**
 * Holds the claims of a token with a good signature against its issuer's entry in the registry.
 * @returns the user id
 * @throws Problem UNAUTHENTICATED
 */
export function assertClaims (
  claims: Claims,
  { clientIds, tokenUse }: TrustedIssuer,
  nowSeconds = Date.now() / 1000
): string {
  const { sub, exp, iat, nbf, token_use: use, client_id: clientId, aud } = claims
  // Checked here as well: fast-jwt skips what is absent.
  if (!isTime(exp) || exp <= nowSeconds) throw unauthenticated('The token has expired.')
  if (iat !== undefined && (!isTime(iat) || iat > nowSeconds + SKEW_SECONDS)) {
    throw unauthenticated('The token was issued in the future.')
  }
  if (nbf !== undefined && (!isTime(nbf) || nbf > nowSeconds + SKEW_SECONDS)) {
    throw unauthenticated('The token is not valid yet.')
  }
  if (use !== tokenUse) throw unauthenticated(`An ${tokenUse} token is needed.`)
  // Cognito: an access token has client_id and no aud, an id token the other way round.
  const client = tokenUse === 'access' ? clientId : aud
  if (typeof client !== 'string' || !clientIds.includes(client)) {
    throw unauthenticated('The token is for another app client.')
  }
  if (typeof sub !== 'string' || !PLAIN_ID.test(sub)) throw unauthenticated('The token names no user.')
  return sub
}

const isTime = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value > 0 && value < 1e11

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
