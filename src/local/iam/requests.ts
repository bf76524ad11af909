import { TABLE } from '../../store/table.ts'
import { PSEUDO } from './template.ts'

/** What one call wants to do to one resource, as IAM is asked. */
export interface Intent {
  readonly action: string
  readonly resource: string
  /**
   * Partition key values that the call touches; undefined where it names none (a Scan, PartiQL, a table
   * operation).
   */
  readonly leadingKeys: readonly string[] | undefined
}

type Value = { readonly S?: string } | undefined
type Attributes = Readonly<Record<string, Value>>

type Body = any

const ARN = `arn:aws:dynamodb:${PSEUDO['AWS::Region']}:${PSEUDO['AWS::AccountId']}:table/`
const TABLE_KEY = TABLE.KeySchema[0]!.AttributeName
const INDEX_KEYS: Readonly<Record<string, string>> = Object.fromEntries(
  TABLE.GlobalSecondaryIndexes.map(({ IndexName, KeySchema }) => [IndexName, KeySchema[0]!.AttributeName])
)
const TRANSACTED: Readonly<Record<string, string>> = {
  Put: 'PutItem',
  Update: 'UpdateItem',
  Delete: 'DeleteItem',
  ConditionCheck: 'ConditionCheckItem'
}

const tableArn = (name: string): string => name.startsWith('arn:') ? name : `${ARN}${name}`
const keyOf = (attributes: Attributes | undefined, key: string): string[] =>
  typeof attributes?.[key]?.S === 'string' ? [attributes[key].S] : []

/**
 * What IAM is asked for a call of DynamoDB's API: an action, a resource, the leading keys. One call may be
 * several. Source: DynamoDB Developer Guide, "Using IAM policy conditions for fine-grained access control";
 * Service Authorization Reference, "Actions, resources, and condition keys for Amazon DynamoDB".
 * @param operation such as `Query`
 * @param body the call's JSON
 */
export function intentsOf (operation: string, body: Body): Intent[] {
  const intents = namedBy(operation, body)
  // A call that names nothing is asked about all the same: what is not asked is not denied.
  return intents.length > 0
    ? intents
    : [{ action: `dynamodb:${operation}`, resource: '*', leadingKeys: undefined }]
}

function namedBy (operation: string, body: Body): Intent[] {
  const intent = (action: string, table: unknown, leadingKeys: string[], index?: unknown): Intent => ({
    action: `dynamodb:${action}`,
    resource: typeof table !== 'string'
      ? '*'
      : tableArn(table) + (typeof index === 'string' ? `/index/${index}` : ''),
    leadingKeys: leadingKeys.length > 0 ? leadingKeys : undefined
  })
  switch (operation) {
    case 'GetItem':
    case 'DeleteItem':
    case 'UpdateItem':
      return [intent(operation, body.TableName, keyOf(body.Key, TABLE_KEY))]
    case 'PutItem':
      return [intent(operation, body.TableName, keyOf(body.Item, TABLE_KEY))]
    case 'Query':
      return [intent(operation, body.TableName, queried(body), body.IndexName)]
    case 'BatchGetItem':
      return Object.entries<Body>(body.RequestItems ?? {}).map(([table, { Keys = [] }]) =>
        intent(operation, table, Keys.flatMap((key: Attributes) => keyOf(key, TABLE_KEY)))
      )
    case 'BatchWriteItem':
      return Object.entries<Body[]>(body.RequestItems ?? {}).map(([table, writes]) =>
        intent(
          operation,
          table,
          writes.flatMap((
            { PutRequest, DeleteRequest }
          ) => [...keyOf(PutRequest?.Item, TABLE_KEY), ...keyOf(DeleteRequest?.Key, TABLE_KEY)])
        )
      )
    case 'TransactGetItems':
      return (body.TransactItems ?? []).map(({ Get }: Body) =>
        intent('GetItem', Get?.TableName, keyOf(Get?.Key, TABLE_KEY))
      )
    case 'TransactWriteItems':
      return (body.TransactItems ?? []).flatMap((item: Body) =>
        Object.entries<Body>(item).map(([kind, { TableName, Item, Key }]) =>
          intent(TRANSACTED[kind] ?? kind, TableName, keyOf(Item ?? Key, TABLE_KEY))
        )
      )
    case 'ExecuteStatement':
      return [partiql(body.Statement)]
    case 'BatchExecuteStatement':
      return (body.Statements ?? []).map(({ Statement }: Body) => partiql(Statement))
    case 'ExecuteTransaction':
      return (body.TransactStatements ?? []).map(({ Statement }: Body) => partiql(Statement))
    default:
      return [intent(operation, body.TableName, [], body.IndexName)]
  }
}

/** The partition keys that a Query asks for: `pk = :pk` of its key condition, in the new way or the old. */
function queried (
  {
    IndexName,
    KeyConditionExpression = '',
    ExpressionAttributeNames = {},
    ExpressionAttributeValues = {},
    KeyConditions = {}
  }: Body
): string[] {
  const key = partitionKey(IndexName)
  const legacy = KeyConditions[key]?.ComparisonOperator === 'EQ' ? KeyConditions[key].AttributeValueList : []
  const equals = [...String(KeyConditionExpression).matchAll(/(#?\w+)\s*=\s*(:\w+)/g)].filter(([, name]) =>
    (ExpressionAttributeNames[name!] ?? name) === key
  ).map(([, , value]) => ExpressionAttributeValues[value!])
  return [...legacy, ...equals].flatMap((value: Value) => keyOf({ value }, 'value'))
}

const partitionKey = (index: string | undefined): string =>
  index === undefined ? TABLE_KEY : INDEX_KEYS[index] ?? ''

function partiql (statement: unknown): Intent {
  const [verb = ''] = String(statement).trim().split(/\s/)
  return {
    action: `dynamodb:PartiQL${verb.charAt(0).toUpperCase()}${verb.slice(1).toLowerCase()}`,
    resource: '*',
    leadingKeys: undefined
  }
}

/**
 * What DynamoDB refuses and the embedded store lets pass.
 * @returns the message of DynamoDB's ValidationException, or undefined
 */
export function invalid (operation: string, body: Body): string | undefined {
  if (operation !== 'Query') return undefined
  const start = body.ExclusiveStartKey === undefined
    ? undefined
    : keyOf(body.ExclusiveStartKey, partitionKey(body.IndexName))
  if (start !== undefined && !start.some((key) => queried(body).includes(key))) {
    return 'The provided starting key is outside query boundaries based on provided conditions'
  }
  if (body.IndexName !== undefined && body.ConsistentRead === true) {
    return 'Consistent reads are not supported on global secondary indexes'
  }
  return undefined
}
