import { TransactWriteCommand, type TransactWriteCommandInput } from '@aws-sdk/lib-dynamodb'
import { unmarshall } from '@aws-sdk/util-dynamodb'
import type { Store } from './store.ts'

type Action = NonNullable<TransactWriteCommandInput['TransactItems']>[number]
type Put = NonNullable<Action['Put']>
type Check = NonNullable<Action['ConditionCheck']>

/** What the store said of one action: nothing, or that its condition failed and which row stood there. */
export interface Refusal {
  readonly code: string
  readonly row: Record<string, unknown> | undefined
}

/**
 * Sends puts, and checks of rows that are not written, as one transaction: all or nothing (at most 100
 * actions and 4 MB).
 * @returns undefined when committed, otherwise one entry per action: its refusal, or null where it had no
 *   part in it.
 *   Rows come from ReturnValuesOnConditionCheckFailure, so a failed condition needs no second read.
 * @throws any other failure of the store; the write may then have happened or not
 */
export async function transact (
  { client, table }: Store,
  puts: object[]
): Promise<(Refusal | null)[] | undefined> {
  const TransactItems = puts.map((put) => {
    const action = { ...put, TableName: table, ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const }
    return 'Item' in action ? { Put: action as Put } : { ConditionCheck: action as unknown as Check }
  })
  try {
    await client.send(new TransactWriteCommand({ TransactItems }))
    return undefined
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'TransactionCanceledException') throw error
    const { CancellationReasons = [] } = error as Error & {
      CancellationReasons?: { Code?: string, Item?: Parameters<typeof unmarshall>[0] }[]
    }
    return puts.map((_, index) => {
      const { Code: code = 'None', Item: item } = CancellationReasons[index] ?? {}
      // The document client unmarshalls what succeeds, not what fails.
      return code === 'None' ? null : { code, row: item === undefined ? undefined : unmarshall(item) }
    })
  }
}
