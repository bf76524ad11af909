import awsLambdaFastify from '@fastify/aws-lambda'
import { buildApp } from './app.ts'
import { loadConfig } from './config.ts'

/**
 * Lambda entry: the same app behind API Gateway (REST, HTTP) and function URLs. Identity comes from the verified token
 * in the request; what an authorizer wrote into the event is never looked at (`decorateRequest: false`).
 */
const app = await buildApp(loadConfig())

export const handler = awsLambdaFastify(app, { decorateRequest: false })

await app.ready()
