/** The table, as CreateTable wants it. template.yaml declares the same; a test compares the two. */
export const TABLE = {
  BillingMode: 'PAY_PER_REQUEST',
  AttributeDefinitions: ['pk', 'sk', 'gsi1pk', 'gsi1sk', 'gsi2pk', 'gsi2sk'].map((AttributeName) => ({
    AttributeName,
    AttributeType: 'S' as const
  })),
  KeySchema: keySchema('pk', 'sk'),
  GlobalSecondaryIndexes: [{
    IndexName: 'gsi1',
    KeySchema: keySchema('gsi1pk', 'gsi1sk'),
    Projection: { ProjectionType: 'KEYS_ONLY' as const }
  }, {
    IndexName: 'gsi2',
    KeySchema: keySchema('gsi2pk', 'gsi2sk'),
    Projection: {
      ProjectionType: 'INCLUDE' as const,
      NonKeyAttributes: ['id', 'value', 'publicId', 'rev', 'updatedAt', '__edb_e__', '__edb_v__']
    }
  }],
  StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' as const }
} as const

/**
 * The attribute that DynamoDB's TTL sweeps by, in epoch seconds. Expiry is decided on read; the sweep only
 * tidies up.
 */
export const TTL_ATTRIBUTE = 'ttl'

function keySchema (hash: string, range: string) {
  return [{ AttributeName: hash, KeyType: 'HASH' as const }, {
    AttributeName: range,
    KeyType: 'RANGE' as const
  }]
}
