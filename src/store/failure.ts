/** What a failure of the store means for who asked. */
export type StoreFailure = 'denied' | 'away'

/**
 * Whether an error is the store's, and of which kind. ElectroDB wraps what AWS threw, so the chain of causes is
 * looked along.
 * @returns `away` where nobody can say whether it happened: overload, no answer, or one that is not the store's
 *   own, such as a proxy's page or JSON that is cut off; undefined where it is not the store's, or our own
 *   mistake
 */
export function storeFailure (error: unknown): StoreFailure | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause.name === 'AccessDeniedException') return 'denied'
    if (AWAY.has(cause.name) || isNoAnswer(cause)) return 'away'
  }
  return undefined
}

/** Whether the error came with a call of the store: its message may hold a user's rows. */
export const isFromStore = (error: unknown): boolean =>
  error instanceof Error && ('$metadata' in error || 'isElectroError' in error)

/**
 * Names alone, never codes: a connection that is reset may be the client's own, and then it is no failure of the
 * store.
 */
const AWAY = new Set(['ProvisionedThroughputExceededException', 'RequestLimitExceeded', 'ThrottlingException',
  'LimitExceededException', 'TransactionInProgressException', 'InternalServerError', 'ServiceUnavailable',
  'ServiceUnavailableException', 'ExpiredTokenException', 'UnrecognizedClientException', 'TimeoutError'])

/**
 * Whether a call ended without an answer of the store. The SDK marks every failed call with `$metadata`; an
 * answer that was understood has a status below 500 and says whose fault it is.
 */
function isNoAnswer (error: Error): boolean {
  if (!('$metadata' in error)) return false
  const { $metadata: { httpStatusCode: status = 0 }, $fault, name } = error as Error & {
    $metadata: { httpStatusCode?: number },
    $fault?: string
  }
  return status < 400 || status >= 500 || $fault !== 'client' || name === 'UnknownError'
}
