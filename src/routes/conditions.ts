import type { FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from '../errors.ts'
import type { Precondition } from '../engine/change.ts'

/** Conditional requests (RFC 9110, section 13), with a record's revision as its entity tag: `ETag: "7"`. */

/** @returns the entity tag of a revision */
export const etag = (rev: number) => `"${rev}"`

/**
 * If-Match and If-None-Match of a write.
 * @throws Problem VALIDATION_FAILED where a header can't be what the hub gave out
 */
export function preconditionOf ({ headers }: FastifyRequest): Precondition | undefined {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers
  if (ifNoneMatch !== undefined && ifNoneMatch !== '*') {
    throw invalidHeader('if-none-match', 'takes only * on a write: "create, but never replace"')
  }
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined
  return {
    ...ifMatch !== undefined && { ifMatch: ifMatch === '*' ? '*' : revisions(ifMatch) },
    ...ifNoneMatch !== undefined && { ifNoneMatch: true }
  }
}

/** Sends a record with its entity tag, or 304 where the client has it already. */
export function sendRecord<T extends { rev: number }> (
  request: FastifyRequest,
  reply: FastifyReply,
  record: T
): T | FastifyReply {
  reply.header('etag', etag(record.rev))
  return hasAlready(request, etag(record.rev)) ? reply.code(304).send() : record
}

/** Whether If-None-Match names a tag. Weak comparison on reads: W/"7" is as good as "7". */
export function hasAlready (
  { headers: { 'if-none-match': ifNoneMatch } }: FastifyRequest,
  tag: string
): boolean {
  return ifNoneMatch?.split(',').some((given) => [tag, '*'].includes(given.trim().replace(/^W\//, ''))) ??
    false
}

function revisions (header: string): number[] {
  return header.split(',').map((tag) => {
    const rev = /^"(\d{1,15})"$/.exec(tag.trim())?.[1]
    if (rev === undefined) {
      throw invalidHeader('if-match', 'takes the ETag of the record, such as "7" with its quotes, or *')
    }
    return Number(rev)
  })
}

function invalidHeader (name: string, detail: string): Problem {
  return new Problem('VALIDATION_FAILED', `${name} ${detail}.`, {
    errors: [{ pointer: `headers/${name}`, detail }]
  })
}
