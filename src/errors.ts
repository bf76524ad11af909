/**
 * Every error the hub can answer with: stable code, status, sentence. A body is problem+json (RFC 9457).
 * The sentence of a 5xx is all that a client ever sees of it: the cause is in the log only.
 */
export const ERRORS = {
  VALIDATION_FAILED: [400, 'The request is not valid'],
  MALFORMED_BODY: [400, "The body can't be read, or not be kept unchanged"],
  NOT_BOOKMARKS: [400, 'The file is none that bookmarks can be read from'],
  MALFORMED_REQUEST: [400, 'The request is not well-formed'],
  URL_NOT_ALLOWED: [400, 'The URL is not one that can be kept'],
  INVALID_CURSOR: [400, 'The cursor is not one that was given out for this list'],
  INVALID_TENANT_ID: [400, 'The token names a tenant that cannot exist'],
  UNAUTHENTICATED: [401, 'A valid token is needed'],
  MISSING_TENANT_ID: [401, 'The token names no tenant'],
  UNAUTHORIZED_ACCESS: [403, 'Not allowed'],
  TENANT_SUSPENDED: [403, 'The tenant is suspended'],
  BLOCKED: [403, 'The user takes no invitations from you'],
  PAIRING_FAILED: [403, 'The code lets nobody in'],
  NOT_FOUND: [404, 'Not found'],
  METHOD_NOT_ALLOWED: [405, 'The method is not one that this path takes'],
  LIVE_UNAVAILABLE: [406, "This deployment can't stream"],
  REQUEST_TIMEOUT: [408, 'The request came too slowly'],
  CONFIRMATION_REQUIRED: [409, 'The request deletes so much that it has to say that it means it'],
  FOLDER_CYCLE: [409, "A folder can't be in itself"],
  BATCH_STATE: [409, 'The batch is not in the state that the request requires'],
  ALREADY_MEMBER: [409, 'The user is in the group already'],
  LAST_OWNER: [409, 'A group keeps an owner'],
  LIMIT_REACHED: [409, 'A limit is reached'],
  NOT_REVERTIBLE: [409, "The change-set can't be undone as a whole"],
  IDEMPOTENCY_IN_PROGRESS: [409, 'A request with this Idempotency-Key is still running'],
  CURSOR_EXPIRED: [410, 'The cursor is too old: start again with a snapshot'],
  PRECONDITION_FAILED: [412, 'The record is not in the state that the request requires'],
  BODY_TOO_LARGE: [413, 'The body is too large'],
  UNSUPPORTED_MEDIA_TYPE: [415, 'The media type is not one that this resource takes'],
  IDEMPOTENCY_MISMATCH: [422, 'The Idempotency-Key belongs to another request'],
  TOO_MANY_CONNECTIONS: [429, 'Too many connections wait at once'],
  RATE_LIMITED: [429, 'Too many requests'],
  INTERNAL: [500, 'Something went wrong on our side'],
  NOT_READY: [503, 'The hub is not ready'],
  KEYS_UNAVAILABLE: [503, 'The keys to check the token with cannot be had now'],
  CONTENTION: [503, 'Too many writers at once on this space'],
  OVERLOADED: [503, 'The hub has too much to do; nothing of the request was begun'],
  STORE_UNAVAILABLE: [503, 'The store does not answer; the write may or may not have happened'],
  QUOTA_EXCEEDED: [507, 'The space is full']
} as const satisfies Record<string, readonly [status: number, title: string]>

export type ErrorType = keyof typeof ERRORS

/**
 * One thing that is wrong with a request: where (JSON pointer, or the name of a parameter or header) and
 * what.
 */
export interface Fault {
  pointer: string
  detail: string
}

export interface ProblemExtras {
  /** Per-field faults. */
  errors?: Fault[]
  /** The record as it is now (412), so that a client can merge instead of being told to redo its work. */
  current?: unknown
  /** The limit that was hit: its name, its value and what was sent. */
  limit?: { name: string, value: number, sent?: number }
  /** With 412: the record was deleted. */
  deleted?: boolean
  /** What is wrong with each change of a push of which nothing was applied. */
  results?: object[]
  /** Of what ended early: the change-sets that it wrote, by whose revert all of it is undone. */
  written?: readonly { readonly n: number, readonly changes: number }[]
  /** Where to go on. */
  snapshot?: string
  /** It is meant to be so, and nothing that anyone has to mend: a 5xx that is no error in the log. */
  isMeant?: true
  /** A code for the log alone: why a token was refused. */
  reason?: string
  /** Seconds, sent as Retry-After. */
  retryAfter?: number
  /** Further response headers. */
  headers?: Record<string, string>
}

/** Thrown anywhere, formatted in one place (plugins/problems.ts). */
export class Problem extends Error {
  readonly errorType: ErrorType
  readonly status: number
  readonly title: string
  readonly extras: ProblemExtras

  /**
   * @param errorType a code of ERRORS
   * @param detail what happened and what to do about it; shown to the client below 500, and only logged
   *   from 500 on
   */
  constructor (errorType: ErrorType, detail: string, extras: ProblemExtras = {}, options?: ErrorOptions) {
    super(detail, options)
    this.name = 'Problem'
    this.errorType = errorType
    ;[this.status, this.title] = ERRORS[errorType]
    this.extras = extras
  }
}
