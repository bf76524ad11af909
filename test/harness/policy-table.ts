/** One call of DynamoDB's API. */
export interface Shape {
  readonly name: string
  readonly operation: string
  readonly body: object
}

/** Every action of DynamoDB's API that IAM knows (Service Authorization Reference, "Amazon DynamoDB"). */
export const actions =
  `AssociateTableReplica BatchGetItem BatchWriteItem ConditionCheckItem CreateBackup CreateGlobalTable CreateTable CreateTableReplica DeleteBackup DeleteItem
DeleteResourcePolicy DeleteTable DeleteTableReplica DescribeBackup DescribeContinuousBackups DescribeContributorInsights DescribeEndpoints DescribeExport DescribeGlobalTable
DescribeGlobalTableSettings DescribeImport DescribeKinesisStreamingDestination DescribeLimits DescribeReservedCapacity DescribeReservedCapacityOfferings DescribeStream DescribeTable
DescribeTableReplicaAutoScaling DescribeTimeToLive DisableKinesisStreamingDestination EnableKinesisStreamingDestination ExportTableToPointInTime GetItem GetRecords GetResourcePolicy
GetShardIterator ImportTable ListBackups ListContributorInsights ListExports ListGlobalTables ListImports ListStreams ListTables ListTagsOfResource PartiQLDelete PartiQLInsert
PartiQLSelect PartiQLUpdate PurchaseReservedCapacityOfferings PutItem PutResourcePolicy Query RestoreTableFromAwsBackup RestoreTableFromBackup RestoreTableToPointInTime Scan
StartAwsBackupJob TagResource UntagResource UpdateContinuousBackups UpdateContributorInsights UpdateGlobalTable UpdateGlobalTableSettings UpdateGlobalTableVersion UpdateItem
UpdateKinesisStreamingDestination UpdateTable UpdateTableReplicaAutoScaling UpdateTimeToLive`.split(/\s+/)

const keyOf = (pk: string) => ({ pk: { S: pk }, sk: { S: 'BOOKMARK#1' } })

function query (TableName: string, attribute: string, pk: string, IndexName?: string): Shape['body'] {
  return {
    TableName,
    ...IndexName !== undefined && { IndexName },
    KeyConditionExpression: '#pk = :pk AND begins_with(#sk, :sk)',
    ExpressionAttributeNames: { '#pk': attribute, '#sk': attribute.replace('pk', 'sk') },
    ExpressionAttributeValues: { ':pk': { S: pk }, ':sk': { S: 'B' } }
  }
}

/** The calls on items, each naming one partition key. */
function itemCalls (table: string, pk: string): Shape[] {
  const [Key, Item] = [keyOf(pk), { ...keyOf(pk), v: { S: 'x' } }]
  const update = { Key, UpdateExpression: 'SET v = :v', ExpressionAttributeValues: { ':v': { S: 'y' } } }
  const at = { TableName: table }
  const shapes: [string, object][] = [['GetItem', { ...at, Key }], ['PutItem', { ...at, Item }], [
    'UpdateItem',
    { ...at, ...update }
  ], ['Query', query(table, 'pk', pk)], ['BatchGetItem', { RequestItems: { [table]: { Keys: [Key] } } }], [
    'BatchWriteItem',
    { RequestItems: { [table]: [{ PutRequest: { Item } }] } }
  ], ['TransactGetItems', { TransactItems: [{ Get: { ...at, Key } }] }], ['TransactWriteItems', {
    TransactItems: [{ Put: { ...at, Item } }]
  }], ['TransactWriteItems', { TransactItems: [{ Update: { ...at, ...update } }] }], ['TransactWriteItems', {
    TransactItems: [{ ConditionCheck: { ...at, Key, ConditionExpression: 'attribute_exists(pk)' } }]
  }], ['TransactWriteItems', { TransactItems: [{ Delete: { ...at, Key } }] }], ['BatchWriteItem', {
    RequestItems: { [table]: [{ DeleteRequest: { Key } }] }
  }], ['DeleteItem', { ...at, Key }]]
  return shapes.map(([operation, body]) => ({
    name: `${operation} ${
      Object.keys((body as { TransactItems?: object[] }).TransactItems?.[0] ?? {}).join()
    } ${
      Object.keys(
        Object.values((body as { RequestItems?: Record<string, object[]> }).RequestItems ?? {})[0]?.[0] ?? {}
      ).join()
    } of ${pk}`,
    operation,
    body
  }))
}

/** What a tenant's session may do. */
export function own (table: string, tenant: string): Shape[] {
  const pk = `TENANT#${tenant}#USER#a`
  const legacy = {
    TableName: table,
    KeyConditions: { pk: { ComparisonOperator: 'EQ', AttributeValueList: [{ S: pk }] } }
  }
  return [...itemCalls(table, pk), ...itemCalls(table, `TENANT#${tenant}`), {
    name: 'Query byTime',
    operation: 'Query',
    body: query(table, 'gsi1pk', pk, 'gsi1')
  }, { name: 'Query byPublic', operation: 'Query', body: query(table, 'gsi2pk', 'PUBLIC#SETTING#0', 'gsi2') },
    { name: 'Query in the old way', operation: 'Query', body: legacy }].filter(({ name }) =>
      !/ConditionCheck/.test(name)
    ) // its condition fails where nothing is; that it is asked for is in the attacks
}

/** What a tenant's session may not do, though nothing before the policy would stop it. */
export function attacks (table: string, tenant: string): Shape[] {
  const mine = keyOf(`TENANT#${tenant}#USER#a`)
  const foreign = keyOf('TENANT#globex#USER#a')
  const at = { TableName: table }
  const one = (name: string, operation: string, body: object): Shape => ({ name, operation, body })
  return [
    // Another tenant, its siblings by prefix, its twins by case, and the rows about tenants.
    ...['TENANT#globex', 'TENANT#globex#USER#a', `TENANT#${tenant}x#USER#a`, `TENANT#${tenant}-x`,
      `TENANT#${tenant.slice(0, -1)}#USER#a`, `TENANT#${tenant.toUpperCase()}#USER#a`,
      `tenant#${tenant}#USER#a`, `OPS#TENANT#${tenant}`, 'OPS#PAIRING#1', 'PUBLIC#SETTING#0', 'TENANT#']
      .flatMap((pk) => itemCalls(table, pk)),
    // Own and foreign in one call.
    one('batch read', 'BatchGetItem', { RequestItems: { [table]: { Keys: [mine, foreign] } } }),
    one('batch write', 'BatchWriteItem', {
      RequestItems: { [table]: [{ PutRequest: { Item: mine } }, { PutRequest: { Item: foreign } }] }
    }),
    one('batch delete', 'BatchWriteItem', {
      RequestItems: { [table]: [{ PutRequest: { Item: mine } }, { DeleteRequest: { Key: foreign } }] }
    }),
    one('transaction', 'TransactWriteItems', {
      TransactItems: [{ Put: { ...at, Item: mine } }, { Put: { ...at, Item: foreign } }]
    }),
    one('transaction that only looks', 'TransactWriteItems', {
      TransactItems: [{ Put: { ...at, Item: mine } }, {
        ConditionCheck: { ...at, Key: foreign, ConditionExpression: 'attribute_exists(pk)' }
      }]
    }),
    one('transactional read', 'TransactGetItems', {
      TransactItems: [{ Get: { ...at, Key: mine } }, { Get: { ...at, Key: foreign } }]
    }),
    // Indexes.
    one('byTime of another', 'Query', query(table, 'gsi1pk', 'TENANT#globex#USER#a', 'gsi1')),
    one('byTime of a sibling', 'Query', query(table, 'gsi1pk', `TENANT#${tenant}x#USER#a`, 'gsi1')),
    one('byPublic, own key', 'Query', query(table, 'gsi2pk', `TENANT#${tenant}`, 'gsi2')),
    one('byPublic, other key', 'Query', query(table, 'gsi2pk', 'PUBLIC#', 'gsi2')),
    one('an index that is not there', 'Query', query(table, 'gsi3pk', `TENANT#${tenant}`, 'gsi3')),
    one("byTime by the table's key", 'Query', query(table, 'pk', `TENANT#${tenant}`, 'gsi1')),
    // Without a key.
    one('no key condition', 'Query', at),
    one('another operator on the key', 'Query', {
      ...at,
      KeyConditionExpression: 'begins_with(pk, :pk)',
      ExpressionAttributeValues: { ':pk': { S: 'TENANT#' } }
    }),
    one('the key in a filter', 'Query', {
      ...at,
      FilterExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': { S: `TENANT#${tenant}` } }
    }),
    one('own and foreign key in a condition', 'Query', {
      ...at,
      KeyConditionExpression: 'pk = :a OR pk = :b',
      ExpressionAttributeValues: { ':a': { S: `TENANT#${tenant}` }, ':b': { S: 'TENANT#globex' } }
    }),
    one('a key of another type', 'GetItem', {
      ...at,
      Key: { pk: { B: 'VEVOQU5UI2FjbWU=' }, sk: { S: 'x' } }
    }),
    one('no key', 'GetItem', at),
    one('an empty batch', 'BatchGetItem', { RequestItems: { [table]: { Keys: [] } } }),
    one('a batch of no table', 'BatchGetItem', { RequestItems: {} }),
    one('a transaction of nothing', 'TransactWriteItems', { TransactItems: [] }),
    one('scan', 'Scan', at),
    one('scan byTime', 'Scan', { ...at, IndexName: 'gsi1' }),
    one('scan byPublic', 'Scan', { ...at, IndexName: 'gsi2' }),
    one('scan for own rows', 'Scan', {
      ...at,
      FilterExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': { S: `TENANT#${tenant}` } }
    }),
    // PartiQL.
    one('PartiQL select', 'ExecuteStatement', {
      Statement: `SELECT * FROM "${table}" WHERE pk = 'TENANT#${tenant}'`
    }),
    one('PartiQL insert', 'ExecuteStatement', {
      Statement: `INSERT INTO "${table}" VALUE {'pk': 'TENANT#globex', 'sk': 'x'}`
    }),
    one('PartiQL update', 'ExecuteStatement', {
      Statement: `update "${table}" SET v = 1 WHERE pk = 'TENANT#globex' AND sk = 'x'`
    }),
    one('PartiQL delete', 'ExecuteStatement', {
      Statement: `DELETE FROM "${table}" WHERE pk = 'TENANT#globex' AND sk = 'x'`
    }),
    one('PartiQL batch', 'BatchExecuteStatement', {
      Statements: [{ Statement: `SELECT * FROM "${table}"` }]
    }),
    one('PartiQL transaction', 'ExecuteTransaction', {
      TransactStatements: [{ Statement: `SELECT * FROM "${table}"` }]
    }),
    // Other tables, and the table itself.
    one('own key in another table', 'GetItem', { TableName: `${table}-2`, Key: mine }),
    one('own key in another account', 'GetItem', {
      TableName: `arn:aws:dynamodb:eu-west-1:999999999999:table/${table}`,
      Key: mine
    }),
    one('own key in another region', 'GetItem', {
      TableName: `arn:aws:dynamodb:us-east-1:123456789012:table/${table}`,
      Key: mine
    }),
    one('two tables in a batch', 'BatchGetItem', {
      RequestItems: { [table]: { Keys: [mine] }, [`${table}-2`]: { Keys: [mine] } }
    }),
    ...['DescribeTable', 'DeleteTable', 'UpdateTable', 'DescribeTimeToLive', 'UpdateTimeToLive',
      'DescribeContinuousBackups', 'UpdateContinuousBackups', 'CreateBackup', 'ListTables', 'ListBackups',
      'ListTagsOfResource', 'TagResource', 'DescribeLimits', 'DescribeEndpoints', 'ExportTableToPointInTime',
      'RestoreTableToPointInTime', 'PutResourcePolicy', 'DeleteResourcePolicy', 'CreateTable', 'ListStreams',
      'GetRecords'].map((operation) => one(operation, operation, at)),
    one('an operation of tomorrow', 'TeleportTable', at)
  ]
}
