import { join } from 'node:path'
import type { FastifyPluginAsync } from 'fastify'
import { ConfigError, silenceSdkNotice, type Config } from '../config.ts'
import { openClient } from '../store/client.ts'
import { createTable } from './create-table.ts'
import { awaitFormerStore, loadIdentity, lockDataDir } from './data-dir.ts'
import { startEmbeddedStore, type EmbeddedStore } from './embedded-store.ts'
import { startGateway, type Gateway } from './iam/gateway.ts'
import { loadRoles, type Role } from './iam/roles.ts'
import { createLocalIssuer, type Subject } from './issuer.ts'
import { operator } from './operator.ts'

/** What a hub on a desk needs in place of a cloud account. */
export interface LocalCloud {
  /** The given configuration, with the store's endpoint, the issuer and the secret filled in. */
  readonly config: Config
  /** The issuer's and the operator's routes. */
  readonly plugin: FastifyPluginAsync
  /** An access token of the local issuer. */
  token(subject: Subject): Promise<string>
  /** Called when the store ends by itself: the hub can't go on. */
  onExit(listener: () => void): void
  stop(): Promise<void>
}

/**
 * Starts the local cloud in DATA_DIR: embedded store (or the one that DYNAMODB_ENDPOINT names), table,
 * issuer; with LOCAL_IAM the policies of that template stand in front of the store.
 * @throws ConfigError saying what to do
 */
export async function startLocalCloud (config: Config): Promise<LocalCloud> {
  silenceSdkNotice()
  const roles = readRoles(config)
  const unlock = await lockDataDir(config.dataDir)
  try {
    const [identity, store] = await Promise.all([loadIdentity(config.dataDir),
      config.dynamodbEndpoint === undefined ? startStore(config) : undefined])
    const endpoint = store?.endpoint ?? config.dynamodbEndpoint!
    await createTable(endpoint, config.table, config.region)
    const gateway = roles && await startGateway({ roles, store: endpoint })
    const issuer = createLocalIssuer(`${config.publicUrl}/local`, identity.privateKey)
    return {
      config: Object.freeze({
        ...config,
        dynamodbEndpoint: endpoint,
        issuers: [issuer.entry],
        secret: identity.secret,
        ...behind(gateway)
      }),
      async plugin (app) {
        await app.register(issuer.plugin)
        await app.register(
          operator({ client: openClient({ ...config, dynamodbEndpoint: endpoint }), table: config.table })
        )
      },
      token: async (subject) => (await issuer.mint(subject)).access_token,
      onExit (listener) {
        store?.onExit(listener)
      },
      async stop () {
        await gateway?.stop()
        await store?.stop()
        await unlock()
      }
    }
  } catch (error) {
    await unlock()
    throw error
  }
}

/** The roles that LOCAL_IAM names. @throws ConfigError where they can't be enforced */
function readRoles ({ localIam, table }: Config): ReadonlyMap<string, Role> | undefined {
  try {
    return localIam === undefined ? undefined : loadRoles(localIam, table)
  } catch (error) {
    throw new ConfigError(`LOCAL_IAM is ${localIam}: ${(error as Error).message}`)
  }
}

/** What of the configuration leads through a gateway. */
export function behind (gateway: Gateway | undefined): Partial<Config> {
  return gateway === undefined
    ? {}
    : {
      dynamodbEndpoint: gateway.endpoint,
      stsEndpoint: gateway.endpoint,
      tenantRoleArn: gateway.tenantRoleArn,
      operatorRoleArn: gateway.operatorRoleArn
    }
}

async function startStore ({ dataDir, dynoxideBin }: Config): Promise<EmbeddedStore> {
  const record = await awaitFormerStore(dataDir)
  const store = await startEmbeddedStore(join(dataDir, 'hub.db'), dynoxideBin)
  await record(store.pid)
  return store
}
