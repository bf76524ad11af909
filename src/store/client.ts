import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { DynamoDBClient, type DynamoDBClientConfig } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import type { Config } from '../config.ts'

/**
 * What a hub on a desk shows itself with: the embedded store wants a key, the local gateway knows this one as
 * the hub's.
 */
export const LOCAL_CREDENTIALS = { accessKeyId: 'local', secretAccessKey: 'local' } as const

/**
 * One pool of sockets for every client of the process: a client per tenant must not mean a pool per tenant.
 */
class SharedHandler extends NodeHttpHandler {
  /** A client that goes takes nothing along: the others use these sockets. */
  override destroy (): void {}
}

const requestHandler = new SharedHandler({
  connectionTimeout: 3000,
  requestTimeout: 5000,
  throwOnRequestTimeout: true,
  httpAgent: { maxSockets: 256 },
  httpsAgent: { maxSockets: 256 }
})

/**
 * A document client with timeouts (the SDK has none by default) and three attempts. Attempts are safe here:
 * every write is a transaction, which carries a client token, so a retry after a lost reply cannot apply
 * twice; or sets a row to what it was to be anyway.
 * An answer without a body is none: the SDK would read it as "it is done", or as "there is no such row", and what
 * stands between the hub and its store may well say 200 to anything.
 */
export function openClient (
  config: Config,
  credentials?: DynamoDBClientConfig['credentials']
): DynamoDBDocumentClient {
  const client = new DynamoDBClient({
    region: config.region,
    requestHandler,
    maxAttempts: 3,
    ...(config.dynamodbEndpoint !== undefined && { endpoint: config.dynamodbEndpoint }),
    ...(config.local && { credentials: LOCAL_CREDENTIALS }),
    ...(credentials !== undefined && { credentials })
  })
  client.middlewareStack.add((next) => async (args) => {
    const result = await next(args)
    const response = result.response as { statusCode: number, body?: Readable | Buffer }
    if (response.statusCode !== 200) return result
    response.body = response.body === undefined ? Buffer.alloc(0) : await buffer(response.body as Readable)
    if (response.body.length > 0) return result
    throw Object.assign(new Error('The store answered with nothing.'), {
      name: 'ServiceUnavailable',
      $retryable: { throttling: false }
    })
  }, { step: 'deserialize', name: 'refuseNothing', priority: 'low' })
  return DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } })
}
