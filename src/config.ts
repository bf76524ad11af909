import { TENANT_ID } from '../entities/fields.ts'

/**
 * The environment, read once into one frozen typed Config. This is the only reader of process.env.
 * Every variable is documented in .env.example (a test compares the two).
 */

/** What a trusted issuer's tokens say about the tenant: always the same one, a claim, or the user's own id. */
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

export interface Limits {
  readonly bodyBytes: number
  readonly headerBytes: number
  readonly settingBytes: number
  readonly settingDepth: number
  readonly pageItems: number
  readonly spaceRecords: number
  readonly spaceBytes: number
  /** Requests a minute; 0 turns the limit off. */
  readonly requestsPerAddress: number
  readonly requestsPerTenant: number
}

export interface Config {
  /** True when neither a table nor issuers are configured: embedded store, own issuer, loopback only. */
  readonly local: boolean
  readonly host: string
  readonly port: number
  readonly dataDir: string
  readonly logLevel: string
  readonly table: string
  readonly region: string
  readonly dynamodbEndpoint: string | undefined
  /** Another binary for the embedded store of local mode. */
  readonly dynoxideBin: string | undefined
  /** The role that is assumed for each tenant. Undefined only where DYNAMODB_ENDPOINT names a store without IAM. */
  readonly tenantRoleArn: string | undefined
  /** The role of the operator's rows: a tenant's status, audit records. Set wherever tenantRoleArn is. */
  readonly operatorRoleArn: string | undefined
  /** STS of the local gateway. Undefined: AWS's own. */
  readonly stsEndpoint: string | undefined
  /** Local mode only: the template whose policies the local gateway enforces. */
  readonly localIam: string | undefined
  readonly issuers: readonly TrustedIssuer[]
  /** Seals cursors and names public settings. At least 32 characters; the same on every instance. */
  readonly secret: string
  readonly oauthDomain: string
  readonly corsOrigins: readonly string[]
  /** Proxies in front of the hub, each of which adds one address to X-Forwarded-For. */
  readonly trustProxy: number
  readonly retentionDays: number
  readonly shutdownGraceSeconds: number
  readonly limits: Limits
}

/** A configuration that cannot work: one sentence that names the variable. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

type Env = Readonly<Record<string, string | undefined>>

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '::1', '[::1]'])
const ROLE_ARN = /^arn:[a-z-]+:iam::\d{12}:role\/.+$/
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

/**
 * Reads the configuration.
 * @throws ConfigError naming the variable that is missing or wrong
 */
export function loadConfig (env: Env = process.env): Config {
  const local = !present(env, 'TABLE_NAME') && !present(env, 'ISSUERS')
  const config: Config = {
    local,
    host: present(env, 'HOST') ?? '127.0.0.1',
    port: integer(env, 'PORT', 3000, 1, 65535),
    dataDir: present(env, 'DATA_DIR') ?? '.data',
    logLevel: oneOf(env, 'LOG_LEVEL', LEVELS, 'info'),
    table: local ? 'sync-hub' : required(env, 'TABLE_NAME', 'the name of the DynamoDB table'),
    region: present(env, 'AWS_REGION') ?? (local ? 'local' : required(env, 'AWS_REGION', 'the region of the table')),
    dynamodbEndpoint: url(env, 'DYNAMODB_ENDPOINT'),
    dynoxideBin: present(env, 'DYNOXIDE_BIN'),
    tenantRoleArn: matching(env, 'TENANT_ROLE_ARN', ROLE_ARN, 'an IAM role ARN'),
    operatorRoleArn: matching(env, 'OPERATOR_ROLE_ARN', ROLE_ARN, 'an IAM role ARN'),
    stsEndpoint: undefined,
    localIam: local ? present(env, 'LOCAL_IAM') : undefined,
    issuers: local ? [] : parseIssuers(required(env, 'ISSUERS', 'a JSON array of trusted issuers')),
    secret: local ? '' : secret(env),
    oauthDomain: url(env, 'OAUTH_DOMAIN') ?? 'https://auth.example.com',
    corsOrigins: origins(env),
    trustProxy: integer(env, 'TRUST_PROXY', 0, 0, 10),
    retentionDays: integer(env, 'RETENTION_DAYS', 90, 1, 3650),
    shutdownGraceSeconds: integer(env, 'SHUTDOWN_GRACE_SECONDS', local ? 0 : 5, 0, 300),
    limits: {
      bodyBytes: integer(env, 'LIMIT_BODY_BYTES', 1_048_576, 1024, 6_000_000),
      headerBytes: 16_384,
      settingBytes: integer(env, 'LIMIT_SETTING_BYTES', 65_536, 1, 150_000),
      settingDepth: 16,
      pageItems: 100,
      spaceRecords: integer(env, 'LIMIT_SPACE_RECORDS', 50_000, 1, 10_000_000),
      spaceBytes: integer(env, 'LIMIT_SPACE_BYTES', 104_857_600, 1, 1e12),
      requestsPerAddress: integer(env, 'LIMIT_REQUESTS_PER_ADDRESS', local ? 0 : 1200, 0, 1e9),
      requestsPerTenant: integer(env, 'LIMIT_REQUESTS_PER_TENANT', local ? 0 : 6000, 0, 1e9)
    }
  }
  if (local) assertLocalOnly(config, env)
  else if (config.tenantRoleArn === undefined && isAws(config.dynamodbEndpoint)) throw new ConfigError('TENANT_ROLE_ARN is missing: set it to the role that the hub assumes for each tenant (an output of template.yaml). Only a store of your own, named by DYNAMODB_ENDPOINT, goes without.')
  if ((config.tenantRoleArn === undefined) !== (config.operatorRoleArn === undefined)) throw new ConfigError('TENANT_ROLE_ARN and OPERATOR_ROLE_ARN go together: set both (outputs of template.yaml), or neither with a store of your own.')
  return deepFreeze(config)
}

/** Local mode trusts whoever reaches it, so nothing but this machine may reach it and nothing real may be behind it. */
function assertLocalOnly (config: Config, env: Env): void {
  const why = 'Neither TABLE_NAME nor ISSUERS is set, which means local mode'
  if (!LOOPBACK.has(config.host)) throw new ConfigError(`HOST is ${config.host}, but local mode serves loopback only: ${why}. Set TABLE_NAME and ISSUERS for production, or HOST=127.0.0.1.`)
  if (config.dynamodbEndpoint !== undefined && !LOOPBACK.has(new URL(config.dynamodbEndpoint).hostname)) {
    throw new ConfigError(`DYNAMODB_ENDPOINT is ${config.dynamodbEndpoint}, but local mode uses a store on this machine only: ${why}.`)
  }
  for (const name of ['TENANT_ROLE_ARN', 'OPERATOR_ROLE_ARN', 'AWS_LAMBDA_FUNCTION_NAME', 'HUB_SECRET', 'OAUTH_DOMAIN', 'TRUST_PROXY']) {
    if (present(env, name) !== undefined) throw new ConfigError(`${name} is set, but it belongs to production: ${why}. Set both for production, or unset ${name}.`)
  }
}

/**
 * The registry of trusted issuers from its JSON text.
 * @throws ConfigError naming the entry and the property
 */
function parseIssuers (text: string): TrustedIssuer[] {
  let entries: unknown
  try { entries = JSON.parse(text) } catch { entries = undefined }
  if (!Array.isArray(entries) || entries.length === 0) throw new ConfigError('ISSUERS must be a JSON array with at least one issuer, for example [{"issuer":"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab","clientIds":["..."],"tenant":{"claim":"custom:tenant_id"}}].')
  const issuers = entries.map((entry, index) => parseIssuer(entry, `ISSUERS[${index}]`))
  const twice = issuers.find(({ issuer }, index) => issuers.findIndex((other) => other.issuer === issuer) !== index)
  if (twice !== undefined) throw new ConfigError(`ISSUERS names ${twice.issuer} twice; an issuer has one entry.`)
  return issuers
}

function parseIssuer (entry: unknown, at: string): TrustedIssuer {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) throw new ConfigError(`${at} must be an object.`)
  const { issuer, jwksUri, clientIds, tokenUse = 'access', tenant, ...unknown } = entry as Record<string, unknown>
  const [stray] = Object.keys(unknown)
  if (stray !== undefined) throw new ConfigError(`${at}.${stray} is not known; an entry has issuer, jwksUri, clientIds, tokenUse and tenant.`)
  if (!isHttps(issuer)) throw new ConfigError(`${at}.issuer must be an https URL (http for loopback only), exactly as in the tokens' iss.`)
  const keys = jwksUri ?? `${issuer.replace(/\/$/, '')}/.well-known/jwks.json`
  if (!isHttps(keys)) throw new ConfigError(`${at}.jwksUri must be an https URL (http for loopback only).`)
  if (!Array.isArray(clientIds) || clientIds.length === 0 || !clientIds.every((id) => typeof id === 'string' && id !== '')) throw new ConfigError(`${at}.clientIds must be a non-empty array of app client ids.`)
  if (tokenUse !== 'access' && tokenUse !== 'id') throw new ConfigError(`${at}.tokenUse must be "access" or "id".`)
  return { issuer, jwksUri: keys, clientIds: clientIds as string[], tokenUse, tenant: parseTenantRule(tenant, at) }
}

function parseTenantRule (rule: unknown, at: string): TenantRule {
  const { fixed, claim, sub, ...unknown } = (rule ?? {}) as Record<string, unknown>
  if (Object.keys(unknown).length === 0) {
    if (typeof fixed === 'string' && TENANT_ID.test(fixed) && claim === undefined && sub === undefined) return { fixed }
    if (typeof claim === 'string' && claim !== '' && fixed === undefined && sub === undefined) return { claim }
    if (sub === true && fixed === undefined && claim === undefined) return { sub }
  }
  throw new ConfigError(`${at}.tenant must be {"fixed":"acme"}, {"claim":"custom:tenant_id"} or {"sub":true}; a tenant id is 3 to 48 lower-case letters, digits and inner hyphens.`)
}

function isHttps (value: unknown): value is string {
  if (typeof value !== 'string' || !URL.canParse(value)) return false
  const { protocol, hostname } = new URL(value)
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.has(hostname))
}

const present = (env: Env, name: string) => env[name] === '' ? undefined : env[name]

function required (env: Env, name: string, what: string): string {
  const value = present(env, name)
  if (value === undefined) throw new ConfigError(`${name} is missing: set it to ${what} (see .env.example).`)
  return value
}

function origins (env: Env): string[] {
  const list = (present(env, 'CORS_ORIGINS') ?? '').split(',').map((origin) => origin.trim()).filter(Boolean)
  const wrong = list.find((origin) => !URL.canParse(origin) || new URL(origin).origin !== origin)
  if (wrong !== undefined) throw new ConfigError(`CORS_ORIGINS has "${wrong}"; an origin is a scheme and a host, such as https://app.example, without a slash at the end.`)
  return list
}

/** Whether the store is DynamoDB itself, also through an endpoint of its own. */
function isAws (endpoint: string | undefined): boolean {
  return endpoint === undefined || /\.(?:amazonaws\.com(?:\.cn)?|api\.aws)$/.test(new URL(endpoint).hostname)
}

function secret (env: Env): string {
  const value = required(env, 'HUB_SECRET', 'at least 32 random characters, the same on every instance')
  if (value.length < 32) throw new ConfigError(`HUB_SECRET has ${value.length} characters; it needs at least 32 random ones.`)
  return value
}

function integer (env: Env, name: string, fallback: number, min: number, max: number): number {
  const text = present(env, name)
  if (text === undefined) return fallback
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < min || value > max) throw new ConfigError(`${name} is "${text}"; it must be a whole number from ${min} to ${max}.`)
  return value
}

function oneOf (env: Env, name: string, values: readonly string[], fallback: string): string {
  const value = present(env, name) ?? fallback
  if (!values.includes(value)) throw new ConfigError(`${name} is "${value}"; it must be one of ${values.join(', ')}.`)
  return value
}

function matching (env: Env, name: string, pattern: RegExp, what: string): string | undefined {
  const value = present(env, name)
  if (value !== undefined && !pattern.test(value)) throw new ConfigError(`${name} is "${value}"; it must be ${what}.`)
  return value
}

function url (env: Env, name: string): string | undefined {
  const value = present(env, name)
  if (value !== undefined && !/^https?:\/\/[^/?#]+/.test(value)) throw new ConfigError(`${name} is "${value}"; it must be an http or https URL.`)
  if (value !== undefined && !URL.canParse(value)) throw new ConfigError(`${name} is "${value}"; it must be an http or https URL.`)
  return value
}

function deepFreeze<T extends object> (value: T): T {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) deepFreeze(part)
  return Object.freeze(value)
}

/** Local mode runs on Node 20 as well; that the SDK will not for ever is for package.json to say, not for every start. */
export function silenceSdkNotice (): void {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'
}
