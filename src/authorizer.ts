import type { APIGatewayRequestAuthorizerEventV2, APIGatewaySimpleAuthorizerResult } from 'aws-lambda'
import Fastify, { LogController } from 'fastify'
import { ConfigError, loadConfig } from './config.ts'
import auth from './plugins/auth/index.ts'
import problems from './plugins/problems.ts'
import tenant from './plugins/tenant.ts'
import { createSealer } from './engine/cursor.ts'

const config = loadConfig()
if (config.local) {
  throw new ConfigError(
    'Neither TABLE_NAME nor ISSUERS is set, which means local mode; an authorizer has none. Set both.'
  )
}

const app = Fastify({
  logger: { level: config.logLevel, base: null },
  logController: new LogController({ disableRequestLogging: true })
})
await app.register(problems)
// Of a device token it says whether the hub made it; whether its session still is, the hub asks.
await app.register(auth, { issuers: config.issuers, sealer: createSealer(config.secret), now: Date.now })
await app.register(tenant)
app.get('/', async (_request, reply) => reply.code(204).send())
await app.ready()

/**
 * Lambda entry of the API's request authorizer: would the hub take this token? It asks the hub's own plugins,
 * so that there is one answer. Only the Authorization header is looked at, because API Gateway keeps the
 * answer under it alone. Nothing about the token is handed on: the hub verifies it again and believes no
 * event.
 */
export async function handler (
  { headers }: Pick<APIGatewayRequestAuthorizerEventV2, 'headers'>
): Promise<APIGatewaySimpleAuthorizerResult> {
  const authorization = headers?.authorization
  const { statusCode, body } = await app.inject({
    method: 'GET',
    url: '/',
    headers: authorization === undefined ? {} : { authorization }
  })
  if (statusCode === 204) return { isAuthorized: true }
  // A good token for no tenant, or for one that its issuer does not speak for: a new token would say the
  // same. API Gateway
  // answers 403 and keeps the answer.
  if (statusCode === 400 || statusCode === 403) return { isAuthorized: false }
  // API Gateway makes a 401 of exactly this error, and clients renew a token on a 401 only. It keeps no
  // error: a token
  // refused for a key that is not fetched yet is asked about again.
  if (statusCode === 401) throw new Error('Unauthorized')
  // Not for the token to mend (its keys can't be had): a 500, and the next request asks again.
  throw new Error((JSON.parse(body) as { errorType: string }).errorType)
}
