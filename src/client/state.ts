import { same } from './merge.ts'
import { storeFailure } from './problem.ts'
import { serial } from './serial.ts'
import type { Written } from './store.ts'
import type { Draft, Edit, Reader, Sent, Table, Tables } from './tables.ts'
import type { Medium } from './tabs.ts'

export interface State extends Reader {
  /**
   * Changes the state; one such change at a time. Memory never holds what the store does not: it follows the
   * store. Where another tab was faster, `work` is done again on what is there then.
   * @throws what `work` throws, StorageFull, or what the store throws; then nothing has changed
   */
  change<T>(work: (draft: Draft) => T): Promise<T>
  /** Takes in what other tabs have written. @throws what the store throws */
  refresh(): Promise<void>
}

/** The state before a change, the state after, and which rows it touched. */
export type Changed = (before: Reader, after: Reader, touched: ReadonlyMap<Table, readonly string[]>) => void

export interface StateOptions {
  readonly changed: Changed
  /** Told whether the last write found room. */
  readonly full: (error: unknown) => void
}

type Rows<T extends Table> = Map<string, Tables[T] | undefined>
type Maps = { readonly [T in Table]: Rows<T> }
const emptyMaps = (): Maps => ({
  meta: new Map(),
  records: new Map(),
  edits: new Map(),
  sent: new Map(),
  refused: new Map(),
  lease: new Map()
})

/** Reads a store. */
export async function openState (medium: Medium, { changed, full }: StateOptions): Promise<State> {
  const maps = emptyMaps()
  const reader = readerOf(maps)
  const inTurn = serial()
  let version: number | undefined
  let order = 0

  async function refresh (): Promise<void> {
    const first = version === undefined
    const written = await medium.since(version)
    version = written.version
    const patch = patchOf(written, maps)
    if (!first) take(patch)
    else apply(patch)
  }

  function take (patch: Maps): void {
    const tables = touchedTables(patch)
    if (tables.length === 0) return
    changed(
      reader,
      overlaid(reader, patch),
      new Map(tables.map((table) => [table, [...patch[table].keys()]]))
    )
    apply(patch)
  }

  function apply (patch: Maps): void {
    for (const table of touchedTables(patch)) {
      for (const [key, row] of patch[table]) {
        if (row === undefined) maps[table].delete(key)
        else (maps[table] as Map<string, unknown>).set(key, row)
        if (table === 'edits') order = Math.max(order, (row as Edit | undefined)?.order ?? 0)
        for (const edit of (table === 'sent' ? row as Sent | undefined : undefined)?.edits ?? []) {
          order = Math.max(order, edit.order)
        }
      }
    }
  }

  async function write (patch: Maps): Promise<boolean> {
    const rows = touchedTables(patch).flatMap((table) =>
      [...patch[table]].map(([key, row]): [string, unknown] => [`${table} ${key}`, row])
    )
    try {
      if (!await medium.writeAfter(version!, new Map(rows))) return false
    } catch (error) {
      const failure = storeFailure(error)
      full(failure)
      throw failure
    }
    full(undefined)
    version!++
    return true
  }

  await refresh()
  return {
    ...reader,
    refresh: () => inTurn(refresh),
    change: (work) =>
      inTurn(async () => {
        for (;;) {
          const patch = emptyMaps()
          const result = work({ ...draftOf(reader, patch), nextOrder: () => ++order })
          if (touchedTables(patch).length === 0) return result
          if (await write(patch)) {
            take(patch)
            medium.tell({ written: version })
            return result
          }
          await refresh()
        }
      })
  }
}

const touchedTables = (patch: Maps) =>
  (Object.keys(patch) as Table[]).filter((table) => patch[table].size > 0)

/** What was written, as far as it is new to memory. */
function patchOf ({ rows, isAll }: Written, maps: Maps): Maps {
  const patch = emptyMaps()
  for (const [name, row] of rows) {
    const [table, key] = split(name)
    if (!Object.hasOwn(maps, table) || isForeign(table, row)) continue
    if (same(row, maps[table].get(key))) continue
    ;(patch[table] as Map<string, unknown>).set(key, freeze(row))
  }
  if (!isAll) return patch
  for (const table of Object.keys(maps) as Table[]) {
    for (const key of maps[table].keys()) if (!rows.has(`${table} ${key}`)) patch[table].set(key, undefined)
  }
  return patch
}

/** What an earlier version of the client noted of its place in the log, about tables that are no more. */
const isForeign = (table: Table, row: unknown) =>
  table === 'meta' && row !== undefined && typeof (row as { gen?: unknown }).gen !== 'number'

function readerOf (maps: Maps): Reader {
  return {
    get: <T extends Table>(table: T, key: string) => (maps[table] as Rows<T>).get(key),
    entries: <T extends Table>(table: T) => [...maps[table] as Map<string, Tables[T]>]
  }
}

/** A state with changes on top. */
function overlaid (reader: Reader, patch: Maps): Reader {
  return {
    get: <T extends Table>(table: T, key: string) =>
      patch[table].has(key) ? (patch[table] as Rows<T>).get(key) : reader.get(table, key),
    entries: <T extends Table>(table: T) => {
      if (patch[table].size === 0) return reader.entries(table)
      const rows = [...new Map([...reader.entries(table), ...patch[table] as Map<string, Tables[T]>])]
      return rows.filter(([, row]) => row !== undefined)
    }
  }
}

function draftOf (reader: Reader, patch: Maps): Omit<Draft, 'nextOrder'> {
  const draft = overlaid(reader, patch)
  return {
    ...draft,
    set: <T extends Table>(table: T, key: string, row: Tables[T] | undefined) => {
      ;(patch[table] as Rows<T>).set(key, freeze(row))
    }
  }
}

function split (name: string): [table: Table, key: string] {
  const at = name.indexOf(' ')
  return [name.slice(0, at) as Table, name.slice(at + 1)]
}

/** What is kept is handed out without a copy, so nobody may change it. */
function freeze<T> (value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const part of Object.values(value)) freeze(part)
  return Object.freeze(value)
}
