import { DynamoDBClient, type DynamoDBClientConfig } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import type { Config } from '../config.ts'

/** One pool of sockets for every client of the process: a client per tenant must not mean a pool per tenant. */
const requestHandler = new NodeHttpHandler({ connectionTimeout: 3000, requestTimeout: 5000, throwOnRequestTimeout: true, httpAgent: { maxSockets: 256 }, httpsAgent: { maxSockets: 256 } })

/**
 * A document client with timeouts (the SDK has none by default) and three attempts. Attempts are safe here: every write
 * is a transaction, which carries a client token, so a retry after a lost reply cannot apply twice.
 */
export function openClient (config: Config, credentials?: DynamoDBClientConfig['credentials']): DynamoDBDocumentClient {
  const client = new DynamoDBClient({
    region: config.region,
    requestHandler,
    maxAttempts: 3,
    ...(config.dynamodbEndpoint !== undefined && { endpoint: config.dynamodbEndpoint }),
    ...(config.local && { credentials: { accessKeyId: 'local', secretAccessKey: 'local' } }),
    ...(credentials !== undefined && { credentials })
  })
  return DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } })
}
