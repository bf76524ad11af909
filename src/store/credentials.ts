import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { LRUCache } from 'lru-cache'
import type { Config } from '../config.ts'
import { Problem } from '../errors.ts'
import { openClient } from './client.ts'
import type { Store, Stores } from './store.ts'

/** 3,600 s is the most that one role may ask for when it assumes another (role chaining). */
const SESSION_SECONDS = 3600
/** Renewed this long before the end; what is still good serves on meanwhile, and while STS is away. */
const RENEW_BEFORE_SECONDS = 600
const MAX_TENANTS = 1000
/** Not a tenant id (upper case), so the session of requests without a token matches no tenant's keys. */
const ANONYMOUS = 'PUBLIC'

/**
 * Every tenant's store with that tenant's own credentials: AssumeRole with the session tag `tenant_id`, which the
 * role's policy holds to `TENANT#{tenant_id}`. One call per tenant and about 50 minutes, one at a time, never the
 * process's own credentials. Without TENANT_ROLE_ARN (local mode, DynamoDB Local) there is no IAM and one client.
 */
export function openStores (config: Config, sts: STSClient = openSts(config), client?: DynamoDBDocumentClient): Stores {
  if (config.tenantRoleArn === undefined) return sharedStores({ client: client ?? openClient(config), table: config.table })

  const stores = new LRUCache<string, { store: Store, endsAt: number }>({
    max: MAX_TENANTS,
    ttl: (SESSION_SECONDS - RENEW_BEFORE_SECONDS) * 1000,
    // A renewal that fails leaves the old session in use; `of` refuses it once it has really ended.
    allowStaleOnFetchRejection: true,
    noDeleteOnFetchRejection: true,
    fetchMethod: async (tag) => ({ store: { client: openClient(config, await assume(tag)), table: config.table }, endsAt: Date.now() + SESSION_SECONDS * 1000 })
  })

  async function assume (tag: string) {
    const { Credentials } = await sts.send(new AssumeRoleCommand({
      RoleArn: config.tenantRoleArn,
      RoleSessionName: `tenant-${tag}`,
      DurationSeconds: SESSION_SECONDS,
      Tags: [{ Key: 'tenant_id', Value: tag }]
    }))
    const { AccessKeyId, SecretAccessKey, SessionToken } = Credentials ?? {}
    if (!AccessKeyId || !SecretAccessKey || !SessionToken) throw new Error('STS answered without credentials')
    // No expiration: the SDK would renew by itself within five minutes of it, at nearly every use.
    return { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken }
  }

  async function storeOf (tag: string): Promise<Store> {
    try {
      let entry = await stores.fetch(tag)
      // The cache counts its own time, a session ends by the clock: after a jump of the clock only this notices.
      if (entry !== undefined && entry.endsAt <= Date.now()) entry = await stores.fetch(tag, { forceRefresh: true })
      if (entry !== undefined && entry.endsAt > Date.now()) return entry.store
      throw new Error('the session has ended')
    } catch (cause) {
      throw new Problem('STORE_UNAVAILABLE', 'No credentials for the tenant could be had.', { retryAfter: 2 }, { cause })
    }
  }

  return {
    of: storeOf,
    anonymous: () => storeOf(ANONYMOUS),
    close () { stores.clear(); sts.destroy() }
  }
}

function sharedStores (store: Store): Stores {
  return { of: async () => store, anonymous: async () => store, close () { store.client.destroy() } }
}

function openSts ({ region }: Config): STSClient {
  return new STSClient({ region, maxAttempts: 2, requestHandler: new NodeHttpHandler({ connectionTimeout: 1000, requestTimeout: 3000, throwOnRequestTimeout: true }) })
}
