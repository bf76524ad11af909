import { spaceKey } from '../../entities/fields.ts'
import { Head, LogEntry } from '../../entities/space.ts'
import type { Store } from '../../src/store/store.ts'

/** What the log of a user's space says, and where HEAD stands: read past the hub. */
export async function logOf (store: Store, userId: string, tenantId = 'acme') {
  const space = spaceKey(tenantId, 'USER', userId)
  const { data: head } = await Head.get(space).go({ ...store, consistent: true })
  const { data: entries } = await LogEntry.query.byNumber(space).go({
    ...store,
    consistent: true,
    pages: 'all'
  })
  return { head, entries }
}
