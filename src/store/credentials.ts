import { AssumeRoleCommand, STSClient, type AssumeRoleCommandInput } from '@aws-sdk/client-sts'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { LRUCache } from 'lru-cache'
import type { Config } from '../config.ts'
import { Problem } from '../errors.ts'
import { LOCAL_CREDENTIALS, openClient } from './client.ts'
import type { Store, Stores } from './store.ts'

/** 3,600 s is the most that one role may ask for when it assumes another (role chaining). */
const SESSION_SECONDS = 3600
/** Renewed this long before the end; what is still good serves on meanwhile, and while STS is away. */
const RENEW_BEFORE_SECONDS = 600
const MAX_SESSIONS = 1000
/**
 * One question to STS, its second attempt included, and the pause after a failure: together under the 5 s
 * that recovery may take.
 */
const STS_TIMEOUT_MS = 2000
const PAUSE_AFTER_FAILURE_MS = 1000
/** Sessions that are no tenant's. Not tenant ids (upper case): as a tag they match no tenant's keys. */
const ANONYMOUS = 'PUBLIC'
const OPERATOR = 'OPERATOR'

interface Session {
  readonly store: Store
  readonly endsAt: number
}

/**
 * Every tenant's store with that tenant's own credentials: AssumeRole with the session tag `tenant_id`, which
 * the role's policy holds to `TENANT#{tenant_id}`. One call per tenant and about 50 minutes, one at a time,
 * never the process's own credentials. Without TENANT_ROLE_ARN (local mode, DynamoDB Local) there is no IAM
 * and one client.
 */
export function openStores (
  config: Config,
  { sts = openSts(config), open = openClient }: {
    sts?: STSClient | undefined,
    open?: typeof openClient | undefined
  } = {}
): Stores {
  if (config.tenantRoleArn === undefined) return sharedStores({ client: open(config), table: config.table })
  const failures = new LRUCache<string, Error>({
    max: MAX_SESSIONS,
    ttl: PAUSE_AFTER_FAILURE_MS,
    ttlResolution: 0
  })
  const sessions = new LRUCache<string, Session>({
    max: MAX_SESSIONS,
    ttl: (SESSION_SECONDS - RENEW_BEFORE_SECONDS) * 1000,
    // A renewal that fails leaves the old session in use; `storeOf` refuses it once it has really ended.
    allowStale: true,
    allowStaleOnFetchRejection: true,
    fetchMethod: async (name) => {
      const failure = failures.get(name)
      if (failure !== undefined) throw failure
      const askedAt = Date.now()
      try {
        return {
          store: { client: open(config, await assume(name)), table: config.table },
          endsAt: askedAt + SESSION_SECONDS * 1000
        }
      } catch (error) {
        failures.set(name, error as Error)
        throw error
      }
    },
    dispose: ({ store }) => {
      store.client.destroy()
    }
  })

  async function assume (name: string) {
    const { Credentials } = await sts.send(
      new AssumeRoleCommand({ ...roleOf(name), DurationSeconds: SESSION_SECONDS }),
      { abortSignal: AbortSignal.timeout(STS_TIMEOUT_MS) }
    )
    const { AccessKeyId, SecretAccessKey, SessionToken } = Credentials ?? {}
    if (!AccessKeyId || !SecretAccessKey || !SessionToken) throw new Error('STS answered without credentials')
    // No expiration: the SDK would renew by itself within five minutes of it, at nearly every use.
    return { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken }
  }

  /** CloudTrail shows the session's name beside each call. */
  function roleOf (name: string): AssumeRoleCommandInput {
    if (name === OPERATOR) return { RoleArn: config.operatorRoleArn, RoleSessionName: 'operator' }
    return {
      RoleArn: config.tenantRoleArn,
      RoleSessionName: `tenant-${name}`,
      Tags: [{ Key: 'tenant_id', Value: name }]
    }
  }

  async function storeOf (name: string): Promise<Store> {
    try {
      let session = await sessions.fetch(name)
      // The cache counts its own time, a session ends by the clock: after a jump of the clock only this
      // notices.
      if (session !== undefined && session.endsAt <= Date.now()) {
        session = await sessions.fetch(name, { forceRefresh: true, allowStale: false })
      }
      if (session !== undefined && session.endsAt > Date.now()) return session.store
      // The cache answers with nothing where STS failed and there is no session to go on with.
      throw failures.get(name) ?? new Error('the session has ended')
    } catch (cause) {
      throw new Problem(
        'STORE_UNAVAILABLE',
        'No credentials for the tenant could be had.',
        { retryAfter: 2 },
        { cause }
      )
    }
  }

  return {
    of: storeOf,
    anonymous: () => storeOf(ANONYMOUS),
    operator: () => storeOf(OPERATOR),
    close () {
      sessions.clear()
      sts.destroy()
    }
  }
}

function sharedStores (store: Store): Stores {
  return {
    of: async () => store,
    anonymous: async () => store,
    operator: async () => store,
    close () {
      store.client.destroy()
    }
  }
}

function openSts ({ region, stsEndpoint }: Config): STSClient {
  return new STSClient({
    region,
    maxAttempts: 2,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: 1000,
      requestTimeout: 2000,
      throwOnRequestTimeout: true
    }),
    ...stsEndpoint !== undefined && { endpoint: stsEndpoint, credentials: LOCAL_CREDENTIALS }
  })
}
