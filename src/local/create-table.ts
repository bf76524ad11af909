import {
  CreateTableCommand,
  type CreateTableCommandInput,
  DynamoDBClient,
  UpdateTimeToLiveCommand,
  waitUntilTableExists
} from '@aws-sdk/client-dynamodb'
import { TABLE, TTL_ATTRIBUTE } from '../store/table.ts'

/**
 * Creates the table where it does not exist yet, and waits until it can be used. For stores on this machine
 * only.
 */
export async function createTable (endpoint: string, name: string, region = 'local'): Promise<void> {
  const client = new DynamoDBClient({
    endpoint,
    region,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' }
  })
  try {
    // Without the stream: nothing on a desk reads it, and the embedded store spends more on each write the
    // longer it is.
    const { StreamSpecification: _, ...table } = structuredClone(TABLE) as unknown as CreateTableCommandInput
    await client.send(new CreateTableCommand({ ...table, TableName: name }))
    await waitUntilTableExists({ client, maxWaitTime: 20, minDelay: 1, maxDelay: 2 }, { TableName: name })
    await client.send(
      new UpdateTimeToLiveCommand({
        TableName: name,
        TimeToLiveSpecification: { AttributeName: TTL_ATTRIBUTE, Enabled: true }
      })
    )
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'ResourceInUseException') throw error
  } finally {
    client.destroy()
  }
}
