import type { Definition } from '../../entities/definition.ts'
import type { Resource } from '../../entities/index.ts'
import type { LogOp } from '../../entities/space.ts'
import { Problem } from '../errors.ts'
import { assertMatches, notFound } from './collection.ts'
import { commit } from '../engine/commit.ts'
import type { Context } from './context.ts'
import { once } from '../engine/idempotency.ts'
import { commitAll, writeAll } from '../engine/large-write.ts'
import { readBatchLog } from '../engine/batch-log.ts'
import { MAX_PAGE_BYTES } from '../engine/list.ts'
import {
  contentOf,
  knownOf,
  MAX_CHANGES,
  removal,
  type Change,
  type Outcome,
  type Precondition,
  type Row
} from '../engine/change.ts'
import {
  definitionOf,
  nameOf,
  readHead,
  readLog,
  readLogBackwards,
  readNamed,
  readRow,
  type Entry
} from '../engine/rows.ts'
import { retryOnConflict } from '../engine/retry.ts'
import { stagedOf, type StagedChange } from '../engine/staged-change.ts'

/** Log entries that one page looks at, at most: about 50 RCU; and at a time. */
const [MAX_LOOKED_AT, ENTRIES] = [1000, 100]

/** A deleted record that can be restored. */
export interface Trashed {
  readonly type: Resource
  readonly id: string
  /** The change-set that deleted it. */
  readonly n: number
  readonly deletedAt: string
  /** Until when it can be restored. */
  readonly expiresAt: string
  readonly record: unknown
}

/** What a revert did to one record: 200 restored, 204 deleted, 409 left as it is. */
export interface Reverted {
  readonly type: Resource
  readonly id: string
  readonly status: 200 | 204 | 409
  readonly rev?: number
}

/** Deleted records of a space: tombstones keep their content for as long as the log is kept. */
export function trash (context: Context) {
  const { store, space, sealer, userId, idempotency, now } = context
  const isKept = (row: Row | undefined): row is Row & { deletedAt: string, purgeAt: number } =>
    row?.deletedAt !== undefined && row.purgeAt! * 1000 > now()

  /**
   * Reads the records that the first of the entries deleted, about as many as a batch read takes: their
   * contents may be large. @returns how many entries that were
   */
  async function look (rows: Map<string, Row>, entries: readonly Entry[]): Promise<number> {
    rows.clear()
    const names: LogOp[] = []
    let covered = 0
    for (const { ops } of entries) {
      const deletes = ops.filter(({ act }) => act === 'delete')
      if (names.length > 0 && names.length + deletes.length > MAX_CHANGES) break
      names.push(...deletes)
      covered++
    }
    for (const [name, row] of await readNamed(store, space, names)) rows.set(name, row)
    return covered
  }

  /** Undoes all parts of a staged batch that were written, as a batch of its own. */
  async function revertBatch (
    batch: Parameters<typeof readBatchLog>[2]
  ): Promise<{ n: number, results: Reverted[] }> {
    return retryOnConflict(async () => {
      const results: Reverted[] = []
      const changes: StagedChange[] = []
      for await (const { n, ops } of readBatchLog(store, space, batch)) {
        const rows = await readNamed(store, space, ops)
        for (const op of ops) {
          const undone = undo(rows.get(nameOf(op)), op, n)
          const isUndone = typeof undone === 'object'
          results.push({
            type: op.type as Resource,
            id: op.id,
            status: !isUndone ? 409 : undone.act === 'put' ? 200 : 204
          })
          if (isUndone) changes.push(stagedOf(undone))
        }
      }
      if (changes.length === 0) {
        throw new Problem(
          'NOT_REVERTIBLE',
          'Nothing of the batch can be undone: it was changed since, or it only edited, and earlier versions are not kept.'
        )
      }
      return { n: (await writeAll(context, changes, false)).n, results }
    })
  }

  return {
    /**
     * The last deleted first. Read off the log, so that trash costs nothing until someone looks.
     * @throws Problem INVALID_CURSOR
     */
    async list (
      { type, limit, cursor }: { type?: Resource | undefined, limit: number, cursor?: string | undefined }
    ): Promise<{ items: Trashed[], cursor?: string }> {
      const binding = JSON.stringify(['trash', space, userId, type ?? null])
      // The entry to go on with, and how many of its operations were told of.
      let { n, skip } = cursor === undefined
        ? { n: (await readHead(store, space))?.n ?? 0, skip: 0 }
        : sealer.open(binding, cursor) as { n: number, skip: number }
      const items: Trashed[] = []
      let bytes = 0
      for (let lookedAt = 0; n > 0 && lookedAt < MAX_LOOKED_AT; lookedAt += ENTRIES) {
        const entries = await readLogBackwards(store, space, 1, n, ENTRIES)
        const rows = new Map<string, Row>()
        let covered = 0
        for (const [place, entry] of entries.entries()) {
          if (place === covered) covered += await look(rows, entries.slice(place))
          if (entry.n !== n) skip = 0
          n = entry.n
          for (const [index, op] of entry.ops.entries()) {
            if (index < skip) continue
            if (items.length === limit || bytes > MAX_PAGE_BYTES) {
              return { items, cursor: sealer.seal(binding, { n, skip: index }) }
            }
            const row = rows.get(nameOf(op))
            // A record that was deleted twice is listed where it was deleted last.
            if (
              op.act !== 'delete' || !isKept(row) || row.rev !== n ||
              (type !== undefined && op.type !== type) || !definitionOf(op.type).pushable
            ) continue
            const record = definitionOf(op.type).present(row)
            bytes += Buffer.byteLength(JSON.stringify(record))
            items.push({
              type: op.type as Resource,
              id: op.id,
              n,
              deletedAt: row.deletedAt,
              expiresAt: new Date(row.purgeAt * 1000).toISOString(),
              record
            })
          }
          skip = 0
          n--
        }
        if (entries.length < ENTRIES) return { items }
      }
      return n > 0 ? { items, cursor: sealer.seal(binding, { n, skip: 0 }) } : { items }
    },

    /**
     * Brings a record back as it was when it was deleted.
     * @returns the record @throws Problem NOT_FOUND where it is not in the trash; QUOTA_EXCEEDED, CONTENTION
     */
    async restore (type: Resource, id: string, precondition?: Precondition): Promise<{ rev: number }> {
      const definition = definitionOf(type)
      const { results: [restored] } = await once(context, () =>
        retryOnConflict(async () => {
          const row = await readRow(store, definition, space, id)
          if (!isKept(row)) throw notFound(`deleted ${type}`)
          assertMatches(definition, row, precondition)
          return commit(context, { changes: [restoration(definition, row)] })
        }))
      return definition.present(restored!.row) as { rev: number }
    },

    /**
     * Undoes a change-set, or all of the staged batch that it is a part of: what it deleted comes back, what
     * it created goes to the trash, in one change-set (or batch) of its own.
     * What was edited, or changed since, is left as it is: earlier versions are not kept.
     * @throws Problem NOT_FOUND, NOT_REVERTIBLE where there is nothing that could be undone
     */
    async revert (n: number): Promise<{ n: number, results: Reverted[] }> {
      const [entry] = await readLog(store, space, n, n, 1)
      if (entry === undefined || entry.expiresAt * 1000 <= now()) throw notFound('change-set')
      if (idempotency !== undefined && (entry.ops.length >= MAX_CHANGES || entry.batch !== undefined)) {
        throw new Problem(
          'VALIDATION_FAILED',
          `Change-set ${n} is too large to be undone with an Idempotency-Key. Send none: a change-set can't be undone twice.`,
          { errors: [{ pointer: 'headers/idempotency-key', detail: 'leaves no room in the transaction' }] }
        )
      }
      if (entry.batch !== undefined && entry.batch.parts > 1) {
        return revertBatch({ ...entry.batch, first: n - entry.batch.part + 1 })
      }
      const outcome = await once(context, () =>
        retryOnConflict(async (): Promise<Outcome> => {
          const rows = await readNamed(store, space, entry.ops)
          const undone = entry.ops.map((op) => undo(rows.get(nameOf(op)), op, n))
          const changes = undone.filter((change) => typeof change === 'object')
          if (changes.length > 0) return commitAll(context, { changes })
          throw new Problem(
            'NOT_REVERTIBLE',
            'Nothing of the change-set can be undone; "results" says why.',
            {
              results: entry.ops.map(({ type, id }, index) => ({
                type,
                id,
                status: 409,
                detail: undone[index]
              }))
            }
          )
        }))
      const done = new Map(
        outcome.results.map(({ resource, row }) => [nameOf({ type: resource, id: row.id }), row])
      )
      return {
        n: outcome.n,
        results: entry.ops.map(({ type, id }): Reverted => {
          const row = done.get(nameOf({ type, id }))
          return {
            type: type as Resource,
            id,
            ...row === undefined
              ? { status: 409 }
              : { status: row.deletedAt === undefined ? 200 : 204, rev: row.rev }
          }
        })
      }
    }
  }
}

/** The change that undoes one operation, or why there is none. */
function undo (row: Row | undefined, { type, act }: LogOp, n: number): Change | string {
  const definition = definitionOf(type)
  if (!definition.pushable) return 'is kept by the hub itself'
  if (row?.rev !== n) return 'was changed since'
  if (act === 'put') return 'was edited: the version before is not kept'
  return act === 'delete'
    ? restoration(definition, row)
    : { ...removal(definition, row), basedOn: knownOf(definition, row) }
}

function restoration (definition: Definition, row: Row): Change {
  return {
    definition,
    id: row.id,
    act: 'put',
    content: contentOf(row),
    createdAt: row.createdAt,
    basedOn: knownOf(definition, row)
  }
}
