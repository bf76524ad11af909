import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { parse } from 'lossless-json'
import { Problem } from '../errors.ts'

/**
 * Bodies: JSON that can be kept exactly as it is, or 400. JSON.parse silently drops the first of two equal keys, turns
 * 1e400 into Infinity, rounds integers beyond 2^53, and Node replaces bytes that are not UTF-8; each of these would
 * be a change of a user's data that nobody asked for.
 */
export default fp(async (app) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(['application/json', 'application/merge-patch+json'], { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
    if (isMergePatch(request) && request.method !== 'PATCH') throw new Problem('UNSUPPORTED_MEDIA_TYPE', 'application/merge-patch+json is for PATCH; send application/json.')
    // Many clients name a type on a DELETE that has no body.
    return request.method === 'DELETE' && body.length === 0 ? undefined : parseExactly(body)
  })
}, { name: 'body' })

const isMergePatch = ({ headers }: FastifyRequest) => headers['content-type']?.startsWith('application/merge-patch+json')

/** @throws Problem MALFORMED_BODY saying what could not be kept, and where */
export function parseExactly (body: Buffer): unknown {
  if (body.length === 0) throw malformed('The body is empty; send JSON.')
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    throw malformed('The body is not UTF-8.')
  }
  try {
    const value = parse(text, undefined, { parseNumber: exactNumber })
    assertKeepable(value)
    return value
  } catch (error) {
    if (error instanceof RangeError) throw malformed('The body is nested too deep.')
    if (error instanceof SyntaxError) throw malformed(`${error.message}.`)
    throw error
  }
}

/** IEEE 754 doubles, exactly: what would be rounded to another number is refused. */
function exactNumber (literal: string): number {
  const value = Number(literal)
  const why = !Number.isFinite(value)
    ? 'is infinite as a double'
    : Number.isInteger(value) && Math.abs(value) > Number.MAX_SAFE_INTEGER
      ? 'is an integer beyond 2^53'
      : Object.is(value, -0) || (Math.abs(value) < 2 ** -1022 && /[1-9]/.test(literal.replace(/e.*/i, '')))
        ? 'is too close to zero for a double, or a negative zero'
        : undefined
  if (why !== undefined) throw malformed(`The number ${literal.slice(0, 40)} ${why}; send it as a string.`)
  return value
}

/** Strings with half a surrogate pair have no UTF-8, so they would be stored as something else. */
function assertKeepable (value: unknown): void {
  if (typeof value === 'string' && !value.isWellFormed()) throw malformed('A string holds half a surrogate pair, which has no UTF-8.')
  if (typeof value !== 'object' || value === null) return
  for (const [key, part] of Object.entries(value)) {
    if (!key.isWellFormed()) throw malformed('A key holds half a surrogate pair, which has no UTF-8.')
    assertKeepable(part)
  }
}

const malformed = (detail: string) => new Problem('MALFORMED_BODY', detail, { errors: [{ pointer: '', detail }] })
