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
import { parseIssuers, type TrustedIssuer } from './trusted-issuers.ts'

export { ConfigError } from './environment.ts'
export type { TenantRule, TrustedIssuer } from './trusted-issuers.ts'

/** The environment, read once into one frozen typed Config. This is the only reader of process.env. */

export interface Limits {
  readonly bodyBytes: number
  readonly headerBytes: number
  readonly settingBytes: number
  readonly settingDepth: number
  readonly pageItems: number
  /** Operations in an answer to a pull. */
  readonly syncOperations: number
  /** Changes in a push. */
  readonly pushChanges: number
  /** Changes in one request that adds to a staged batch, in a whole batch, and bytes of their contents. */
  readonly appendedChanges: number
  readonly batchChanges: number
  readonly batchBytes: number
  readonly spaceRecords: number
  readonly spaceBytes: number
  /** Memory for bookmarks, their indexes and exports that are read, in a process; half as much for uploads. */
  readonly memoryBytes: number
  /** Body of an import, and entries in it. */
  readonly importBytes: number
  readonly importEntries: number
  /** The pace of a body, in bytes a second; requests a minute, where 0 turns the limit off. */
  readonly uploadBytesPerSecond: number
  readonly requestsPerAddress: number
  readonly requestsPerTenant: number
  /** Connections that are open, in a process. */
  readonly connections: number
  /** Long polls and event streams at a time, in a process: all, of one tenant, of one user. */
  readonly connectionsWaiting: number
  readonly connectionsPerTenant: number
  readonly connectionsPerUser: number
  /** Requests that work side by side, and that wait for their turn, in a process. */
  readonly requestsRunning: number
  readonly requestsRunningPerTenant: number
  readonly requestsWaiting: number
  readonly requestsWaitingPerTenant: number
  /** An event loop that stood still for so long takes but a few requests of each tenant; 0 turns that off. */
  readonly eventLoopDelayMs: number
  /** Groups that a user is in, and invitations to more. */
  readonly userGroups: number
  readonly userInvitations: number
  /** People in a group, and pending invitations to it. */
  readonly groupMembers: number
  readonly groupInvitations: number
  readonly invitationDays: number
  /** Sessions of a user, and how long they last. */
  readonly userSessions: number
  readonly sessionDays: number
  /**
   * How long a pairing code is good, how many wrong codes it survives, and how many codes an address may try
   * in a minute (0: no limit).
   */
  readonly pairingSeconds: number
  readonly pairingTries: number
  readonly claimsPerAddress: number
  /** Codes that a user may make in a minute (0: no limit). */
  readonly pairingsPerUser: number
}

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
    limits: {
      bodyBytes: integer(env, 'LIMIT_BODY_BYTES', 1_048_576, 1024, 6_000_000),
      headerBytes: 16_384,
      settingBytes: integer(env, 'LIMIT_SETTING_BYTES', 65_536, 1, 150_000),
      settingDepth: 16,
      pageItems: 100,
      syncOperations: 1000,
      pushChanges: 98,
      appendedChanges: 5000,
      batchChanges: 10_000,
      batchBytes: 33_554_432,
      spaceRecords: integer(env, 'LIMIT_SPACE_RECORDS', 50_000, 1, 10_000_000),
      spaceBytes: integer(env, 'LIMIT_SPACE_BYTES', 104_857_600, 1, 1e12),
      memoryBytes: integer(env, 'LIMIT_MEMORY_BYTES', 268_435_456, 1, 1e12),
      importBytes: integer(env, 'LIMIT_IMPORT_BYTES', 10_485_760, 1024, 104_857_600),
      importEntries: 50_000,
      uploadBytesPerSecond: integer(env, 'LIMIT_UPLOAD_BYTES_PER_SECOND', 16_384, 1, 1e9),
      requestsPerAddress: integer(env, 'LIMIT_REQUESTS_PER_ADDRESS', local ? 0 : 1200, 0, 1e9),
      requestsPerTenant: integer(env, 'LIMIT_REQUESTS_PER_TENANT', local ? 0 : 6000, 0, 1e9),
      connections: integer(env, 'LIMIT_CONNECTIONS', 2000, 1, 1_000_000),
      connectionsWaiting: integer(env, 'LIMIT_CONNECTIONS_WAITING', 1000, 1, 1_000_000),
      connectionsPerTenant: integer(env, 'LIMIT_CONNECTIONS_PER_TENANT', 500, 1, 1_000_000),
      connectionsPerUser: integer(env, 'LIMIT_CONNECTIONS_PER_USER', 20, 1, 10_000),
      requestsRunning: integer(env, 'LIMIT_REQUESTS_RUNNING', 48, 1, 10_000),
      requestsRunningPerTenant: integer(env, 'LIMIT_REQUESTS_RUNNING_PER_TENANT', 24, 1, 10_000),
      requestsWaiting: integer(env, 'LIMIT_REQUESTS_WAITING', 2000, 0, 1_000_000),
      requestsWaitingPerTenant: integer(env, 'LIMIT_REQUESTS_WAITING_PER_TENANT', 500, 0, 1_000_000),
      eventLoopDelayMs: integer(env, 'LIMIT_EVENT_LOOP_DELAY_MS', local ? 0 : 500, 0, 60_000),
      userGroups: 100,
      userInvitations: 100,
      groupMembers: integer(env, 'LIMIT_GROUP_MEMBERS', 500, 1, 10_000),
      groupInvitations: 100,
      invitationDays: 14,
      userSessions: 50,
      sessionDays: integer(env, 'LIMIT_SESSION_DAYS', 365, 1, 3650),
      pairingSeconds: 600,
      pairingTries: 5,
      pairingsPerUser: 20,
      claimsPerAddress: integer(env, 'LIMIT_CLAIMS_PER_ADDRESS', 30, 0, 1e9)
    }
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
    if (present(env, name) !== undefined) {
      throw new ConfigError(
        `${name} is set, but it belongs to production: ${why}. Set both for production, or unset ${name}.`
      )
    }
  }
}

/**
 * Local mode runs on Node 20 as well; that the SDK will not for ever is for package.json to say, not for
 * every start.
 */
export function silenceSdkNotice (): void {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'
}
