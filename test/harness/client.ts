import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import type { Test } from 'tap'
import type { Config } from '../../src/config.ts'
import { openClient } from '../../src/store/client.ts'
import type { Store } from '../../src/store/store.ts'
import type { Overrides } from '../../src/app.ts'
import { pastTheHub, startHub, testConfig, type Hub } from './hub.ts'

/**
 * One round trip to the store, with what it consumed: read or write units, of the table and of its indexes.
 */
export interface Call {
  readonly name: string
  readonly table: number
  readonly indexes: number
}

export interface TracedClient {
  /** For buildApp: the hub's clients, each traced. */
  readonly open: typeof openClient
  /** Reads past the hub, and past the gateway; traced as well. */
  readonly client: DynamoDBDocumentClient
  /**
   * Every call since the last `reset`, but for the operator's: those come once in some seconds, whatever a
   * test does.
   */
  readonly calls: Call[]
  readonly operatorCalls: Call[]
  reset(): void
  /**
   * Stands between the SDK and the store: may throw before (nothing happens) or after (it happened, the reply
   * is lost).
   */
  fault: ((name: string, next: () => Promise<any>) => Promise<any>) | undefined
  /** As `fault`, for each attempt that the SDK makes. */
  wire: ((next: () => Promise<any>) => Promise<any>) | undefined
}

interface Consumed {
  CapacityUnits?: number
  Table?: { CapacityUnits?: number }
}

/** The hub's own clients, counting round trips and capacity through ReturnConsumedCapacity. */
export function traceClient (config: Config): TracedClient {
  const isOperators = (input: unknown) => JSON.stringify(input).includes('"OPS#')
  const [calls, operatorCalls]: Call[][] = [[], []]
  const open: typeof openClient = (config, credentials) => {
    const client = openClient(config, credentials)
    client.middlewareStack.add((next, context) => async (args) => {
      const name = (context as { commandName?: string }).commandName ?? ''
      const request = { ...args, input: { ...args.input, ReturnConsumedCapacity: 'INDEXES' } } as typeof args
      const send = () => next(request)
      const isOperator = isOperators(args.input)
      const result = await (traced.fault === undefined || isOperator ? send() : traced.fault(name, send))
      const consumed = [
        (result.output as { ConsumedCapacity?: Consumed | Consumed[] }).ConsumedCapacity ?? []
      ].flat()
      const total = consumed.reduce((sum, { CapacityUnits = 0 }) => sum + CapacityUnits, 0)
      const table = consumed.reduce(
        (sum, { Table, CapacityUnits = 0 }) => sum + (Table?.CapacityUnits ?? CapacityUnits),
        0
      )
      ;(isOperator ? operatorCalls : calls)!.push({ name, table, indexes: total - table })
      return result
    }, { step: 'initialize', name: 'trace' })
    client.middlewareStack.add(
      (next) => (args) =>
        traced.wire === undefined || isOperators(args.input) ? next(args) : traced.wire(() => next(args)),
      { step: 'deserialize', name: 'wire', priority: 'low' }
    )
    return client
  }
  const traced: TracedClient = {
    open,
    client: open(pastTheHub(config)),
    calls: calls!,
    operatorCalls: operatorCalls!,
    reset: () => {
      calls!.length = operatorCalls!.length = 0
    },
    fault: undefined,
    wire: undefined
  }
  return traced
}

/**
 * A hub on a table of its own whose calls are counted and can be made to fail, and that table past the hub.
 */
export async function startTracedHub (
  t: Test,
  changes: Partial<Config> = {},
  overrides: Omit<Overrides, 'logStream'> = {}
): Promise<{ hub: Hub, traced: TracedClient, store: Store }> {
  const config = await testConfig(changes)
  const traced = traceClient(config)
  const hub = await startHub(t, config, { open: traced.open, ...overrides })
  return { hub, traced, store: { client: traced.client, table: config.table } }
}
