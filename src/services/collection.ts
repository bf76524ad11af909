import { randomUUID } from 'node:crypto'
import type { Static, TObject } from 'typebox'
import type { AnyEntity, Definition } from '../../entities/definition.ts'
import { Problem } from '../errors.ts'
import type { Context } from './context.ts'
import { once } from './idempotency.ts'
import { mergePatch } from './merge-patch.ts'
import { list, type ListQuery, type Page } from './listing.ts'
import { knownOf, PreconditionFailed, Superseded, type Change, type Outcome, type Precondition, type Row } from './space/change.ts'
import { readRow } from './space/rows.ts'

/** A PATCH or DELETE is redone on the newer record this many times: of so many at once on one record, the last waits for all. */
const MAX_REDO = 50

/** The rules of one kind of record beyond its shape. */
export interface Rules<I extends TObject> {
  /** Refuses an input that has the right shape and can still not be kept. @throws Problem */
  check (input: Static<I>): void
  /** Further stored attributes that follow from the input. */
  derive? (id: string, input: Static<I>): Record<string, unknown>
}

/** What a write did to one record. */
export interface Saved<R> { readonly record: R, readonly created: boolean }

/** The records of one kind in one space. */
export interface Collection<R extends TObject, I extends TObject> {
  /** @throws Problem NOT_FOUND */
  get (id: string): Promise<Static<R>>
  list (query: ListQuery<Static<R>>): Promise<Page<Static<R>>>
  /** Adds a record under a new id. */
  add (input: Static<I>): Promise<Saved<Static<R>>>
  /** Creates or replaces. @throws Problem PRECONDITION_FAILED with the current record, QUOTA_EXCEEDED, CONTENTION */
  put (id: string, input: Static<I>, precondition?: Precondition): Promise<Saved<Static<R>>>
  /** Applies a JSON Merge Patch. @throws as put, and NOT_FOUND */
  patch (id: string, patch: object, precondition?: Precondition): Promise<Saved<Static<R>>>
  /** Turns the record into a tombstone. @throws as put, and NOT_FOUND */
  remove (id: string, precondition?: Precondition): Promise<void>
}

/** Everything that can be done with any registered kind of record, in the space of `context`. */
export function collection<R extends TObject, I extends TObject, E extends AnyEntity> (context: Context, definition: Definition<R, I, E>, rules: Rules<I>): Collection<R, I> {
  const { store, space } = context
  const plain = definition as unknown as Definition
  const read = (id: string) => readRow(store, plain, space, id)
  const present = (row: Row) => plain.present(row) as Static<R>

  async function commit (change: Omit<Change, 'definition'>): Promise<Outcome> {
    try {
      return await context.writer.commit({ store, space, sessionId: context.sessionId, idempotency: context.idempotency, changes: [{ definition: plain, ...change }] })
    } catch (error) {
      throw error instanceof PreconditionFailed ? await preconditionFailed(change.id) : error
    }
  }

  async function preconditionFailed (id: string): Promise<Problem> {
    const row = await read(id)
    const extras = row === undefined ? {} : row.deletedAt === undefined ? { current: present(row) } : { deleted: true }
    const detail = row === undefined ? 'There is no such record.' : row.deletedAt === undefined ? `The record is at revision ${row.rev}; "current" holds it.` : 'The record was deleted.'
    return new Problem('PRECONDITION_FAILED', detail, extras)
  }

  /** Redoes what was made from a read, on the newer record, until it fits. */
  async function edit (id: string, precondition: Precondition | undefined, make: (row: Row) => Pick<Change, 'act' | 'content'>): Promise<Outcome> {
    for (let redo = 0; redo < MAX_REDO; redo++) {
      const row = await read(id)
      if (row === undefined || row.deletedAt !== undefined) throw precondition?.ifMatch === undefined ? notFound(definition.resource) : await preconditionFailed(id)
      try {
        return await commit({ id, ...make(row), basedOn: knownOf(plain, row), ...precondition && { precondition } })
      } catch (error) {
        if (!(error instanceof Superseded)) throw error
      }
    }
    throw new Problem('CONTENTION', 'The record changed at every try; nothing was written.', { retryAfter: 1 })
  }

  function contentOf (id: string, input: Static<I>): Record<string, unknown> {
    rules.check(input)
    return { ...definition.store(input), ...rules.derive?.(id, input) }
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
      const id = randomUUID()
      const content = contentOf(id, input)
      return saved(await once(context, () => commit({ id, act: 'put', content, precondition: { ifNoneMatch: true } })))
    },
    async put (id, input, precondition) {
      const content = contentOf(id, input)
      return saved(await once(context, () => commit({ id, act: 'put', content, ...precondition && { precondition } })))
    },
    async patch (id, patch, precondition) {
      return saved(await once(context, () => edit(id, precondition, (row) => ({ act: 'put', content: contentOf(id, mergePatch(inputOf(definition, present(row)), patch) as Static<I>) }))))
    },
    async remove (id, precondition) {
      await once(context, () => edit(id, precondition, ({ tenantId, spaceKind, spaceId, id: _, rev, createdAt, updatedAt, deletedAt, purgeAt, ...content }) => ({ act: 'delete', content })))
    }
  }
}

/** What of a record a client may send: the PUT body that would make it. */
function inputOf (definition: Pick<Definition, 'input'>, record: unknown): object {
  const names = Object.keys(definition.input.properties)
  return Object.fromEntries(Object.entries(record as object).filter(([name, value]) => names.includes(name) && value !== undefined))
}

/** The same words for what is not there and for what is not yours: the two cannot be told apart. */
export function notFound (resource: string): Problem {
  return new Problem('NOT_FOUND', `There is no such ${resource}.`)
}
