import { generateKeyPairSync } from 'node:crypto'
import Fastify, { type FastifyInstance } from 'fastify'
import { buildApp } from '../../src/app.ts'
import { loadConfig, silenceSdkNotice } from '../../src/config.ts'
import type { Limits } from '../../src/limits.ts'
import { createTable } from '../../src/local/create-table.ts'
import { freePort, startEmbeddedStore } from '../../src/local/embedded-store.ts'
import { createLocalIssuer } from '../../src/local/issuer.ts'
import { openClient } from '../../src/store/client.ts'

/** A hub in this process, on an embedded store in memory, whose units are counted. */
export interface BenchHub {
  /** A hub on the store; each call makes another. */
  hub(): Promise<FastifyInstance>
  token(tenant: string, user: string): Promise<string>
  /** Capacity units since the last `reset`. */
  units(): number
  reset(): void
  stop(): Promise<void>
}

/** @param limits that differ from those of local mode */
export async function startBench (limits: Partial<Limits> = {}): Promise<BenchHub> {
  silenceSdkNotice()
  const store = await startEmbeddedStore(undefined)
  await createTable(store.endpoint, 'bench')
  const port = await freePort()
  const issuer = createLocalIssuer(
    `http://127.0.0.1:${port}/local`,
    generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' }
    }).privateKey
  )
  const keys = Fastify()
  await keys.register(issuer.plugin)
  await keys.listen({ host: '127.0.0.1', port })
  let units = 0
  const open: typeof openClient = (config, credentials) => {
    const client = openClient(config, credentials)
    client.middlewareStack.add((next) => async (args) => {
      const result = await next({ ...args, input: { ...args.input, ReturnConsumedCapacity: 'TOTAL' } })
      for (
        const { CapacityUnits = 0 } of [
          (result.output as { ConsumedCapacity?: { CapacityUnits?: number }[] }).ConsumedCapacity ?? []
        ].flat()
      ) units += CapacityUnits
      return result
    }, { step: 'initialize' })
    return client
  }
  const plain = loadConfig({})
  const config = {
    ...plain,
    limits: { ...plain.limits, ...limits },
    dynamodbEndpoint: store.endpoint,
    table: 'bench',
    issuers: [issuer.entry],
    secret: 'only for this run, 32 characters',
    logLevel: process.env.LOG ?? 'silent'
  }
  return {
    hub: () => buildApp(config, { open }),
    token: async (tenant, user) => (await issuer.mint({ tenant, user })).access_token,
    units: () => units,
    reset: () => {
      units = 0
    },
    stop: async () => {
      await keys.close()
      await store.stop()
    }
  }
}
