import type { STSClient } from '@aws-sdk/client-sts'
import cors from '@fastify/cors'
import { Ajv } from 'ajv'
import addFormats from 'ajv-formats'
import Fastify, { LogController, type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import { LRUCache } from 'lru-cache'
import type { Config } from './config.ts'
import { createOperations } from './operations/index.ts'
import admission from './plugins/admission/index.ts'
import auth from './plugins/auth/index.ts'
import body from './plugins/body.ts'
import connections, { clientError, longestUploadMs, PATIENCE, type Patience } from './plugins/connections.ts'
import headers, { requestId } from './plugins/headers.ts'
import lifecycle from './plugins/lifecycle.ts'
import limits, { tenantLimits } from './plugins/limits.ts'
import log from './plugins/log.ts'
import notFound from './plugins/not-found.ts'
import openapi from './plugins/openapi/index.ts'
import operations from './plugins/operations.ts'
import pairing from './plugins/pairing.ts'
import problems, { send, toProblem } from './plugins/problems.ts'
import services from './plugins/services.ts'
import tenant from './plugins/tenant.ts'
import writeHeaders from './plugins/write-headers.ts'
import routes from './routes/index.ts'
import { problems as described } from './routes/schemas.ts'
import { createPlacementRules } from './services/bookmarks/placement.ts'
import { createHeavyWork } from './services/heavy-work.ts'
import { createReadModels } from './services/bookmarks/read-model.ts'
import { createSealer } from './engine/cursor.ts'
import { createSharedReads } from './engine/shared-reads.ts'
import { createWriter } from './engine/writer.ts'
import { createWatchers } from './engine/watch.ts'
import { openClient } from './store/client.ts'
import { createClock } from './store/clock.ts'
import { openStores } from './store/credentials.ts'

/**
 * What may be put in from outside: by the entries (a log stream, the local issuer) and by tests (a clock,
 * clients that count).
 */
export interface Overrides {
  readonly open?: typeof openClient
  readonly sts?: STSClient
  /** Time itself, which nothing corrects. */
  readonly now?: () => number
  readonly patience?: Patience
  /** The clock of this machine, which the store's corrects. */
  readonly clock?: () => number
  readonly logStream?: { write(line: string): void }
  /** Registered beside the routes, before them. */
  readonly plugin?: FastifyPluginAsync
}

/**
 * Puts a hub together: the same one for the server, for Lambda and for the tests. It is ready to listen or to
 * inject into.
 */
export async function buildApp (
  config: Config,
  {
    open = openClient,
    sts,
    now: given,
    clock: own,
    logStream,
    plugin,
    patience = PATIENCE
  }: Overrides = {}
): Promise<FastifyInstance> {
  const app = Fastify({
    logger: {
      level: config.logLevel,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (level) => ({ level }) },
      ...logStream !== undefined && { stream: logStream }
    },
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: requestId,
    // The last entries of X-Forwarded-For are those of our own proxies; the first is whatever a client wrote.
    trustProxy: config.trustProxy > 0 && ((_address, hop) => hop < config.trustProxy),
    bodyLimit: config.limits.bodyBytes,
    routerOptions: { maxParamLength: 256 },
    // The last resort: plugins/connections.ts ends what makes no progress, long before.
    requestTimeout: longestUploadMs(
      Math.max(config.limits.bodyBytes, config.limits.importBytes),
      config.limits.uploadBytesPerSecond,
      patience
    ),
    connectionTimeout: patience.silenceMs,
    http: {
      requireHostHeader: false,
      headersTimeout: patience.headersMs,
      // Often enough for the timeouts to mean what they say.
      connectionsCheckingInterval: patience.headersMs / 5,
      // A client that vanished is noticed while an answer is made for it.
      keepAlive: true,
      keepAliveInitialDelay: patience.silenceMs,
      maxHeaderSize: config.limits.headerBytes
    },
    keepAliveTimeout: 72_000,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      send(request, reply, toProblem(error), error)
    },
    clientErrorHandler: clientError(patience)
  })
  // Bodies are taken as they are; query strings and headers are text, so numbers and booleans in them are
  // read from it.
  const [strict, lenient] = [ajv({ coerceTypes: false, discriminator: true }),
    ajv({ coerceTypes: true, strictNumbers: false })]
  app.setValidatorCompiler(({ schema, httpPart }) =>
    (httpPart === 'body' ? strict : lenient).compile(schema as object)
  )

  const clock = createClock(own)
  const now = given ?? clock.now
  const stores = openStores(config, { sts, open: (...client) => clock.listen(open(...client)) })
  const watchers = createWatchers(config.limits)
  const { memoryBytes } = config.limits
  const heavy = createHeavyWork(memoryBytes / 2)
  const readModels = createReadModels(memoryBytes, heavy)
  const shared = {
    config,
    now,
    watchers,
    reads: createSharedReads(),
    readModels,
    heavy,
    rules: createPlacementRules(readModels),
    writer: createWriter(config, now, watchers.wake),
    sealer: createSealer(config.secret),
    holes: new LRUCache<string, number>({ max: 1000 }),
    seen: new LRUCache<string, number>({ max: 10_000 }),
    running: new Set<string>(),
    lines: new Map()
  }
  await app.register(problems)
  await app.register(connections, { bytesPerSecond: config.limits.uploadBytesPerSecond, patience })
  await app.register(headers)
  await app.register(log)
  await app.register(lifecycle)
  await app.register(body)
  await app.register(writeHeaders)
  if (config.corsOrigins.length > 0) {
    await app.register(cors, {
      origin: [...config.corsOrigins],
      methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
      exposedHeaders: ['etag', 'location', 'retry-after', 'ratelimit', 'x-request-id']
    })
  }
  await app.register(limits, { limits: config.limits })
  await app.register(notFound)
  await app.register(auth, { issuers: config.issuers, sealer: shared.sealer, now })
  await app.register(tenant)
  await app.register(tenantLimits, { limits: config.limits })
  await app.register(admission, { limits: config.limits })
  const operatorWorld = createOperations(config, stores, now)
  await app.register(operations, { operations: operatorWorld })
  await app.register(services, { stores, shared, operations: operatorWorld })
  await app.register(pairing, { operations: operatorWorld })
  const { limits: bounds, streamSeconds, publicUrl, oauthDomain, local } = config
  await app.register(openapi, { oauthDomain, local, publicUrl, problems: described })
  if (plugin !== undefined) await app.register(plugin)
  const { publicMaxAgeSeconds } = config
  await app.register(routes, { limits: bounds, streamSeconds, publicUrl, publicMaxAgeSeconds })
  return app
}

function ajv (options: object): Ajv {
  const validator = new Ajv({
    useDefaults: true,
    removeAdditional: false,
    allErrors: false,
    strictTypes: false,
    ...options
  })
  addFormats.default(validator)
  return validator
}
