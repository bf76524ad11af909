import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient, GetCommand, PutCommand, QueryCommand } from '@aws-sdk/lib-dynamodb'
import express, { type NextFunction, type Request, type Response } from 'express'
import { importSPKI, jwtVerify } from 'jose'
import { announce, required } from './child.ts'

/**
 * The yardstick: bookmarks on Express and DynamoDB as a competent developer writes them in an afternoon. One
 * row a bookmark, one call to the store a request. No log, so no sync; no quota, revisions, conditions,
 * idempotency, request log.
 */

const table = 'plain'
const client = new DynamoDBClient({
  endpoint: required('STORE'),
  region: 'local',
  credentials: { accessKeyId: 'local', secretAccessKey: 'local' }
})
const db = DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } })
const issuer = required('ISSUER')
const key = await importSPKI(required('PUBLIC_KEY'), 'RS256')

const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/
const FIELDS = ['url', 'title', 'description', 'tags', 'folderId', 'position', 'favorite']

interface Bookmark {
  url: string
  title: string
  description?: string
  tags: string[]
  folderId?: string
  position?: string
  favorite?: boolean
}

async function authenticate (req: Request, res: Response, next: NextFunction): Promise<void> {
  const token = req.headers.authorization?.startsWith('Bearer ') === true
    ? req.headers.authorization.slice(7)
    : ''
  const claims = await jwtVerify(token, key, { issuer, algorithms: ['RS256'] }).then(
    ({ payload }) => payload,
    () => undefined
  )
  const tenant = claims?.['custom:tenant_id']
  if (claims?.sub === undefined || typeof tenant !== 'string' || claims.token_use !== 'access') {
    res.status(401).json({ error: 'unauthorised' })
    return
  }
  res.locals.pk = `TENANT#${tenant}#USER#${claims.sub}`
  next()
}

/** @returns what is wrong with a body, or undefined */
function fault (body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return 'the body must be an object'
  const { url, title, description, tags = [], folderId, position, favorite } = body as Record<string, unknown>
  const stray = Object.keys(body).find((name) => !FIELDS.includes(name))
  if (stray !== undefined) return `${stray} is not known`
  if (
    typeof url !== 'string' || url.length > 8192 || !/^(?:https?|ftp|mailto):/.test(url) || !URL.canParse(url)
  ) return 'url must be an absolute URL'
  if (typeof title !== 'string' || title.length > 1024) {
    return 'title must be a string of at most 1024 characters'
  }
  if (description !== undefined && (typeof description !== 'string' || description.length > 16384)) {
    return 'description must be a string of at most 16384 characters'
  }
  if (
    !Array.isArray(tags) || tags.length > 64 ||
    !tags.every((tag) => typeof tag === 'string' && tag !== '' && tag.length <= 64)
  ) return 'tags must be at most 64 strings'
  if (folderId !== undefined && (typeof folderId !== 'string' || !ID.test(folderId))) {
    return 'folderId must be an id'
  }
  if (position !== undefined && (typeof position !== 'string' || position.length > 256)) {
    return 'position must be a string'
  }
  if (favorite !== undefined && typeof favorite !== 'boolean') return 'favorite must be a boolean'
  return undefined
}

function present ({ pk: _pk, sk: _sk, ...bookmark }: Record<string, unknown>): Record<string, unknown> {
  return bookmark
}

const app = express().disable('x-powered-by')
app.use(authenticate)
app.use(express.json({ limit: '1mb' }))

app.put('/v1/bookmarks/:id', async (req, res) => {
  const { id } = req.params
  const problem = ID.test(id) ? fault(req.body) : 'the id is not valid'
  if (problem !== undefined) {
    res.status(400).json({ error: problem })
    return
  }
  const { tags = [], ...rest } = req.body as Bookmark
  const bookmark = { id, ...rest, tags, updatedAt: new Date().toISOString() }
  await db.send(
    new PutCommand({
      TableName: table,
      Item: { pk: res.locals.pk as string, sk: `BOOKMARK#${id}`, ...bookmark }
    })
  )
  res.json(bookmark)
})

app.get('/v1/bookmarks/:id', async (req, res) => {
  const { Item } = await db.send(
    new GetCommand({
      TableName: table,
      Key: { pk: res.locals.pk as string, sk: `BOOKMARK#${req.params.id}` },
      ConsistentRead: true
    })
  )
  if (Item === undefined) res.status(404).json({ error: 'not found' })
  else res.json(present(Item))
})

app.get('/v1/bookmarks', async (req, res) => {
  const { limit = 50, cursor } = req.query
  const { Items = [], LastEvaluatedKey } = await db.send(
    new QueryCommand({
      TableName: table,
      KeyConditionExpression: 'pk = :pk AND begins_with(sk, :sk)',
      ExpressionAttributeValues: { ':pk': res.locals.pk as string, ':sk': 'BOOKMARK#' },
      Limit: Math.min(Math.max(Number(limit) || 50, 1), 100),
      ConsistentRead: true,
      ...typeof cursor === 'string' &&
        { ExclusiveStartKey: { pk: res.locals.pk as string, sk: `BOOKMARK#${cursor}` } }
    })
  )
  res.json({
    items: Items.map(present),
    ...LastEvaluatedKey && { cursor: (LastEvaluatedKey.sk as string).slice('BOOKMARK#'.length) }
  })
})

app.use((error: Error & { status?: number }, _req: Request, res: Response, _next: NextFunction) => {
  if (error.status === undefined) console.error(error)
  res.status(error.status ?? 500).json({
    error: error.status === undefined ? 'internal error' : error.message
  })
})

await client.send(
  new CreateTableCommand({
    TableName: table,
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: ['pk', 'sk'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
    KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }, { AttributeName: 'sk', KeyType: 'RANGE' }]
  })
)
const server = app.listen(0, '127.0.0.1', () => announce(server))
