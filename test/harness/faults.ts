import { setTimeout as pause } from 'node:timers/promises'
import {
  ProvisionedThroughputExceededException,
  ThrottlingException,
  TransactionCanceledException,
  TransactionConflictException
} from '@aws-sdk/client-dynamodb'
import {
  BatchGetCommand,
  DeleteCommand,
  paginateScan,
  type DynamoDBDocumentClient
} from '@aws-sdk/lib-dynamodb'
import { openClient } from '../../src/store/client.ts'
import type { Store } from '../../src/store/store.ts'
import { TABLE, TTL_ATTRIBUTE } from '../../src/store/table.ts'
import { pastTheHub } from './hub.ts'

/** Chances from 0 to 1, but for `spread`. What is left out is 0. */
export interface Rates {
  /**
   * Items of a transaction become visible up to so many milliseconds after it, each on its own: 50 where left
   * out.
   */
  spread: number
  /** A transaction's reply comes only when all its items are visible; otherwise mostly before. */
  held: number
  /**
   * A transaction is refused for another one on one of its items. Two that really meet always clash, whatever
   * this says.
   */
  conflict: number
  /**
   * The store has no capacity left, and nothing happens. A transaction may also be told so in its reasons.
   */
  throttle: number
  /** The request gets lost, and nothing happens. The caller can't tell it from a cut reply. */
  lost: number
  /** A write happens, and its reply gets lost. */
  cut: number
  /** A batch of reads leaves some keys out, never all. */
  unprocessed: number
}

/**
 * delayed: items that were put off; stale: items that a reader was given as they had been; clash:
 * transactions that met.
 */
const NONE = {
  delayed: 0,
  stale: 0,
  held: 0,
  conflict: 0,
  clash: 0,
  throttle: 0,
  lost: 0,
  cut: 0,
  unprocessed: 0,
  swept: 0
}

/** Items that may be remembered before those are looked for that can be seen by now. */
const MANY = 10_000

export type Faults = ReturnType<typeof createFaults>
type Row = Record<string, unknown>
interface Change {
  readonly before: Row | undefined
  visibleAt: number
}

/**
 * What DynamoDB does and the embedded store does not: one world between the two, shared by all hubs of a
 * test. It stands above the SDK's own retries, at its `initialize` step: a fault that is raised here is one
 * that the SDK gave up on.
 *
 * An item that is not visible yet is answered as it was before, whatever the read asks for: right after its
 * own acknowledged write, too, unless the reply is `held`. In a secondary index, an item that moves is in
 * neither place meanwhile. What the hub does not send (deletes in a transaction, TransactGet) is refused
 * rather than passed on unharmed. A trial can be repeated as far as its calls come in the same order.
 * @param random numbers from 0 to 1, such as `seeded` gives
 */
export function createFaults ({ random, ...given }: { random: () => number } & Partial<Rates>) {
  const rates: Rates = {
    spread: 50,
    held: 0,
    conflict: 0,
    throttle: 0,
    lost: 0,
    cut: 0,
    unprocessed: 0,
    ...given
  }
  const counts = { ...NONE }
  let on = true
  /** By item: what is not visible yet, the oldest change first. */
  const changes = new Map<string, Change[]>()
  /** Items of transactions that are on their way to the store and back. */
  const taken = new Set<string>()
  const underWay = new Set<Promise<unknown>>()

  const strikes = (fault: Exclude<keyof Rates, 'spread'>) =>
    on && random() < rates[fault] && ++counts[fault] > 0
  const below = (end: number) => Math.floor(random() * end)
  const broken = () =>
    below(2) === 0
      ? Object.assign(new Error('no answer in time'), { name: 'TimeoutError' })
      : Object.assign(new Error('socket hang up'), { code: 'ECONNRESET', $metadata: { attempts: 3 } })

  function throttled (actions: number): Error {
    if (actions > 0 && below(3) === 0) return cancelled(actions, [below(actions)], 'ThrottlingError')
    return new (below(2) === 0 ? ProvisionedThroughputExceededException : ThrottlingException)(RAISED)
  }

  /**
   * The first change of an item that can't be seen yet. One that can be seen shows what came before it, too.
   */
  function hidden (name: string): Change | undefined {
    const list = changes.get(name) ?? []
    const now = performance.now()
    list.splice(0, list.findLastIndex(({ visibleAt }) => visibleAt <= now) + 1)
    if (list.length === 0) changes.delete(name)
    return list[0]
  }

  /**
   * Rows as a reader sees them now, each on its own: reads of many items are only read-committed against
   * transactions.
   */
  function seen (table: string, rows: readonly Row[], request: any): Row[] {
    return rows.flatMap((row) => {
      const change = hidden(nameOf(table, row))
      if (change === undefined) return [row]
      counts.stale++
      return viewOf(request, change.before, row)
    })
  }

  async function read (input: any, send: () => Promise<any>): Promise<any> {
    const { output, ...rest } = await send()
    if ('Key' in input) {
      return {
        ...rest,
        output: { ...output, Item: output.Item && seen(input.TableName, [output.Item], input)[0] }
      }
    }
    if (!('RequestItems' in input)) {
      const Items = seen(input.TableName, output.Items, input)
      return { ...rest, output: { ...output, Items, Count: Items.length } }
    }
    const [Responses, UnprocessedKeys]: any[] = [{ ...output.Responses }, { ...output.UnprocessedKeys }]
    for (const [table, request] of Object.entries<{ Keys: Row[] }>(input.RequestItems)) {
      const off = new Set<string>(UnprocessedKeys[table]?.Keys.map((key: Row) => nameOf(table, key)))
      if (request.Keys.length > 1 && strikes('unprocessed')) {
        for (const key of request.Keys.slice(below(request.Keys.length - 1) + 1)) {
          off.add(nameOf(table, key))
        }
      }
      Responses[table] = seen(
        table,
        (Responses[table] ?? []).filter((row: Row) => !off.has(nameOf(table, row))),
        request
      )
      if (off.size > 0) {
        UnprocessedKeys[table] = {
          ...request,
          Keys: request.Keys.filter((key) => off.has(nameOf(table, key)))
        }
      }
    }
    return { ...rest, output: { ...output, Responses, UnprocessedKeys } }
  }

  async function transact (
    raw: DynamoDBDocumentClient,
    actions: readonly Action[],
    send: () => Promise<any>
  ): Promise<any> {
    const names = actions.map(({ table, key }) => nameOf(table, key))
    if (!on) {
      return send().finally(() => {
        for (const name of names) changes.delete(name)
      })
    }
    const met = names.flatMap((name, index) => taken.has(name) ? [index] : [])
    if (met.length > 0) counts.clash++
    else if (strikes('conflict')) met.push(below(names.length))
    if (met.length > 0) throw cancelled(names.length, met, 'TransactionConflict')
    for (const name of names) taken.add(name)
    const mine = new Map<string, Change>()
    let refused = false
    try {
      const before = await imagesOf(raw, actions)
      // Before it is sent: nobody may see the new state, and then the old one again.
      for (const [index, { writes }] of actions.entries()) {
        if (writes) mine.set(names[index]!, { before: before.get(names[index]!), visibleAt: Infinity })
      }
      for (const [name, change] of mine) changes.set(name, [...changes.get(name) ?? [], change])
      // What nobody reads again is forgotten here, or a long run would fill the memory.
      if (changes.size > MANY) { for (const name of changes.keys()) hidden(name) }
      return await send()
    } catch (error) {
      refused = (error as Error).name === 'TransactionCanceledException'
      throw error
    } finally {
      for (const name of names) taken.delete(name)
      const now = performance.now()
      for (const [name, change] of mine) {
        change.visibleAt = now + (on ? random() * rates.spread : 0)
        if (refused) changes.set(name, changes.get(name)?.filter((other) => other !== change) ?? [])
        else if (change.visibleAt > now) counts.delayed++
      }
      if (!refused && mine.size > 0 && strikes('held')) {
        await pause(Math.max(...[...mine.values()].map(({ visibleAt }) => visibleAt)) - now)
      }
    }
  }

  /** Deletes of many items, each on its own. The store puts off what a transaction has, and sometimes others. */
  async function deletes ({ RequestItems }: any, send: () => Promise<any>): Promise<any> {
    const names = Object.entries<any[]>(RequestItems).flatMap(([table, requests]) =>
      requests.map(({ DeleteRequest: { Key } }) => nameOf(table, Key as Row))
    )
    if (on && names.some((name) => taken.has(name)) && ++counts.clash > 0 || strikes('unprocessed')) {
      return { output: { $metadata: {}, UnprocessedItems: RequestItems } }
    }
    const result = await send()
    for (const name of names) changes.delete(name)
    return result
  }

  /** The write of a single item, which is visible at once. */
  async function write ({ TableName, Key, Item }: any, send: () => Promise<any>): Promise<any> {
    const name = nameOf(TableName, Key ?? Item)
    if (on && taken.has(name) && ++counts.clash > 0) throw new TransactionConflictException(RAISED)
    const result = await send()
    changes.delete(name)
    return result
  }

  async function call (
    raw: DynamoDBDocumentClient,
    command: string,
    input: any,
    send: () => Promise<any>
  ): Promise<any> {
    const actions = (input.TransactItems as object[] | undefined)?.map(actionOf)
    if (strikes('lost')) throw broken()
    if (strikes('throttle')) throw throttled(actions?.length ?? 0)
    if (/^(?:GetItem|BatchGetItem|Query|Scan)Command$/.test(command)) return read(input, send)
    if (command === 'BatchWriteItemCommand') return deletes(input, send)
    if (!/^(?:PutItem|UpdateItem|DeleteItem|TransactWriteItems)Command$/.test(command)) {
      throw new Error(`the fault layer does not know ${command}`)
    }
    const done: Promise<unknown> = actions === undefined ? write(input, send) : transact(raw, actions, send)
    underWay.add(done)
    const result = await done.finally(() => underWay.delete(done))
    if (strikes('cut')) throw broken()
    return result
  }

  async function settled (): Promise<void> {
    await Promise.allSettled(underWay)
    let last = 0
    for (const [name, list] of changes) {
      if (hidden(name) !== undefined) {
        for (const { visibleAt } of list) if (Number.isFinite(visibleAt)) last = Math.max(last, visibleAt)
      }
    }
    // Timers may come a little early.
    while (performance.now() < last) await pause(Math.ceil(last - performance.now()))
  }

  return {
    /** May be changed on the way. */
    rates,
    /** How often each came true: a test that raised none proves nothing. */
    counts,
    /** For buildApp, and for clients of a test that are to see what a hub sees. */
    open: ((config, credentials) => {
      const [client, raw] = [openClient(config, credentials), openClient(pastTheHub(config))]
      client.middlewareStack.add(
        (next, context) => (args) =>
          call(raw, (context as { commandName: string }).commandName, args.input, () => next(args)),
        { step: 'initialize', name: 'faults', priority: 'high' }
      )
      return client
    }) as typeof openClient,
    /** No more faults; resolves when everything that was written until now is visible. */
    async quiet (): Promise<void> {
      on = false
      await settled()
    },
    /** Resolves when everything that was sent until now has ended, and is visible. Faults go on. */
    settled,
    /** Faults again, after `quiet`. */
    resume () {
      on = true
    },
    /**
     * What TTL may do at any time: deletes rows that expired before a time (in milliseconds), some of them
     * and in no order.
     * @param store past the faults @param share of the expired rows that go @returns the sort keys of those
     *   that went
     */
    async sweep ({ client, table }: Store, before: number, share = 0.5): Promise<string[]> {
      const condition = {
        ExpressionAttributeNames: { '#ttl': TTL_ATTRIBUTE },
        ExpressionAttributeValues: { ':before': before / 1000 }
      }
      const rows: { row: Row, at: number }[] = []
      for await (
        const { Items = [] } of paginateScan({ client }, {
          TableName: table,
          FilterExpression: '#ttl < :before',
          ...condition
        })
      ) rows.push(...Items.map((row) => ({ row, at: random() })))
      const swept: string[] = []
      for (const { row: { pk, sk } } of rows.filter(() => random() < share).sort((a, b) => a.at - b.at)) {
        // What was written anew since the scan stays.
        const gone = await client.send(
          new DeleteCommand({
            TableName: table,
            Key: { pk, sk },
            ConditionExpression: '#ttl < :before',
            ...condition
          })
        ).catch((error: Error) => {
          if (error.name !== 'ConditionalCheckFailedException') throw error
        })
        if (gone === undefined) continue
        changes.delete(nameOf(table, { pk, sk }))
        counts.swept++
        swept.push(sk as string)
      }
      return swept
    },
    /** A clock that is wrong by so many milliseconds; where left out, by up to 10 minutes either way. */
    skewed: (now = Date.now, milliseconds = below(1_200_001) - 600_000) => () => now() + milliseconds
  }
}

const RAISED = { message: 'raised by the fault layer', $metadata: {} }

/** A transaction of so many actions, refused for some of them. */
function cancelled (actions: number, refused: readonly number[], Code: string): Error {
  return new TransactionCanceledException({
    ...RAISED,
    CancellationReasons: Array.from(
      { length: actions },
      (_, index) => refused.includes(index) ? { Code, Message: RAISED.message } : { Code: 'None' }
    )
  })
}

type Action = ReturnType<typeof actionOf>
function actionOf (item: object) {
  const [[kind, { TableName, Key, Item }]] = Object.entries<any>(item) as [[string, any]]
  if (kind === 'Delete') throw new Error('the fault layer does not know deletes in a transaction')
  const { pk, sk } = Key ?? Item
  return { table: TableName as string, key: { pk, sk } as Row, writes: kind !== 'ConditionCheck' }
}

/** The items of a transaction as they are: nobody else writes them meanwhile. */
async function imagesOf (raw: DynamoDBDocumentClient, actions: readonly Action[]): Promise<Map<string, Row>> {
  const images = new Map<string, Row>()
  let rest: Record<string, any> = {}
  for (const { table, key } of actions) (rest[table] ??= { Keys: [], ConsistentRead: true }).Keys.push(key)
  while (Object.keys(rest).length > 0) {
    const { Responses = {}, UnprocessedKeys = {} } = await raw.send(
      new BatchGetCommand({ RequestItems: rest })
    )
    for (const [table, rows] of Object.entries(Responses)) {
      for (const row of rows) images.set(nameOf(table, row), row)
    }
    rest = UnprocessedKeys
  }
  return images
}

/** What a request would have been given of an item before its change, in the place of `row`. */
function viewOf (request: any, before: Row | undefined, row: Row): Row[] {
  if (before === undefined) return []
  const index = TABLE.GlobalSecondaryIndexes.find(({ IndexName }) => IndexName === request.IndexName)
  const keys = index?.KeySchema.map(({ AttributeName }) => AttributeName) ?? []
  if (keys.some((name) => before[name] !== row[name])) return []
  const projected = index &&
    ['pk', 'sk', ...keys, ...'NonKeyAttributes' in index.Projection ? index.Projection.NonKeyAttributes : []]
  const asked = (request.ProjectionExpression as string | undefined)?.split(',').map((name) =>
    request.ExpressionAttributeNames?.[name.trim()] ?? name.trim()
  )
  return [Object.fromEntries(
    Object.entries(before).filter(([name]) =>
      (projected?.includes(name) ?? true) && (asked?.includes(name) ?? true)
    )
  )]
}

function nameOf (table: string, { pk, sk }: Row): string {
  if (pk === undefined || sk === undefined) {
    throw new Error('the fault layer does not know a row without its keys')
  }
  return JSON.stringify([table, pk, sk])
}

/** The same numbers from 0 to 1 for the same seed (mulberry32). */
export function seeded (seed: number): () => number {
  return () => {
    seed = seed + 0x6D2B79F5 | 0
    let mixed = Math.imul(seed ^ seed >>> 15, 1 | seed)
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed
    return ((mixed ^ mixed >>> 14) >>> 0) / 4294967296
  }
}
