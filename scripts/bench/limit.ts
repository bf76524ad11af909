import { Agent, createServer, request, type IncomingMessage } from 'node:http'
import aws4 from 'aws4'
import { announce, required } from './child.ts'

/**
 * The lower bound: what Node and this store can do when nothing else is done. No framework, no SDK, no token,
 * no validation: the user is a header, a bookmark is one string of JSON, and each call to the store is signed
 * by hand.
 */

const table = 'limit'
const { hostname, port, host } = new URL(required('STORE'))
const agent = new Agent({ keepAlive: true })
const credentials = { accessKeyId: 'local', secretAccessKey: 'local' }

interface Row {
  sk: { S: string }
  body: { S: string }
}

async function text (message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

function store<T> (operation: string, input: object): Promise<T> {
  const body = JSON.stringify({ TableName: table, ...input })
  const signed = aws4.sign({
    host,
    service: 'dynamodb',
    region: 'local',
    method: 'POST',
    path: '/',
    headers: {
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': `DynamoDB_20120810.${operation}`,
      'content-length': Buffer.byteLength(body)
    },
    body
  }, credentials)
  return new Promise((resolve, reject) => {
    const call = request(
      { agent, hostname, port, method: 'POST', path: '/', headers: signed.headers! },
      (response) => {
        text(response).then((answer) => {
          if (response.statusCode === 200) resolve(JSON.parse(answer) as T)
          else reject(new Error(`${operation} was answered with ${response.statusCode}: ${answer}`))
        }, reject)
      }
    )
    call.on('error', reject)
    call.end(body)
  })
}

async function answer (incoming: IncomingMessage): Promise<string | undefined> {
  const pk = incoming.headers['x-user'] as string
  const id = incoming.url!.slice('/v1/bookmarks/'.length)
  if (incoming.method === 'PUT') {
    const body = await text(incoming)
    await store('PutItem', { Item: { pk: { S: pk }, sk: { S: id }, body: { S: body } } })
    return body
  }
  if (id !== '') {
    const { Item } = await store<{ Item?: Row }>('GetItem', {
      Key: { pk: { S: pk }, sk: { S: id } },
      ConsistentRead: true
    })
    return Item?.body.S
  }
  const { Items } = await store<{ Items: Row[] }>('Query', {
    KeyConditionExpression: 'pk = :pk',
    ExpressionAttributeValues: { ':pk': { S: pk } },
    Limit: 50,
    ConsistentRead: true
  })
  return `{"items":[${Items.map(({ body }) => body.S).join()}]}`
}

await store('CreateTable', {
  BillingMode: 'PAY_PER_REQUEST',
  AttributeDefinitions: ['pk', 'sk'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
  KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }, { AttributeName: 'sk', KeyType: 'RANGE' }]
})
const server = createServer((incoming, outgoing) => {
  answer(incoming).then((body) => {
    if (body === undefined) outgoing.writeHead(404).end()
    else {
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
      outgoing.writeHead(200, headers).end(body)
    }
  }, (error: unknown) => {
    console.error(error)
    outgoing.writeHead(500).end()
  })
})
server.listen(0, '127.0.0.1', () => announce(server))
