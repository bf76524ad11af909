import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'

/** How far the clock of a process may be off the store's before it is not believed. */
export const MAX_SKEW_MS = 10 * 60_000

/** Time as a process takes it: its own clock, for as long as the store's does not say otherwise. */
export interface Clock {
  readonly now: () => number
  /** Compares the clocks with every answer that the client gets. @returns the client */
  listen(client: DynamoDBDocumentClient): DynamoDBDocumentClient
}

/**
 * A clock that no machine can set wrong for others: what is stamped is kept, and swept, by it. Where the own clock
 * is more than MAX_SKEW_MS off the store's (the `Date` of its answers), the store's counts.
 */
export function createClock (own: () => number = Date.now): Clock {
  let ahead = 0
  const hear = (date: string | undefined) => {
    const skew = own() - Date.parse(date ?? '')
    if (!Number.isNaN(skew)) ahead = Math.abs(skew) > MAX_SKEW_MS ? skew : 0
  }
  return {
    now: () => own() - ahead,
    listen (client) {
      client.middlewareStack.add((next) => async (args) => {
        const result = await next(args)
        hear((result.response as { headers?: Record<string, string> } | undefined)?.headers?.date)
        return result
      }, { step: 'deserialize', name: 'clock' })
      return client
    }
  }
}
