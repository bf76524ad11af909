import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { loadConfig } from '../../src/config.ts'
import type { TrustedIssuer } from '../../src/issuers.ts'
import { createTable } from '../../src/local/create-table.ts'
import { startApp, storeEndpoint } from './hub.ts'
import { watchLog, type WatchedLog } from './watched-log.ts'

export interface Asked {
  method: string
  path: string
  query?: [string, string][]
  headers?: Record<string, string | string[]>
  body?: string | Buffer
}
export interface Received {
  status: number
  headers: Record<string, string>
  body: Buffer
}

/** One hub behind both entries, on one table. */
export interface Entries {
  /** The app as the server runs it. */
  readonly server: FastifyInstance
  /** Lines that the server logged so far: warnings and errors. */
  readonly log: WatchedLog
  readonly fromServer: (asked: Asked) => Promise<Received>
  /** The answer of the bundle that is deployed to an event. */
  readonly fromBundle: (event: object) => Promise<Received>
  /** Every way that one request can take to the hub. */
  readonly ways: Readonly<Record<string, (asked: Asked) => Promise<Received>>>
}

/**
 * Starts both entries with the configuration that a deployed hub has: its environment.
 * Once in a process: the bundle reads process.env when it is imported.
 */
export async function startEntries (t: Test, issuers: readonly TrustedIssuer[]): Promise<Entries> {
  // What tap puts before a test's own arguments is not for the build.
  if (!existsSync('dist/lambda.mjs')) {
    execFileSync(process.execPath, [createRequire(import.meta.url).resolve('tsx/cli'), 'scripts/build.ts'], {
      env: { ...process.env, NODE_OPTIONS: '' }
    })
  }
  const table = `test-${randomUUID()}`
  const endpoint = await storeEndpoint()
  await createTable(endpoint, table)
  const env = {
    TABLE_NAME: table,
    ISSUERS: JSON.stringify(issuers),
    HUB_SECRET: 'a secret of at least 32 characters',
    AWS_REGION: 'eu-west-1',
    DYNAMODB_ENDPOINT: endpoint,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    LIMIT_REQUESTS_PER_ADDRESS: '0',
    LIMIT_REQUESTS_PER_TENANT: '0'
  }
  Object.assign(process.env, env, { LOG_LEVEL: 'silent' })
  const log = watchLog(t)
  const server = await startApp(t, loadConfig({ ...env, LOG_LEVEL: 'warn' }), { log })
  const { handler } = await import(pathToFileURL(join('dist', 'lambda.mjs')).href) as {
    handler: (
      event: object,
      context: object
    ) => Promise<
      { statusCode: number, headers: Record<string, string>, body: string, isBase64Encoded?: boolean }
    >
  }
  const fromServer: Entries['fromServer'] = async ({ method, path, query, headers, body }) => {
    const answer = await server.inject({
      method: method as 'GET',
      url: `${path}${query === undefined ? '' : `?${queryString(query)}`}`,
      headers: headers ?? {},
      ...body !== undefined && { payload: body }
    })
    return {
      status: answer.statusCode,
      headers: answer.headers as Record<string, string>,
      body: answer.rawPayload
    }
  }
  const fromBundle: Entries['fromBundle'] = async (event) => {
    const { statusCode, headers, body, isBase64Encoded } = await handler(event, {
      awsRequestId: randomUUID(),
      callbackWaitsForEmptyEventLoop: true
    })
    return {
      status: statusCode,
      headers,
      body: Buffer.from(body, isBase64Encoded === true ? 'base64' : 'utf8')
    }
  }
  return {
    server,
    log,
    fromServer,
    fromBundle,
    ways: {
      'the server': fromServer,
      'an HTTP API': (asked) => fromBundle(http(asked)),
      'a REST API': (asked) => fromBundle(rest(asked))
    }
  }
}

/** What an authorizer of another pool might have written into the event; the token decides, never this. */
export const FORGED = {
  claims: { sub: 'mallory', 'custom:tenant_id': 'other' },
  jwt: { claims: { sub: 'mallory', 'custom:tenant_id': 'other' }, scopes: [] },
  lambda: { tenantId: 'other' },
  principalId: 'mallory'
}

const first = <T>(value: T | T[]): T => Array.isArray(value) ? value.at(-1)! : value
const encoded = (body: Asked['body']) =>
  body === undefined
    ? {}
    : Buffer.isBuffer(body)
    ? { body: body.toString('base64'), isBase64Encoded: true }
    : { body, isBase64Encoded: false }
const queryString = (query: [string, string][] = []) => new URLSearchParams(query).toString()

/**
 * API Gateway REST API, payload 1.0: header names keep their case, the stage is in the path of a default
 * domain's context.
 */
export function rest ({ method, path, query = [], headers = {}, body }: Asked, stage = 'prod'): object {
  const named = Object.entries({
    Host: 'abc123.execute-api.eu-west-1.amazonaws.com',
    'X-Forwarded-For': '203.0.113.7',
    'X-Forwarded-Proto': 'https',
    ...headers
  })
  const multi = Object.fromEntries(
    [...new Set(query.map(([name]) => name))].map((
      name
    ) => [name, query.filter((pair) => pair[0] === name).map(([, value]) => value)])
  )
  return {
    resource: '/{proxy+}',
    path,
    httpMethod: method,
    headers: Object.fromEntries(named.map(([name, value]) => [name, first(value)])),
    multiValueHeaders: Object.fromEntries(named.map(([name, value]) => [name, [value].flat()])),
    queryStringParameters: query.length === 0 ? null : Object.fromEntries(query),
    multiValueQueryStringParameters: query.length === 0 ? null : multi,
    pathParameters: { proxy: path.slice(1) },
    stageVariables: null,
    requestContext: {
      accountId: '123456789012',
      apiId: 'abc123',
      authorizer: FORGED,
      httpMethod: method,
      identity: { sourceIp: '203.0.113.7' },
      path: `/${stage}${path}`,
      protocol: 'HTTP/1.1',
      requestId: randomUUID(),
      resourcePath: '/{proxy+}',
      stage
    },
    body: null,
    isBase64Encoded: false,
    ...encoded(body)
  }
}

/** HTTP API, payload 2.0: names in lower case, repeated values joined with commas, cookies apart. */
export function http (
  { method, path, query = [], headers = {}, body }: Asked,
  domainName = 'abc123.execute-api.eu-west-1.amazonaws.com'
): object {
  const { cookie, ...rest } = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), [value].flat().join(',')])
  )
  const joined: Record<string, string> = {}
  for (const [name, value] of query) joined[name] = name in joined ? `${joined[name]},${value}` : value
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: path,
    rawQueryString: queryString(query),
    ...cookie !== undefined && { cookies: cookie.split('; ') },
    headers: { host: domainName, 'x-forwarded-for': '203.0.113.7', ...rest },
    ...query.length > 0 && { queryStringParameters: joined },
    requestContext: {
      accountId: '123456789012',
      apiId: 'abc123',
      authorizer: FORGED,
      domainName,
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '203.0.113.7', userAgent: 'test' },
      requestId: 'JKJaXmPLvHcESHA=',
      routeKey: '$default',
      stage: '$default',
      timeEpoch: 1
    },
    ...encoded(body),
    isBase64Encoded: Buffer.isBuffer(body)
  }
}
