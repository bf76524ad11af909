import { TENANT_ID } from '../entities/fields.ts'
import { ConfigError, LOOPBACK } from './environment.ts'

/**
 * What a trusted issuer's tokens say about the tenant: always the same one, a claim, or the user's own id.
 */
export type TenantRule = { readonly fixed: string } | { readonly claim: string } | { readonly sub: true }

/** One entry of the registry of trusted issuers. An issuer that is not in the registry does not exist. */
export interface TrustedIssuer {
  /** Compared with the token's `iss` as an exact string. */
  readonly issuer: string
  /** Where its keys are. */
  readonly jwksUri: string
  /** App clients whose tokens are taken: `client_id` of an access token, `aud` of an id token. */
  readonly clientIds: readonly string[]
  readonly tokenUse: 'access' | 'id'
  readonly tenant: TenantRule
}

/**
 * The registry of trusted issuers from its JSON text.
 * @throws ConfigError naming the entry and the property
 */
export function parseIssuers (text: string): TrustedIssuer[] {
  let entries: unknown
  try {
    entries = JSON.parse(text)
  } catch {
    entries = undefined
  }
  if (!Array.isArray(entries) || entries.length === 0) {
    throw new ConfigError(
      'ISSUERS must be a JSON array with at least one issuer, for example [{"issuer":"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab","clientIds":["..."],"tenant":{"claim":"custom:tenant_id"}}].'
    )
  }
  const issuers = entries.map((entry, index) => parseIssuer(entry, `ISSUERS[${index}]`))
  const twice = issuers.find(({ issuer }, index) =>
    issuers.findIndex((other) => other.issuer === issuer) !== index
  )
  if (twice !== undefined) {
    throw new ConfigError(`ISSUERS names ${twice.issuer} twice; an issuer has one entry.`)
  }
  return issuers
}

function parseIssuer (entry: unknown, at: string): TrustedIssuer {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
    throw new ConfigError(`${at} must be an object.`)
  }
  const { issuer, jwksUri, clientIds, tokenUse = 'access', tenant, ...unknown } = entry as Record<
    string,
    unknown
  >
  const [stray] = Object.keys(unknown)
  if (stray !== undefined) {
    throw new ConfigError(
      `${at}.${stray} is not known; an entry has issuer, jwksUri, clientIds, tokenUse and tenant.`
    )
  }
  if (!isHttps(issuer)) {
    throw new ConfigError(
      `${at}.issuer must be an https URL (http for loopback only), exactly as in the tokens' iss.`
    )
  }
  const keys = jwksUri ?? `${issuer.replace(/\/$/, '')}/.well-known/jwks.json`
  if (!isHttps(keys)) throw new ConfigError(`${at}.jwksUri must be an https URL (http for loopback only).`)
  if (
    !Array.isArray(clientIds) || clientIds.length === 0 ||
    !clientIds.every((id) => typeof id === 'string' && id !== '')
  ) throw new ConfigError(`${at}.clientIds must be a non-empty array of app client ids.`)
  if (tokenUse !== 'access' && tokenUse !== 'id') {
    throw new ConfigError(`${at}.tokenUse must be "access" or "id".`)
  }
  return {
    issuer,
    jwksUri: keys,
    clientIds: clientIds as string[],
    tokenUse,
    tenant: parseTenantRule(tenant, at)
  }
}

function parseTenantRule (rule: unknown, at: string): TenantRule {
  const { fixed, claim, sub, ...unknown } = (rule ?? {}) as Record<string, unknown>
  if (Object.keys(unknown).length === 0) {
    if (typeof fixed === 'string' && TENANT_ID.test(fixed) && claim === undefined && sub === undefined) {
      return { fixed }
    }
    if (typeof claim === 'string' && claim !== '' && fixed === undefined && sub === undefined) {
      return { claim }
    }
    if (sub === true && fixed === undefined && claim === undefined) return { sub }
  }
  throw new ConfigError(
    `${at}.tenant must be {"fixed":"acme"}, {"claim":"custom:tenant_id"} or {"sub":true}; a tenant id is 3 to 48 lower-case letters, digits and inner hyphens.`
  )
}

function isHttps (value: unknown): value is string {
  if (typeof value !== 'string' || !URL.canParse(value)) return false
  const { protocol, hostname } = new URL(value)
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.has(hostname))
}
