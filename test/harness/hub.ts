import { generateKeyPairSync, randomUUID } from 'node:crypto'
import Fastify, { type FastifyInstance, type InjectOptions } from 'fastify'
import root, { type Test } from 'tap'
import { buildApp, type Overrides } from '../../src/app.ts'
import { loadConfig, silenceSdkNotice, type Config } from '../../src/config.ts'
import { createTable } from '../../src/local/create-table.ts'
import { freePort, startEmbeddedStore } from '../../src/local/embedded-store.ts'
import { behind } from '../../src/local/cloud.ts'
import { startGateway, type Gateway } from '../../src/local/iam/gateway.ts'
import { loadRoles } from '../../src/local/iam/roles.ts'
import { createLocalIssuer, type LocalIssuer, type Subject } from '../../src/local/issuer.ts'
import { figure } from './figures.ts'
import { strayRows } from './rows.ts'
import { watchLog, type WatchedLog } from './watched-log.ts'

/** One signing key for all issuers of a test process: making one takes a tenth of a second. */
export const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' }
})

export interface Answer {
  status: number
  headers: Record<string, string | string[] | number | undefined>
  text: string
  body: any
}

/** One person's view of a hub: requests with their token, through `inject`. */
export interface Person {
  readonly token: string
  request(method: string, url: string, payload?: unknown, headers?: Record<string, string>): Promise<Answer>
  get(url: string, headers?: Record<string, string>): Promise<Answer>
  put(url: string, payload: unknown, headers?: Record<string, string>): Promise<Answer>
  post(url: string, payload: unknown, headers?: Record<string, string>): Promise<Answer>
  patch(url: string, payload: unknown, headers?: Record<string, string>): Promise<Answer>
  delete(url: string, headers?: Record<string, string>): Promise<Answer>
}

export interface Hub extends Pick<WatchedLog, 'expectLog' | 'mayLog'> {
  readonly app: FastifyInstance
  readonly config: Config
  readonly issuer: LocalIssuer
  /** Log lines of this hub so far, as text. */
  readonly log: string[]
  as(subject: Subject): Promise<Person>
  /** Requests without a token. */
  readonly anyone: Person
}

/**
 * Where the store of this test file is: the one that DYNAMODB_ENDPOINT names, or an embedded one in memory.
 */
let endpoint: Promise<string> | undefined
export function storeEndpoint (): Promise<string> {
  return endpoint ??= (async () => {
    silenceSdkNotice()
    const given = process.env.DYNAMODB_ENDPOINT
    if (given !== undefined) return given
    const store = await startEmbeddedStore(undefined)
    root.teardown(() => store.stop())
    return store.endpoint
  })()
}

/** The endpoints behind the gateways of this process, by table. */
const behindGateway = new Map<string, string>()

/** The configuration that reads rows past the hub, and past the gateway where there is one. */
export const pastTheHub = (config: Config): Config => ({
  ...config,
  dynamodbEndpoint: behindGateway.get(config.table) ?? config.dynamodbEndpoint
})

/**
 * A config for tests: an own table on the store. With LOCAL_IAM (the name of a template) the hub is behind
 * that template's policies, and any denial that a test did not ask for fails the file.
 */
export async function testConfig (changes: Partial<Config> = {}): Promise<Config> {
  const dynamodbEndpoint = await storeEndpoint()
  const table = changes.table ?? `test-${randomUUID()}`
  if (changes.table === undefined) {
    await createTable(dynamodbEndpoint, table)
    root.teardown(async () => {
      const [stray] = await strayRows(dynamodbEndpoint, table)
      if (stray !== undefined) throw new Error(`A row that should not be there: ${stray}`)
    })
  }
  const template = process.env.LOCAL_IAM
  const iam = template === undefined || changes.table !== undefined
    ? {}
    : behind(await testGateway(template, table))
  return {
    ...loadConfig({}),
    dynamodbEndpoint,
    table,
    secret: 'a secret of at least 32 characters',
    logLevel: 'info',
    ...iam,
    ...changes
  }
}

/** A gateway in front of the store, for one table. */
async function testGateway (template: string, table: string): Promise<Gateway> {
  const store = await storeEndpoint()
  const gateway = await startGateway({ roles: loadRoles(template, table), store })
  behindGateway.set(table, store)
  root.teardown(async () => {
    await gateway.stop()
    figure(root, 'calls of the product that the policies allowed', gateway.allowed)
    figure(root, 'calls of the product that the policies denied', gateway.denials.length)
    if (gateway.denials.length > 0) {
      throw new Error(`The policies denied what the hub asked for: ${JSON.stringify(gateway.denials[0])}`)
    }
  })
  return gateway
}

/** An issuer that serves its keys on loopback, as a real one would. */
export async function startIssuer (t: Test, key: string = privateKey): Promise<LocalIssuer> {
  const port = await freePort()
  const issuer = createLocalIssuer(`http://127.0.0.1:${port}/local`, key)
  const server = Fastify()
  await server.register(issuer.plugin)
  await server.listen({ host: '127.0.0.1', port })
  t.teardown(() => server.close())
  return issuer
}

/**
 * The real app on the real store. What it starts ends with `t`; the store ends with the file.
 * @param changes to the config; `issuers` replaces the one local issuer
 */
export async function startHub (
  t: Test,
  changes: Partial<Config> = {},
  overrides: Omit<Overrides, 'logStream'> = {}
): Promise<Hub> {
  const issuer = await startIssuer(t)
  const config = await testConfig({
    ...changes,
    issuers: changes.issuers?.length ? changes.issuers : [issuer.entry]
  })
  const log = watchLog(t)
  const app = await startApp(t, config, { log, ...overrides })
  return {
    app,
    config,
    issuer,
    log: log.lines,
    expectLog: log.expectLog,
    mayLog: log.mayLog,
    as: async (subject) => person(app, (await issuer.mint(subject)).access_token),
    anyone: person(app, '')
  }
}

/**
 * Another process of a hub, as far as a test can tell: an app of its own on the same configuration. It ends
 * with `t`.
 * @param overrides `log` where its log is looked at: `expectLog` and `mayLog` are on it
 */
export async function startApp (
  t: Test,
  config: Config,
  { log = watchLog(t), ...overrides }: Omit<Overrides, 'logStream'> & { log?: WatchedLog } = {}
): Promise<FastifyInstance> {
  const app = await buildApp(config, { ...overrides, logStream: log })
  t.teardown(() => app.close())
  return app
}

/** A person with any token. */
export function person (app: FastifyInstance, token: string): Person {
  return personBy(token, async (method, url, headers, payload) => {
    const { statusCode, headers: given, payload: text } = await app.inject(
      { method, url, headers, ...payload !== undefined && { payload } } as InjectOptions
    )
    return { status: statusCode, headers: given, text }
  })
}

/** A person with any token who reaches a hub over the network. */
export function remotePerson (origin: string, token: string): Person {
  return personBy(token, async (method, url, headers, body) => {
    const answer = await fetch(origin + url, { method, headers, ...body !== undefined && { body } })
    return { status: answer.status, headers: Object.fromEntries(answer.headers), text: await answer.text() }
  })
}

function personBy (
  token: string,
  send: (
    method: string,
    url: string,
    headers: Record<string, string>,
    payload: string | Buffer | undefined
  ) => Promise<Omit<Answer, 'body'>>
): Person {
  const request: Person['request'] = async (method, url, payload, headers = {}) => {
    const authorization = token === '' ? {} : { authorization: `Bearer ${token}` }
    const json = payload === undefined ? {} : { 'content-type': 'application/json' }
    const answer = await send(
      method,
      url,
      { ...authorization, ...json, ...headers } as Record<string, string>,
      payload === undefined || typeof payload === 'string' || Buffer.isBuffer(payload)
        ? payload
        : JSON.stringify(payload)
    )
    const isJson = /json/.test(String(answer.headers['content-type']))
    return { ...answer, body: isJson && answer.text !== '' ? JSON.parse(answer.text) : undefined }
  }
  return {
    token,
    request,
    get: (url, headers) => request('GET', url, undefined, headers),
    put: (url, payload, headers) => request('PUT', url, payload, headers),
    post: (url, payload, headers) => request('POST', url, payload, headers),
    patch: (url, payload, headers) => request('PATCH', url, payload, headers),
    delete: (url, headers) => request('DELETE', url, undefined, headers)
  }
}
