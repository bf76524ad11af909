import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  ConfigError,
  deepFreeze,
  hostInUrl,
  integer,
  isAws,
  LOOPBACK,
  matching,
  oneOf,
  origin,
  origins,
  present,
  required,
  secret,
  url,
  type Env
} from './environment.ts'
import { assertNoneMisspelt } from './misspelt.ts'
import { parseIssuers, type TrustedIssuer } from './issuers.ts'
import { limitsOf, type Limits } from './limits.ts'

export { ConfigError } from './environment.ts'

/** The environment, read once into one frozen typed Config. This is the only reader of process.env. */

export interface Config {
  /** True when neither a table nor issuers are configured: embedded store, own issuer, loopback only. */
  readonly local: boolean
  readonly host: string
  readonly port: number
  /** Where devices reach the hub, for what answers say of it: a Host header is whatever its sender wrote. */
  readonly publicUrl: string | undefined
  readonly dataDir: string
  readonly logLevel: string
  readonly table: string
  readonly region: string
  readonly dynamodbEndpoint: string | undefined
  /** Another binary for the embedded store of local mode. */
  readonly dynoxideBin: string | undefined
  /**
   * The role that is assumed for each tenant. Undefined only where DYNAMODB_ENDPOINT names a store without
   * IAM.
   */
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
  /**
   * How long a stream of changes goes on before its client has to come again; 0 where answers can't be
   * streamed (behind an API Gateway).
   */
  readonly streamSeconds: number
  /** How long an answer about public settings may be kept, by this process and by caches on the way. */
  readonly publicMaxAgeSeconds: number
  /**
   * A commit of a staged batch that shows no sign of life for so long has died with its process; whoever
   * comes next finishes it.
   */
  readonly commitLeaseSeconds: number
  readonly limits: Limits
}

const ROLE_ARN = /^arn:[a-z-]+:iam::\d{12}:role\/.+$/
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

/**
 * Reads the configuration.
 * @throws ConfigError naming the variable that is missing or wrong
 */
export function loadConfig (env: Env = process.env): Config {
  assertNoneMisspelt(env)
  const local = !present(env, 'TABLE_NAME') && !present(env, 'ISSUERS')
  const host = present(env, 'HOST') ?? '127.0.0.1'
  const port = integer(env, 'PORT', 3000, 1, 65535)
  const config: Config = {
    local,
    host,
    port,
    publicUrl: local ? `http://${hostInUrl(host)}:${port}` : origin(env, 'PUBLIC_URL'),
    dataDir: present(env, 'DATA_DIR') ?? '.data',
    logLevel: oneOf(env, 'LOG_LEVEL', LEVELS, 'info'),
    table: local ? 'sync-hub' : required(env, 'TABLE_NAME', 'the name of the DynamoDB table'),
    region: present(env, 'AWS_REGION') ??
      (local ? 'local' : required(env, 'AWS_REGION', 'the region of the table')),
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
    streamSeconds: 600,
    publicMaxAgeSeconds: integer(env, 'PUBLIC_MAX_AGE_SECONDS', 60, 0, 86_400),
    commitLeaseSeconds: 5,
    limits: limitsOf(env, local)
  }
  if (local) assertLocalOnly(config, env)
  else if (config.tenantRoleArn === undefined && isAws(config.dynamodbEndpoint)) {
    throw new ConfigError(
      'TENANT_ROLE_ARN is missing: set it to the role that the hub assumes for each tenant (an output of template.yaml). Only a store of your own, named by DYNAMODB_ENDPOINT, goes without.'
    )
  }
  if ((config.tenantRoleArn === undefined) !== (config.operatorRoleArn === undefined)) {
    throw new ConfigError(
      'TENANT_ROLE_ARN and OPERATOR_ROLE_ARN go together: set both (outputs of template.yaml), or neither with a store of your own.'
    )
  }
  return deepFreeze(config)
}

/**
 * Local mode trusts whoever reaches it, so nothing but this machine may reach it and nothing real may be
 * behind it.
 */
function assertLocalOnly (config: Config, env: Env): void {
  const why = 'Neither TABLE_NAME nor ISSUERS is set, which means local mode'
  if (!LOOPBACK.has(config.host)) {
    throw new ConfigError(
      `HOST is ${config.host}, but local mode serves loopback only: ${why}. Set TABLE_NAME and ISSUERS for production, or HOST=127.0.0.1.`
    )
  }
  if (config.dynamodbEndpoint !== undefined && !LOOPBACK.has(new URL(config.dynamodbEndpoint).hostname)) {
    throw new ConfigError(
      `DYNAMODB_ENDPOINT is ${config.dynamodbEndpoint}, but local mode uses a store on this machine only: ${why}.`
    )
  }
  for (
    const name of ['TENANT_ROLE_ARN', 'OPERATOR_ROLE_ARN', 'AWS_LAMBDA_FUNCTION_NAME', 'HUB_SECRET',
      'OAUTH_DOMAIN', 'PUBLIC_URL', 'TRUST_PROXY']
  ) {
    const isDefault = name === 'TRUST_PROXY' && config.trustProxy === 0
    if (present(env, name) !== undefined && !isDefault) {
      throw new ConfigError(
        `${name} is set, but it belongs to production: ${why}. Set both for production, or unset ${name}.`
      )
    }
  }
}

/**
 * Reads `.env` beside package.json, where there is one, into the environment. What is set already wins.
 * @param file another one
 */
export function readEnvFile (file = fileURLToPath(new URL('../.env', import.meta.url))): void {
  if (existsSync(file)) process.loadEnvFile(file)
}

/**
 * Local mode runs on Node 20 as well; that the SDK will not for ever is for package.json to say, not for
 * every start.
 */
export function silenceSdkNotice (): void {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'
}
