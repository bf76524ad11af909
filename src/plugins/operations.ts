import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Operations } from '../operations/index.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** For what goes on after the first answer. @throws Problem TENANT_SUSPENDED */
    assertActive(): Promise<void>
  }
}

/** Refuses suspended tenants, and records what the store denied. */
export default fp<{ operations: Operations }>(async (app, { operations }) => {
  app.decorateRequest('assertActive', async function (this: FastifyRequest) {
    if (this.scope !== null) await operations.assertActive(this.scope.tenantId)
  })
  app.addHook('preHandler', (request) => request.assertActive())

  // Before the answer goes out, so that neither a crash nor Lambda's freeze loses the record.
  app.addHook('onSend', async ({ deniedByStore, scope, id, method, routeOptions, log }) => {
    if (!deniedByStore || scope === null) return
    await operations.record({
      tenantId: scope.tenantId,
      userId: scope.userId,
      requestId: id,
      action: `${method} ${routeOptions.url}`,
      outcome: 'denied'
    })
      .catch((error: unknown) => {
        log.error({ failure: (error as Error).name }, 'a denial could not be recorded')
      })
  })
}, { name: 'operations', dependencies: ['problems', 'tenant'] })
