import type { Static } from 'typebox'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { SessionInput } from '../../entities/session.ts'
import { Problem } from '../errors.ts'
import type { Operations } from '../operations/index.ts'
import { pairingFailed } from '../operations/pairings.ts'
import type { Services } from '../services/index.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Makes a code that lets a new device of this user in, for as long as this one is signed in. */
    pair(): Promise<{ code: string, expiresAt: string }>
    /**
     * Signs a device in by a code: no token is needed.
     * @throws Problem PAIRING_FAILED, LIMIT_REACHED, TENANT_SUSPENDED
     */
    claim(code: string, device: Static<typeof SessionInput>): ReturnType<Services['sessions']['register']>
  }
}

/** Where the operator's world, which knows the codes, and the tenant's, which has the sessions, meet. */
export default fp<{ operations: Operations }>(async (app, { operations }) => {
  app.decorateRequest('pair', async function (this: FastifyRequest) {
    return (await operations.pairings()).make(this.scope!)
  })
  app.decorateRequest(
    'claim',
    async function (this: FastifyRequest, code: string, device: Static<typeof SessionInput>) {
      return (await operations.pairings()).claim(code, async ({ tenantId, userId, sessionId }) => {
        await operations.assertActive(tenantId)
        // In the name of the device that made the code: where it was signed out since, nobody gets in by it.
        const { sessions } = await app.servicesOf({ tenantId, userId, roles: [], sessionId })
        return sessions.register(device).catch((error: unknown) => {
          throw error instanceof Problem && error.errorType === 'UNAUTHENTICATED' ? pairingFailed() : error
        })
      })
    }
  )
}, { name: 'pairing', dependencies: ['operations', 'services'] })
