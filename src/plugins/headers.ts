import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import fp from 'fastify-plugin'
import { Problem } from '../errors.ts'

const REQUEST_ID = /^[A-Za-z0-9][A-Za-z0-9._=-]{7,127}$/

/** A well-formed X-Request-Id is kept, so that one id runs through all logs; else a new one is made. */
export function requestId ({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const { 'x-request-id': given } = headers
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID()
}

/** What every answer carries; public routes set their own cache-control. */
export const commonHeaders = (id: string) => ({
  'x-request-id': id,
  'cache-control': 'private, no-store',
  'x-content-type-options': 'nosniff'
})

/** Headers that every answer carries, and the one doubt that every request may raise. */
export default fp(async (app) => {
  app.addHook('onRequest', async ({ id, raw }, reply) => {
    reply.headers(commonHeaders(id))
    // RFC 9112, section 3.2: two hosts are an attempt to be read differently by a proxy and by us.
    const hosts = raw.rawHeaders.filter((name, index) =>
      index % 2 === 0 && name.toLowerCase() === 'host'
    ).length
    if (hosts > 1 || (hosts === 0 && raw.httpVersion === '1.1')) {
      throw new Problem('MALFORMED_REQUEST', `The request has ${hosts} Host headers; it must have one.`)
    }
  })
}, { name: 'headers' })
