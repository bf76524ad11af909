import type { Resource } from '../../../entities/index.ts'
import { Problem } from '../../errors.ts'
import { preconditionFailed } from '../collection.ts'
import { commitAll } from '../../engine/large-write.ts'
import type { Context } from '../context.ts'
import { once } from '../../engine/idempotency.ts'
import {
  knownOf,
  MAX_CHANGES,
  PreconditionFailed,
  removal,
  type Change,
  type Outcome
} from '../../engine/change.ts'
import { retryOnConflict } from '../../engine/retry.ts'
import { definitionOf, nameOf, readNamed } from '../../engine/rows.ts'
import { assertFit, inSpaceOf, preconditionOf, prepare, type PushedChange } from './changes.ts'

export interface Push {
  readonly changes: readonly PushedChange[]
  /** That most of the space may be deleted. */
  readonly confirm?: boolean
}

/** What became of each change, in the order they were sent. */
export interface Pushed {
  /** The number of the change-set; absent where nothing had to be done. */
  readonly n?: number
  readonly results: readonly {
    readonly type: Resource,
    readonly id: string,
    readonly status: 200 | 201 | 204,
    readonly rev?: number
  }[]
}

/**
 * Applies all changes as one change-set, or none of them; as a staged batch where they write more than a
 * transaction takes. To delete what is not there is no failure.
 * @throws Problem VALIDATION_FAILED, NOT_FOUND (no such space), UNAUTHORIZED_ACCESS (a viewer's push),
 *   PRECONDITION_FAILED
 * with `results` per change, CONFIRMATION_REQUIRED, QUOTA_EXCEEDED, CONTENTION; and those of the single
 * writes
 */
export async function push (given: Context, { changes, confirm = false }: Push): Promise<Pushed> {
  const most = given.idempotency === undefined ? MAX_CHANGES : MAX_CHANGES - 1
  if (changes.length > most) {
    const detail = `has ${changes.length} changes; a push may have ${most}${
      most < MAX_CHANGES ? ' with an Idempotency-Key' : ''
    }. Stage more with ?batch=true`
    throw new Problem('VALIDATION_FAILED', `The push ${detail}.`, {
      errors: [{ pointer: '/changes', detail }],
      limit: { name: 'pushChanges', value: most, sent: changes.length }
    })
  }
  assertFit(changes)
  const context = await inSpaceOf(given, changes)
  const puts = prepare(context, changes)

  async function attempt (): Promise<Outcome> {
    const prepared = await withDeletes(context, changes, puts)
    if (prepared.length === 0) return { n: 0, at: '', results: [] }
    const pointerOf = ({ definition: { resource: type }, id }: Change) =>
      `/changes/${changes.findIndex((change) => change.type === type && change.id === id)}/record`
    return commitAll(context, { changes: prepared, guarded: !confirm }, pointerOf).catch(
      async (error: unknown) => {
        throw error instanceof PreconditionFailed ? await refused(context, changes, error.failed) : error
      }
    )
  }

  return answer(changes, await once(context, () => retryOnConflict(attempt)))
}

/** The puts, and the deletes of what is there: a tombstone keeps the content, so it is read first. */
async function withDeletes (
  context: Context,
  changes: readonly PushedChange[],
  puts: ReadonlyMap<PushedChange, Change>
): Promise<Change[]> {
  const rows = await readNamed(context.store, context.space, changes.filter(({ act }) => act === 'delete'))
  return changes.flatMap((change) => {
    const put = puts.get(change)
    if (put !== undefined) return [put]
    const [definition, row, precondition] = [definitionOf(change.type), rows.get(nameOf(change)),
      preconditionOf(change)]
    if (row === undefined || row.deletedAt !== undefined) {
      // Nothing to delete; but who names a revision is told that it is gone.
      return precondition?.ifMatch === undefined
        ? []
        : [{ definition, id: change.id, act: 'delete', content: {}, precondition }]
    }
    return [{ ...removal(definition, row, precondition), basedOn: knownOf(definition, row) }]
  })
}

/** 412 that says of each change what stands in its way. */
export async function refused (
  context: Context,
  changes: readonly Pick<PushedChange, 'type' | 'id'>[],
  failed: readonly Change[]
): Promise<Problem> {
  const names = new Set(failed.map(({ definition, id }) => nameOf({ type: definition.resource, id })))
  const rows = await readNamed(
    context.store,
    context.space,
    changes.filter((change) => names.has(nameOf(change)))
  )
  const results = changes.map((change) => {
    const { type, id } = change
    if (!names.has(nameOf(change))) return { type, id, status: 424 }
    const { extras: { current, deleted } } = preconditionFailed(definitionOf(type), rows.get(nameOf(change)))
    return {
      type,
      id,
      status: 412,
      ...current !== undefined && { current },
      ...deleted === true && { deleted }
    }
  })
  return new Problem(
    'PRECONDITION_FAILED',
    `${failed.length} of ${changes.length} changes do not fit the records as they are ("results" says which); nothing was applied.`,
    { results }
  )
}

function answer (changes: readonly PushedChange[], { n, results }: Outcome): Pushed {
  const done = new Map(
    results.map(({ resource, row, created }) => [nameOf({ type: resource, id: row.id }), { row, created }])
  )
  return {
    ...n > 0 && { n },
    results: changes.map((change) => {
      const { type, id } = change
      const result = done.get(nameOf(change))
      if (result === undefined) return { type, id, status: 204 }
      const { row: { rev, deletedAt }, created } = result
      return { type, id, status: deletedAt !== undefined ? 204 : created ? 201 : 200, rev }
    })
  }
}
