import { setTimeout as pause } from 'node:timers/promises'
import type { EntityItem } from 'electrodb'
import type { AnyEntity, Definition } from '../../entities/definition.ts'
import { spaceName, type SpaceKey } from '../../entities/fields.ts'
import { registry, type Resource } from '../../entities/index.ts'
import { DirectoryEntry, Head, LogEntry, type LogOp } from '../../entities/space.ts'
import { Problem } from '../errors.ts'
import type { Store } from '../store/store.ts'
import type { Row, SpaceHead } from './change.ts'

export type Entry = EntityItem<typeof LogEntry>

/**
 * Strong reads of a space's rows, and the puts that a transaction is made of. The only place that knows both
 * entities and store.
 */

/**
 * HEAD of a space, or undefined where nothing was ever written. 1 RCU, or half of one for a glance that may
 * be out of date.
 */
export async function readHead (
  store: Store,
  space: SpaceKey,
  consistent = true
): Promise<SpaceHead | undefined> {
  const { data } = await Head.get(space).go({ ...store, consistent })
  return data ?? undefined
}

/** The HEADs of spaces that exist, eventually consistent: half an RCU each. What the store puts off is left out. */
export async function readHeads (
  store: Store,
  spaces: readonly SpaceKey[]
): Promise<(SpaceKey & SpaceHead)[]> {
  const { data } = await Head.get([...spaces]).go({ ...store, consistent: false })
  return data
}

/**
 * Change-sets from number `from` to `to`, in order and as far as one page of the store goes (1 MB). About 1
 * RCU for each 20 lone edits.
 */
export async function readLog (
  store: Store,
  space: SpaceKey,
  from: number,
  to: number,
  limit: number
): Promise<Entry[]> {
  const { data } = await LogEntry.query.byNumber(space).between({ n: from }, { n: to }).go({
    ...store,
    consistent: true,
    pages: 1,
    limit
  })
  return data
}

/** As readLog, the newest first. */
export async function readLogBackwards (
  store: Store,
  space: SpaceKey,
  from: number,
  to: number,
  limit: number
): Promise<Entry[]> {
  // A space that was founded and not yet written to; the store refuses a range that ends before it begins.
  if (from > to) return []
  const { data } = await LogEntry.query.byNumber(space).between({ n: from }, { n: to }).go({
    ...store,
    consistent: true,
    pages: 1,
    limit,
    order: 'desc'
  })
  return data
}

/** One record or its tombstone. 1 RCU per 4 KB. */
export async function readRow (
  store: Store,
  definition: Definition,
  space: SpaceKey,
  id: string
): Promise<Row | undefined> {
  const { data } = await definition.entity.get({ ...space, id }).go({ ...store, consistent: true })
  return data === null ? undefined : assertOwn(space, data as Row)
}

/**
 * Holds a row against the space it was asked of. Keys and policy make a foreign row impossible; this is the
 * wall behind them, for the day that one of them has a bug.
 * @throws Error (a constant 500) where the row belongs to another tenant or space
 */
export function assertOwn (space: SpaceKey | undefined, row: Row): Row {
  if (space === undefined || spaceName(row) !== spaceName(space)) {
    throw new Error('the store answered with a row of another space')
  }
  return row
}

/**
 * Many records or tombstones of one kind, in no order; what does not exist is left out. ElectroDB resolves
 * with unprocessed keys instead of throwing: they are asked for again, with a pause that grows.
 * @throws Problem STORE_UNAVAILABLE where the store keeps putting keys off
 */
export async function readRows (
  store: Store,
  definition: Definition,
  space: SpaceKey,
  ids: readonly string[]
): Promise<Row[]> {
  if (ids.length === 1) {
    return [await readRow(store, definition, space, ids[0]!)].filter((row) => row !== undefined)
  }
  return readAcross(store, definition, ids.map((id) => ({ ...space, id })))
}

/** As readRows, from several spaces. */
export async function readAcross (
  store: Store,
  definition: Definition,
  places: readonly (SpaceKey & { readonly id: string })[]
): Promise<Row[]> {
  const rows: Row[] = []
  const asked = new Map(places.map((place) => [`${spaceName(place)} ${place.id}`, place]))
  let keys: readonly SpaceKey[] = places
  for (let wait = 10; keys.length > 0; wait *= 2) {
    if (wait > 1000) {
      throw new Problem('STORE_UNAVAILABLE', 'The store did not process a batch of reads.', { retryAfter: 1 })
    }
    const batch = definition.entity.get(keys) as unknown as {
      go(options: object): Promise<{ data: Row[], unprocessed: SpaceKey[] }>
    }
    const { data, unprocessed } = await batch.go({ ...store, consistent: true })
    rows.push(...data.map((row) => assertOwn(asked.get(`${spaceName(row)} ${row.id}`), row)))
    keys = unprocessed
    if (keys.length > 0) await pause(wait)
  }
  return rows
}

/** Records and tombstones of any kinds, each read once, by `nameOf`; what does not exist is left out. */
export async function readNamed (
  store: Store,
  space: SpaceKey,
  names: readonly Name[]
): Promise<Map<string, Row>> {
  const types = [...new Set(names.map(({ type }) => type))]
  const rows = await Promise.all(types.map(async (type) => {
    const ids = new Set(names.filter((name) => name.type === type).map(({ id }) => id))
    return (await readRows(store, definitionOf(type), space, [...ids])).map((row) =>
      [nameOf({ type, id: row.id }), row] as const
    )
  }))
  return new Map(rows.flat())
}

/** The kind and id of a record: what names it within its space. */
export interface Name {
  readonly type: string
  readonly id: string
}

export const nameOf = ({ type, id }: Name) => `${type} ${id}`

export const definitionOf = (type: string): Definition => registry[type as Resource]

/** HEAD from one state to the next; refused where another writer was first. */
export function putHead (space: SpaceKey, before: SpaceHead | undefined, after: SpaceHead): object {
  if (before === undefined) return Head.create({ ...space, ...after }).params({ table: '-' })
  return Head.put({ ...space, ...after }).where(({ n, epoch }, { eq }) =>
    `${eq(n, before.n)} AND ${eq(epoch, before.epoch)}`
  ).params({ table: '-' })
}

/** The directory row of a space, in the transaction of its first change, and of the last one of a group. */
export function putDirectory (space: SpaceKey, createdAt: string, expiresAt?: number): object {
  return DirectoryEntry.put({ ...space, createdAt, expiresAt }).params({ table: '-' })
}

/** The log entry of one change-set. */
export function putLog (
  space: SpaceKey,
  entry: {
    n: number,
    at: string,
    sessionId: string | undefined,
    batch: Entry['batch'],
    ops: LogOp[],
    expiresAt: number
  }
): object {
  return LogEntry.create({ ...space, ...entry }).params({ table: '-' })
}

/** The record itself, on condition that it is still absent or still at the revision that was known. */
export function putRow (entity: AnyEntity, row: Row, knownRev: number | undefined): object {
  if (knownRev === undefined) return entity.create(row).params({ table: '-' })
  return entity.put(row).where(({ rev }, { eq }) => eq(rev, knownRev)).params({ table: '-' })
}

/** That a record is still at the revision that was known, or that there is none; it is not written. */
export function checkRow (entity: AnyEntity, space: SpaceKey, id: string, rev: number | undefined): object {
  // ElectroDB makes condition checks for its own transactions only; the parameters of a delete are those of a
  // check.
  return entity.delete({ ...space, id }).where((row, { eq, exists, notExists }) =>
    rev === undefined ? `${notExists(row.rev)} OR ${exists(row.deletedAt)}` : eq(row.rev, rev)
  ).params({ table: '-' })
}

/** A row as the store gives it in the refusal of a transaction. */
export function parseRow (entity: AnyEntity, space: SpaceKey, item: Record<string, unknown>): Row {
  return assertOwn(space, entity.parse({ Item: item }).data as Row)
}

/** HEAD as the store gives it in the refusal of a transaction. */
export function parseHead (item: Record<string, unknown>): SpaceHead | undefined {
  return Head.parse({ Item: item }).data ?? undefined
}
