import type { ProblemBody } from './wire.ts'

/** The hub said no, or nothing. */
export class HubProblem extends Error {
  override readonly name = 'HubProblem'
  /**
   * The HTTP status; 0 where there was no answer, or none that can be read. What was sent may then have
   * happened.
   */
  readonly status: number
  /** The hub's stable code; UNREACHABLE where there was no answer. */
  readonly errorType: string
  /** Milliseconds that the hub asks to wait. */
  readonly retryAfter: number
  readonly body: ProblemBody

  constructor (status: number, body: ProblemBody, retryAfter = 0, options?: ErrorOptions) {
    super(body.detail ?? body.errorType ?? `The hub answered ${status}.`, options)
    this.status = status
    this.errorType = body.errorType ?? ''
    this.retryAfter = retryAfter
    this.body = body
  }
}

/** Whether the same request may do better later. */
export function isTransient (error: unknown): error is HubProblem {
  if (!(error instanceof HubProblem)) return false
  const { status, errorType } = error
  return status === 0 || status === 408 || status === 429 || (status >= 500 && status !== 507) ||
    errorType === 'IDEMPOTENCY_IN_PROGRESS'
}

/** Whether a cursor leads nowhere any more: pull without one. */
export const isCursorLost = (error: unknown) =>
  error instanceof HubProblem && (error.status === 410 || error.errorType === 'INVALID_CURSOR')

/** The store has no room for what should be kept. What it kept before is as it was. */
export class StorageFull extends Error {
  override readonly name = 'StorageFull'
}

/** Another client uses a store that can't be shared. */
export class StoreInUse extends Error {
  override readonly name = 'StoreInUse'
}

const FULL = new Set(['QuotaExceededError', 'NS_ERROR_DOM_QUOTA_REACHED'])

/** What a store failed with, as StorageFull where it says by any of its names that it is full. */
export function storeFailure (error: unknown): unknown {
  if (!(error instanceof Error) && !isNamed(error)) return error
  return FULL.has(error.name) ? new StorageFull('The device has no room left.', { cause: error }) : error
}

const isNamed = (error: unknown): error is { name: string } =>
  typeof error === 'object' && error !== null && typeof (error as { name?: unknown }).name === 'string'

export const unreachable = (detail: string, cause: unknown) =>
  new HubProblem(0, { errorType: 'UNREACHABLE', detail }, 0, { cause })
