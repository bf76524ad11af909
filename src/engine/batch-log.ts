import type { SpaceKey } from '../../entities/fields.ts'
import { Problem } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { readLog, type Entry } from './rows.ts'

const ENTRIES = 100

/**
 * The change-sets of a staged batch, in order. Of one that was stopped there are fewer than it was to have, and
 * what follows them is none of it.
 * @throws Problem NOT_FOUND where one of them was swept
 */
export async function* readBatchLog (
  store: Store,
  space: SpaceKey,
  { id, first, parts }: { readonly id: string, readonly first: number, readonly parts: number }
): AsyncGenerator<Entry, void, void> {
  for (let n = first; n < first + parts;) {
    const logged = await readLog(store, space, n, first + parts - 1, ENTRIES)
    if (logged[0]?.n !== n) throw new Problem('NOT_FOUND', 'There is no such change-set.')
    for (const entry of logged) {
      if (entry.batch?.id !== id) return
      yield entry
    }
    n += logged.length
  }
}
