import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { parse } from 'lossless-json'
import { Problem } from '../errors.ts'

/**
 * Far beyond what any record may hold (settingDepth), and far below where a recursive walk of it would end
 * the stack.
 */
const MAX_DEPTH = 64

/**
 * Bodies: JSON that can be kept exactly as it is, or 400. JSON.parse silently drops the first of two equal
 * keys, turns 1e400 into Infinity, rounds integers beyond 2^53, and Node replaces bytes that are not UTF-8;
 * each of these would be a change of a user's data that nobody asked for.
 */
export default fp(async (app) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    ['application/json', 'application/merge-patch+json'],
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer) => {
      assertMediaType(request)
      await request.turn.begin()
      // Many clients name a type also where there is no body to send.
      return request.routeOptions.schema?.body === undefined && body.length === 0
        ? undefined
        : parseExactly(body)
    }
  )
}, { name: 'body' })

/** @throws Problem UNSUPPORTED_MEDIA_TYPE */
export function assertIdentity (
  { headers: { 'content-encoding': coding = 'identity' } }: FastifyRequest
): void {
  if (coding.toLowerCase() !== 'identity') {
    throw new Problem('UNSUPPORTED_MEDIA_TYPE', 'Send the body without a Content-Encoding.')
  }
}

/**
 * @throws Problem UNSUPPORTED_MEDIA_TYPE where the headers say that the bytes are not what they would be read
 * as
 */
function assertMediaType (request: FastifyRequest): void {
  const { method, headers: { 'content-type': type = '' } } = request
  if (method !== 'PATCH' && /^\s*application\/merge-patch\+json/i.test(type)) {
    throw new Problem(
      'UNSUPPORTED_MEDIA_TYPE',
      'application/merge-patch+json is for PATCH; send application/json.'
    )
  }
  assertIdentity(request)
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(type)?.[1]
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) {
    throw new Problem('UNSUPPORTED_MEDIA_TYPE', 'Send the JSON as UTF-8 (RFC 8259, section 8.1).')
  }
}

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
    if (assertKeepable(value) !== membersOf(text)) throw malformed('An object has the same key twice.')
    return value
  } catch (error) {
    if (error instanceof RangeError) throw tooDeep()
    if (error instanceof SyntaxError) throw malformed(`${error.message.slice(0, 200)}.`)
    throw error
  }
}

/**
 * IEEE 754 doubles: an integer that would become another, and what is too large or too small for a double, is
 * refused.
 */
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

/**
 * Strings with half a surrogate pair have no UTF-8, so they would be stored as something else.
 * @returns how many members the objects of `value` have
 */
function assertKeepable (value: unknown, depth = 0): number {
  if (typeof value === 'string' && !value.isWellFormed()) {
    throw malformed('A string holds half a surrogate pair, which has no UTF-8.')
  }
  if (typeof value !== 'object' || value === null) return 0
  if (depth === MAX_DEPTH) throw tooDeep()
  const entries = Object.entries(value)
  let members = Array.isArray(value) ? 0 : entries.length
  for (const [key, part] of entries) {
    if (!key.isWellFormed()) throw malformed('A key holds half a surrogate pair, which has no UTF-8.')
    members += assertKeepable(part, depth + 1)
  }
  return members
}

/**
 * How many members the objects of a JSON text have: its colons outside strings. The parser refuses a second
 * value for a key only where it finds the two different, and to it `[]` and `{}` are equal.
 */
const membersOf = (json: string) => json.replace(/"[^"\\]*(?:\\.[^"\\]*)*"/g, '').split(':').length - 1

const tooDeep = () => malformed(`The body is nested more than ${MAX_DEPTH} deep.`)
const malformed = (detail: string) =>
  new Problem('MALFORMED_BODY', detail, { errors: [{ pointer: '', detail }] })
