import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { Problem } from '../errors.ts'
import { noQuery } from './schemas.ts'

const Status = Type.Object({ status: Type.String() }, { title: 'Status' })

/** For load balancers and people: is the process alive, and can it do its work? */
export default async function health (app: FastifyInstance): Promise<void> {
  const schema = { tags: ['hub'], security: [], querystring: noQuery, response: { 200: Status } }

  app.get(
    '/health',
    {
      config: { public: true, unqueued: true },
      schema: { ...schema, operationId: 'getHealth', summary: 'Check that the process is alive' }
    },
    async () => ({ status: 'ok' })
  )

  app.get('/ready', {
    config: { public: true, unqueued: true },
    schema: {
      ...schema,
      operationId: 'getReadiness',
      summary: "Check that the store and the issuers' keys are reachable"
    }
  }, async () => {
    if (app.draining) throw new Problem('NOT_READY', 'The hub is shutting down.', { isMeant: true })
    const [store, keys] = await Promise.all([app.storeReady(), app.keysReady()])
    if (!store || !keys) {
      throw new Problem(
        'NOT_READY',
        `${store ? '' : 'The store does not answer. '}${
          keys ? '' : "The keys of a trusted issuer can't be had."
        }`,
        { retryAfter: 2 }
      )
    }
    return { status: 'ready' }
  })

  app.get('/openapi.json', {
    config: { public: true, unqueued: true },
    schema: {
      tags: ['hub'],
      security: [],
      operationId: 'getOpenApi',
      summary: 'Get this OpenAPI document',
      querystring: noQuery
    }
  }, async () => app.swagger())
}
