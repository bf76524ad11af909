/**
 * Every error the hub can answer with: stable code, status, sentence. A body is problem+json (RFC 9457).
 * The sentence of a 5xx is all that a client ever sees of it: the cause is in the log only.
 */
export const ERRORS = {
  VALIDATION_FAILED: [400, 'The request is not valid'],
  MALFORMED_BODY: [400, "The body can't be read, or can't be stored unchanged"],
  NOT_BOOKMARKS: [400, 'The file holds no bookmarks that the hub can read'],
  MALFORMED_REQUEST: [400, 'The request is not well-formed'],
  URL_NOT_ALLOWED: [400, 'The URL is not allowed'],
  INVALID_CURSOR: [400, 'The cursor does not belong to this list'],
  INVALID_TENANT_ID: [400, 'The token names a tenant that cannot exist'],
  UNAUTHENTICATED: [401, 'The request needs a valid token'],
  MISSING_TENANT_ID: [401, 'The token names no tenant'],
  UNAUTHORIZED_ACCESS: [403, 'Not allowed'],
  TENANT_SUSPENDED: [403, 'The tenant is suspended'],
  BLOCKED: [403, 'The user has blocked you'],
  PAIRING_FAILED: [403, 'The pairing code is not valid'],
  NOT_FOUND: [404, 'Not found'],
  METHOD_NOT_ALLOWED: [405, 'The path does not support this method'],
  LIVE_UNAVAILABLE: [406, "This deployment can't stream"],
  REQUEST_TIMEOUT: [408, 'The request arrived too slowly'],
  CONFIRMATION_REQUIRED: [409,
    'The request would delete more than half of the space, and needs a confirmation'],
  FOLDER_CYCLE: [409, "A folder can't be inside itself"],
  BATCH_STATE: [409, 'The batch is not in the state that the request requires'],
  ALREADY_MEMBER: [409, 'The user is already in the group'],
  LAST_OWNER: [409, 'A group must have an owner'],
  LIMIT_REACHED: [409, 'A limit is reached'],
  NOT_REVERTIBLE: [409, "The change-set can't be undone as a whole"],
  IDEMPOTENCY_IN_PROGRESS: [409, 'A request with this Idempotency-Key is still running'],
  CURSOR_EXPIRED: [410, 'The cursor is too old: start again with a snapshot'],
  PRECONDITION_FAILED: [412, 'The record is not in the state that the request requires'],
  BODY_TOO_LARGE: [413, 'The body is too large'],
  UNSUPPORTED_MEDIA_TYPE: [415, 'The resource does not accept this media type'],
  IDEMPOTENCY_MISMATCH: [422, 'The Idempotency-Key belongs to another request'],
  TOO_MANY_CONNECTIONS: [429, 'Too many connections wait at once'],
  RATE_LIMITED: [429, 'Too many requests'],
  INTERNAL: [500, 'Something went wrong on our side'],
  NOT_READY: [503, 'The hub is not ready'],
  KEYS_UNAVAILABLE: [503, 'The keys that verify the token are unavailable'],
  CONTENTION: [503, 'Too many writers at once on this space'],
  OVERLOADED: [503, 'The hub is overloaded, and did not begin the request'],
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
  /** The current record (412), so that a client can merge instead of redoing its work. */
  current?: unknown
  /** The limit that was reached: its name, its value and what was sent. */
  limit?: { name: string, value: number, sent?: number }
  /** With 412: the record was deleted. */
  deleted?: boolean
  /** Why a push was refused, change by change. Nothing was applied. */
  results?: object[]
  /** The change-sets that a request wrote before it ended early. Reverting them undoes all of it. */
  written?: readonly { readonly n: number, readonly changes: number }[]
  /** The path of a new snapshot. */
  snapshot?: string
  /** An expected 5xx that nobody has to fix: the log does not show it as an error. */
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
