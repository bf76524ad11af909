import { Problem } from '../errors.ts'
import { Superseded } from './change.ts'

/** Of so many at once on one record, the last waits for all. */
const MAX_REDO = 50

/**
 * What was built on a record that moved on meanwhile is built again. @throws Problem CONTENTION, and what
 * `attempt` throws
 */
export async function retryOnConflict<T> (attempt: () => Promise<T>): Promise<T> {
  for (let tries = 0; tries < MAX_REDO; tries++) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof Superseded)) throw error
    }
  }
  throw new Problem('CONTENTION', 'The records changed at every try; nothing was written.', { retryAfter: 1 })
}
