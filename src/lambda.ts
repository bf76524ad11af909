import awsLambdaFastify, { type LambdaResponse } from '@fastify/aws-lambda'
import type { APIGatewayProxyEvent, APIGatewayProxyEventV2, Context } from 'aws-lambda'
import { buildApp } from './app.ts'
import { loadConfig } from './config.ts'

type Event = APIGatewayProxyEvent | APIGatewayProxyEventV2

/**
 * Lambda entry: the same app behind API Gateway (REST, HTTP) and function URLs. Identity comes from the
 * verified token in the request; what an authorizer wrote into the event is never looked at
 * (`decorateRequest: false`).
 */
const app = await buildApp({ ...loadConfig(), streamSeconds: 0 })
const answer = awsLambdaFastify(app, { decorateRequest: false, binaryMimeTypes: ['image/png'] })

/** RFC 9110 section 7.6.1: of one connection, and there is none here. */
const HOP_BY_HOP = ['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'trailer', 'te']

export async function handler (event: Event, context: Context): Promise<LambdaResponse> {
  const response = await answer(asSent(event), context)
  for (const name of HOP_BY_HOP) delete response.headers[name]
  return response
}

await app.ready()

/**
 * The event, read as the server would read the request. HTTP APIs and function URLs join repeated query
 * parameters with commas, so that `?tag=a,b` and `?tag=a&tag=b` look the same: the raw query string still
 * tells. REST APIs keep the case of header names, so that `X-Request-Id` would stand beside the gateway's
 * `x-request-id` and lose.
 */
function asSent (event: Event): Event {
  if ('rawPath' in event) {
    return { ...event, rawPath: `${event.rawPath}?${event.rawQueryString}`, queryStringParameters: undefined }
  }
  return {
    ...event,
    headers: lowerCase(event.headers),
    multiValueHeaders: lowerCase(event.multiValueHeaders)
  }
}

function lowerCase<T> (headers: Record<string, T> | null): Record<string, T> {
  return Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]))
}
