import type { Static } from 'typebox'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { SessionInput } from '../../entities/session.ts'
import type { Operations } from '../operations/index.ts'
import type { Services } from '../services/index.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Makes a code that lets a new device of this user in. @throws Problem UNAUTHORIZED_ACCESS for an app password */
    pair (): Promise<{ code: string, expiresAt: string }>
    /**
     * Signs a device in by a code: no token is needed.
     * @throws Problem PAIRING_FAILED, LIMIT_REACHED, TENANT_SUSPENDED
     */
    claim (code: string, device: Static<typeof SessionInput>): ReturnType<Services['sessions']['register']>
  }
}

/** Where the operator's world, which knows the codes, and the tenant's, which has the sessions, meet. */
export default fp<{ operations: Operations }>(async (app, { operations }) => {
  app.decorateRequest('pair', async function (this: FastifyRequest) {
    await this.services.sessions.assertDevice()
    return (await operations.pairings()).make(this.scope!)
  })
  app.decorateRequest('claim', async function (this: FastifyRequest, code: string, device: Static<typeof SessionInput>) {
    return (await operations.pairings()).claim(code, async ({ tenantId, userId }) => {
      await operations.assertActive(tenantId)
      const { sessions } = await app.servicesOf({ tenantId, userId, roles: [], sessionId: undefined })
      return sessions.register(device)
    })
  })
}, { name: 'pairing', dependencies: ['operations', 'services'] })
