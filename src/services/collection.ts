import { randomUUID } from 'node:crypto'
import type { Static, TObject } from 'typebox'
import type { AnyEntity, Definition } from '../../entities/definition.ts'
import { Problem } from '../errors.ts'
import { commit as commitAll } from '../engine/commit.ts'
import type { Context } from './context.ts'
import { once } from '../engine/idempotency.ts'
import { inLine } from '../engine/line.ts'
import { mergePatch } from './merge-patch.ts'
import { list } from '../engine/list.ts'
import type { ListQuery, Page } from '../engine/list-query.ts'
import {
  knownOf,
  PreconditionFailed,
  removal,
  type Change,
  type Outcome,
  type Precondition,
  type Row
} from '../engine/change.ts'
import { retryOnConflict } from '../engine/retry.ts'
import { readRow } from '../engine/rows.ts'

/** The rules of one kind of record beyond its shape. */
export interface Rules<I extends TObject> {
  /** Refuses an input that has the right shape and can still not be kept. @throws Problem */
  check(input: Static<I>, id: string): void
  /**
   * Removes a record that does not go alone; undefined where it does. `confirm`: that it may be most of the
   * space.
   */
  remove?(row: Row, precondition: Precondition | undefined, confirm: boolean): Promise<Outcome> | undefined
  /** Further stored attributes that follow from the input. */
  derive?(id: string, input: Static<I>): Record<string, unknown>
}

/** What a write did to one record. */
export interface Saved<R> {
  readonly record: R
  readonly created: boolean
}

/** The records of one kind in one space. */
export interface Collection<R extends TObject, I extends TObject> {
  /** @throws Problem NOT_FOUND */
  get(id: string): Promise<Static<R>>
  list(query: ListQuery<Static<R>>): Promise<Page<Static<R>>>
  /** Adds a record under a new id. */
  add(input: Static<I>): Promise<Saved<Static<R>>>
  /**
   * Creates or replaces. @throws Problem PRECONDITION_FAILED with the current record, QUOTA_EXCEEDED,
   * CONTENTION
   */
  put(id: string, input: Static<I>, precondition?: Precondition): Promise<Saved<Static<R>>>
  /** Applies a JSON Merge Patch. @throws as put, and NOT_FOUND */
  patch(id: string, patch: object, precondition?: Precondition): Promise<Saved<Static<R>>>
  /**
   * Turns the record into a tombstone. `confirm`: that it may take most of the space with it. @throws as put,
   * and NOT_FOUND, CONFIRMATION_REQUIRED
   */
  remove(id: string, precondition?: Precondition, confirm?: boolean): Promise<void>
  /** The change that a PUT makes, to be written with others. @throws Problem where the input can't be kept */
  change(id: string, input: Static<I>, precondition?: Precondition): Change
}

/** Everything that can be done with any registered kind of record, in the space of `context`. */
export function collection<R extends TObject, I extends TObject, E extends AnyEntity> (
  context: Context,
  definition: Definition<R, I, E>,
  rules: Rules<I>
): Collection<R, I> {
  const { store, space } = context
  const plain = definition as unknown as Definition
  const read = (id: string) => readRow(store, plain, space, id)
  const present = (row: Row) => plain.present(row) as Static<R>

  async function commit (change: Change): Promise<Outcome> {
    try {
      return await commitAll(context, { changes: [change] })
    } catch (error) {
      throw error instanceof PreconditionFailed ? preconditionFailed(plain, await read(change.id)) : error
    }
  }

  /** Redoes what was made from a read, on the newer record, until it fits. */
  const edit = (id: string, precondition: Precondition | undefined, make: (row: Row) => Promise<Outcome>) =>
    inLine(context, `${definition.resource} ${id}`, () =>
      retryOnConflict(async () => {
        const row = await read(id)
        if (row === undefined || row.deletedAt !== undefined) {
          throw precondition?.ifMatch === undefined
            ? notFound(definition.resource)
            : preconditionFailed(plain, row)
        }
        return make(row)
      }))

  function change (id: string, input: Static<I>, precondition?: Precondition): Change {
    rules.check(input, id)
    return {
      definition: plain,
      id,
      act: 'put',
      content: { ...definition.store(input), ...rules.derive?.(id, input) },
      ...precondition && { precondition }
    }
  }

  function saved ({ results: [result] }: Outcome): Saved<Static<R>> {
    return { record: present(result!.row), created: result!.created }
  }

  return {
    async get (id) {
      const row = await read(id)
      if (row === undefined || row.deletedAt !== undefined) throw notFound(definition.resource)
      return present(row)
    },
    list: (query) => list(context, plain, query as ListQuery<unknown>) as Promise<Page<Static<R>>>,
    async add (input) {
      const added = change(randomUUID(), input, { ifNoneMatch: true })
      return saved(await once(context, () => retryOnConflict(() => commit(added))))
    },
    async put (id, input, precondition) {
      const replaced = change(id, input, precondition)
      return saved(await once(context, () => retryOnConflict(() => commit(replaced))))
    },
    async patch (id, patch, precondition) {
      return saved(
        await once(context, () =>
          edit(id, precondition, (row) =>
            commit({
              ...change(id, mergePatch(inputOf(definition, present(row)), patch) as Static<I>, precondition),
              basedOn: knownOf(plain, row)
            })))
      )
    },
    async remove (id, precondition, confirm = false) {
      await once(
        context,
        () =>
          edit(id, precondition, (row) =>
            rules.remove?.(row, precondition, confirm) ??
              commit({ ...removal(plain, row, precondition), basedOn: knownOf(plain, row) }))
      )
    },
    change
  }
}

/**
 * 412 with what stands there: a client merges with it, and is told apart what was deleted and what never was.
 */
export function preconditionFailed (definition: Definition, row: Row | undefined): Problem {
  if (row === undefined) return new Problem('PRECONDITION_FAILED', 'There is no such record.')
  if (row.deletedAt !== undefined) {
    return new Problem('PRECONDITION_FAILED', 'The record was deleted.', { deleted: true })
  }
  return new Problem('PRECONDITION_FAILED', `The record is at revision ${row.rev}; "current" holds it.`, {
    current: definition.present(row)
  })
}

/**
 * If-Match of a write that the hub itself makes of what it read: the change is based on that row, so that none comes
 * between.
 * @throws Problem PRECONDITION_FAILED
 */
export function assertMatches (definition: Definition, row: Row, { ifMatch = '*' }: Precondition = {}): void {
  if (ifMatch !== '*' && !ifMatch.includes(row.rev)) throw preconditionFailed(definition, row)
}

/** What of a record a client may send: the PUT body that would make it. */
export function inputOf (definition: Pick<Definition, 'input'>, record: unknown): object {
  const names = Object.keys(definition.input.properties)
  return Object.fromEntries(
    Object.entries(record as object).filter(([name, value]) => names.includes(name) && value !== undefined)
  )
}

/** The same words for what is not there and for what is not yours: the two cannot be told apart. */
export function notFound (resource: string): Problem {
  return new Problem('NOT_FOUND', `There is no such ${resource}.`)
}
