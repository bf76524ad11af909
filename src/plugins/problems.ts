import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest, FastifySchemaValidationError } from 'fastify'
import fp from 'fastify-plugin'
import { Problem, type Fault } from '../errors.ts'
import { isFromStore, storeFailure } from '../store/failure.ts'
import { commonHeaders } from './headers.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The name of the limit of its body; where left out, `bodyBytes`. */
    bodyLimit?: string
  }
  interface FastifyRequest {
    /** Set where the store denied what the hub had allowed: one of the walls before it has a hole. */
    deniedByStore: boolean
    /** Why its token was refused, as a code. */
    refusedFor: string | undefined
  }
}

/**
 * The one place where a failure becomes an answer: problem+json (RFC 9457). A 5xx body is constant; its cause
 * is logged.
 */
export default fp(async (app) => {
  app.decorateRequest('deniedByStore', false)
  app.decorateRequest('refusedFor', undefined)
  app.setErrorHandler((error: unknown, request, reply) =>
    send(request, reply, toProblem(error, request), error)
  )
}, { name: 'problems' })

/** Sends a problem. */
export function send (
  request: FastifyRequest,
  reply: FastifyReply,
  problem: Problem,
  cause: unknown = problem
): FastifyReply {
  const { status, extras: { retryAfter, headers } } = problem
  const body = tell(request, problem, cause)
  reply.headers(commonHeaders(request.id))
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter)
  for (const [name, value] of Object.entries(headers ?? {})) reply.header(name, value)
  return reply.code(status).type('application/problem+json').serializer(JSON.stringify).send(body)
}

/** Of 5xx, what a client may know the reason of: nothing of ours is broken. */
const TOLD: ReadonlySet<string> = new Set(['QUOTA_EXCEEDED', 'OVERLOADED'])

/**
 * The body of a problem. What is ours to mend (a 5xx but a full space and a full hub, a denial by the store) is
 * logged with its cause.
 */
export function tell (request: FastifyRequest, problem: Problem, cause: unknown = problem): object {
  const {
    errorType,
    status,
    title,
    extras: { retryAfter: _, headers: __, reason, isMeant = false, ...extras }
  } = problem
  request.refusedFor = reason
  const isTold = status < 500 || TOLD.has(errorType)
  if (!isTold && !isMeant) {
    request.log.error({ errorType, failure: describe(cause) }, problem.message)
  } else if (storeFailure(cause) === 'denied') {
    request.deniedByStore = true
    request.log.error({ errorType, failure: describe(cause) }, 'the store denied what the hub allowed')
  }
  return {
    type: `urn:sync-hub:problem:${errorType.toLowerCase().replaceAll('_', '-')}`,
    title,
    status,
    ...isTold ? { detail: problem.message } : {},
    instance: request.id,
    errorType,
    ...isTold ? extras : {}
  }
}

/**
 * Whatever was thrown, as a problem: ours as it is, Fastify's and the store's by their codes, all else a 500.
 */
export function toProblem (error: unknown, request?: FastifyRequest): Problem {
  if (error instanceof Problem) return error
  const { validation, validationContext, code = '', statusCode = 500 } = error as FastifyError & {
    validation?: FastifySchemaValidationError[],
    validationContext?: string
  }
  if (validation !== undefined) return invalid(validation, validationContext ?? 'body')
  const failure = storeFailure(error)
  if (failure === 'denied') return new Problem('UNAUTHORIZED_ACCESS', 'You may not read or write this.')
  if (failure === 'away') {
    return new Problem('STORE_UNAVAILABLE', 'The store did not answer in time.', { retryAfter: 1 })
  }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return tooLarge(request)
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new Problem(
      'UNSUPPORTED_MEDIA_TYPE',
      'Send application/json (a PATCH may also be application/merge-patch+json).'
    )
  }
  if (statusCode >= 400 && statusCode < 500) {
    return new Problem(
      'MALFORMED_REQUEST',
      `${STATUS_CODES[statusCode] ?? 'Bad Request'}: the request could not be read.`
    )
  }
  return new Problem('INTERNAL', 'Unexpected failure', {}, { cause: error })
}

function tooLarge (request: FastifyRequest | undefined): Problem {
  const [value, sent] = [request?.routeOptions.bodyLimit ?? 0, Number(request?.headers['content-length'])]
  return new Problem('BODY_TOO_LARGE', `The body may have ${value} bytes.`, {
    limit: {
      name: request?.routeOptions.config.bodyLimit ?? 'bodyBytes',
      value,
      ...Number.isFinite(sent) && { sent }
    }
  })
}

function invalid (validation: FastifySchemaValidationError[], context: string): Problem {
  const errors = unionsOf(validation).map((fault): Fault => {
    const { additionalProperty, missingProperty, tag, limit } = fault.params
    const property = [additionalProperty, missingProperty, tag].find((name) => typeof name === 'string')
    const path = `${fault.instancePath}${
      property === undefined ? '' : `/${property.replaceAll('~', '~0').replaceAll('/', '~1')}`
    }`
    const detail = additionalProperty !== undefined
      ? 'is not known here'
      : missingProperty !== undefined
      ? 'is missing'
      : tag !== undefined
      ? 'is missing, or not one that is taken here'
      : sentenceOf(fault)
    return {
      pointer: context === 'body' ? path : `${context}${path}`,
      detail: typeof limit === 'number' && !detail.includes(`${limit}`)
        ? `${detail} (limit ${limit})`
        : detail
    }
  })
  const [first] = errors
  return new Problem('VALIDATION_FAILED', `${first!.pointer || 'The body'} ${first!.detail}.`, { errors })
}

/** A union of constants is one enumeration: one fault with all its values, not one for each and one more. */
function unionsOf (faults: FastifySchemaValidationError[]): FastifySchemaValidationError[] {
  return faults.flatMap((fault) => {
    const here = faults.filter(({ instancePath }) => instancePath === fault.instancePath)
    const constants = here.filter(({ keyword }) => keyword === 'const')
    const isUnion = constants.length > 0 && constants.length === here.length - 1 &&
      here.at(-1)!.keyword === 'anyOf'
    if (!isUnion) return [fault]
    const allowedValues = constants.map(({ params }) => params.allowedValue as string)
    return fault.keyword === 'anyOf' ? [{ ...fault, keyword: 'enum', params: { allowedValues } }] : []
  })
}

/** Ajv's own words, and the values of an enumeration where they are few. */
function sentenceOf ({ keyword, params: { allowedValues }, message }: FastifySchemaValidationError): string {
  return keyword === 'enum' && Array.isArray(allowedValues) && allowedValues.length <= 20
    ? `must be one of ${allowedValues.join(', ')}`
    : message ?? 'is not valid'
}

/**
 * What of a failure goes into the log: names and stack, not messages of the store, which may hold a user's
 * rows.
 */
function describe (error: unknown, fromStore = isFromStore(error)): object | undefined {
  if (!(error instanceof Error)) return undefined
  const { name, stack = '', cause } = error
  return {
    name,
    ...fromStore ? {} : { message: error.message },
    ...cause !== undefined && { cause: describe(cause, fromStore || isFromStore(cause)) },
    at: stack.split('\n').map((line) => line.trim()).filter((line) => line.startsWith('at ')).slice(0, 5)
  }
}
