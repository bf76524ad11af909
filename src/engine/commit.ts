import { Problem, type Fault } from '../errors.ts'
import type { Commits } from './index.ts'
import { MAX_CHANGES } from './change.ts'

/**
 * Commits changes of the context's space as one change-set, together with what has to hold for the folders
 * among them.
 * @param pointerOf where in the request a change stands, for errors; the body itself where it is left out
 * @throws as `Writer.commit`, and Problem FOLDER_CYCLE, VALIDATION_FAILED for a folder that can't be where
 *   it is put
 */
export const commit: Commits['commit'] = async (context, write, pointerOf = () => '') => {
  const { store, space, sessionId, idempotency, writer, rules } = context
  const conditions = await rules.conditionsOf(context, write.changes, pointerOf)
  const most = MAX_CHANGES - (idempotency === undefined ? 0 : 1) - conditions.length
  if (conditions.length > 0 && write.changes.length > most) {
    const errors: Fault[] = [{
      pointer: '/changes',
      detail: `are too many beside ${conditions.length} folders above those that are put: ${most} fit`
    }]
    throw new Problem(
      'VALIDATION_FAILED',
      `The ${write.changes.length} changes ${
        errors[0]!.detail
      }. Send fewer of them, or stage them with ?batch=true.`,
      { errors, limit: { name: 'pushChanges', value: most, sent: write.changes.length } }
    )
  }
  return writer.commit({
    store,
    space,
    sessionId,
    idempotency,
    ...write,
    changes: [...write.changes, ...conditions]
  })
}
