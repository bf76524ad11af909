import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import type { Config } from '../../src/config.ts'
import { openClient } from '../../src/store/client.ts'

/** One round trip to the store, with what it consumed: read or write units, of the table and of its indexes. */
export interface Call { readonly name: string, readonly table: number, readonly indexes: number }

export interface TracedClient {
  readonly client: DynamoDBDocumentClient
  /** Every call since the last `reset`. */
  readonly calls: Call[]
  reset (): void
  /** Stands between the SDK and the store: may throw before (nothing happens) or after (it happened, the reply is lost). */
  fault: ((name: string, next: () => Promise<any>) => Promise<any>) | undefined
}

interface Consumed { CapacityUnits?: number, Table?: { CapacityUnits?: number } }

/** The hub's own client, counting round trips and capacity through ReturnConsumedCapacity. */
export function traceClient (config: Config): TracedClient {
  const client = openClient(config)
  const calls: Call[] = []
  const traced: TracedClient = { client, calls, reset: () => { calls.length = 0 }, fault: undefined }
  client.middlewareStack.add((next, context) => async (args) => {
    const name = (context as { commandName?: string }).commandName ?? ''
    const request = { ...args, input: { ...args.input, ReturnConsumedCapacity: 'INDEXES' } } as typeof args
    const send = () => next(request)
    const result = await (traced.fault === undefined ? send() : traced.fault(name, send))
    const consumed = [(result.output as { ConsumedCapacity?: Consumed | Consumed[] }).ConsumedCapacity ?? []].flat()
    const total = consumed.reduce((sum, { CapacityUnits = 0 }) => sum + CapacityUnits, 0)
    const table = consumed.reduce((sum, { Table, CapacityUnits = 0 }) => sum + (Table?.CapacityUnits ?? CapacityUnits), 0)
    calls.push({ name, table, indexes: total - table })
    return result
  }, { step: 'initialize', name: 'trace' })
  return traced
}
