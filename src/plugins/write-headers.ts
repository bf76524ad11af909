import fp from 'fastify-plugin'
import { Problem } from '../errors.ts'

const WRITES = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])
const PROMISES = ['idempotency-key', 'if-match', 'if-none-match'] as const

/**
 * A header that promises something is never ignored: a write takes it, which its schema then says, or is refused for
 * it by name. Who sent it relies on it.
 */
export default fp(async (app) => {
  app.addHook('preValidation', async ({ method, headers, is404, routeOptions: { schema } }) => {
    if (is404 || !WRITES.has(method)) return
    const { properties = {} } = (schema?.headers ?? {}) as { properties?: object }
    const name = PROMISES.find((name) => headers[name] !== undefined && !Object.hasOwn(properties, name))
    if (name === undefined) return
    const detail = 'is not taken here; /openapi.json says which headers are'
    throw new Problem('VALIDATION_FAILED', `${name} ${detail}.`, {
      errors: [{ pointer: `headers/${name}`, detail }]
    })
  })
}, { name: 'write-headers', dependencies: ['problems'] })
