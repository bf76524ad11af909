import { serial } from './serial.ts'
import type { Store } from './store.ts'
import type { ChangeSet, Content, ProblemBody, Target } from './wire.ts'

/** A record as the hub told of it. */
export interface Held {
  readonly rev: number
  readonly record: Content
}

/** Something that the user did and the hub has not confirmed yet. */
export interface Edit extends Target {
  /** What is to be there; undefined: nothing. */
  readonly content?: Content | undefined
  /**
   * What the user saw: the merge starts from it, and the hub is told its revision (0: there was no record).
   */
  readonly base: { readonly rev: number, readonly content?: Content | undefined }
  /** Edits go out in this order. */
  readonly order: number
  /** How often another's change was in the way. */
  readonly conflicts: number
}

/** Edits on their way. Until there is an answer exactly this is sent, under this key. */
export interface Sent {
  readonly key: string
  readonly body: string
  readonly edits: readonly Edit[]
}

/** An edit that the hub refuses for good, with the reason. */
export interface Refused {
  readonly edit: Edit
  readonly problem: { readonly status: number } & Pick<ProblemBody, 'errorType' | 'detail' | 'errors'>
}

/** Where the device stands. */
export interface Meta {
  /** Which of the two tables of records is shown. */
  readonly shown: 'records0' | 'records1'
  /** Where the next pull begins; without one it is a snapshot. */
  readonly cursor?: string | undefined
  /** A snapshot is under way, into the other table. */
  readonly snapshot: boolean
  /** The highest number of a change-set told of, by space. */
  readonly told: Readonly<Record<string, number>>
}

/** Everything that is kept. Records, and edits, by space, type and id. */
export interface Tables {
  readonly meta: Meta
  readonly records0: Held
  readonly records1: Held
  /** Edits that were not sent yet: one for a record. */
  readonly edits: Edit
  /** One for a space. */
  readonly sent: Sent
  readonly refused: Refused
  /** Change-sets that wait for the rest of their batch, by the number of the page. */
  readonly waiting: readonly ChangeSet[]
}
export type Table = keyof Tables

export interface Reader {
  get<T extends Table>(table: T, key: string): Tables[T] | undefined
  entries<T extends Table>(table: T): [key: string, row: Tables[T]][]
}

/** Changes that become true together, or not at all. It reads what it wrote. */
export interface Draft extends Reader {
  /** Undefined removes the row. */
  set<T extends Table>(table: T, key: string, row: Tables[T] | undefined): void
  /** A number higher than those of all edits. */
  nextOrder(): number
}

export interface State extends Reader {
  /**
   * Changes the state; one such change at a time. Memory never holds what the store does not: it follows the
   * store.
   * @throws what `work` throws, or the store; then nothing has changed
   */
  change<T>(work: (draft: Draft) => T): Promise<T>
}

type Rows<T extends Table> = Map<string, Tables[T] | undefined>
type Maps = { readonly [T in Table]: Rows<T> }
const emptyMaps = (): Maps => ({
  meta: new Map(),
  records0: new Map(),
  records1: new Map(),
  edits: new Map(),
  sent: new Map(),
  refused: new Map(),
  waiting: new Map()
})

/**
 * Reads a store.
 * @param changed is told of each change: the state before it, the state after, and which rows it touched
 */
export async function openState (
  store: Store,
  changed: (before: Reader, after: Reader, touched: ReadonlyMap<Table, readonly string[]>) => void
): Promise<State> {
  const maps = emptyMaps()
  for (const [name, row] of await store.read()) {
    const [table, key] = split(name)
    if (Object.hasOwn(maps, table)) (maps[table as Table] as Map<string, unknown>).set(key, freeze(row))
  }
  const inTurn = serial()
  const reader = readerOf(maps)
  const edits = [...reader.entries('edits').map(([, edit]) => edit),
    ...reader.entries('sent').flatMap(([, { edits }]) => edits)]
  let order = edits.reduce((last, { order }) => Math.max(last, order), 0)

  return {
    ...reader,
    change: (work) =>
      inTurn(async () => {
        const patch = emptyMaps()
        const draft = { ...draftOf(reader, patch), nextOrder: () => ++order }
        const result = work(draft)
        const tables = (Object.keys(patch) as Table[]).filter((table) => patch[table].size > 0)
        if (tables.length === 0) return result
        await store.write(
          new Map(
            tables.flatMap((table) =>
              [...patch[table]].map(([key, row]): [string, unknown] => [`${table} ${key}`, row])
            )
          )
        )
        changed(reader, draft, new Map(tables.map((table) => [table, [...patch[table].keys()]])))
        for (const table of tables) {
          for (const [key, row] of patch[table]) {
            if (row === undefined) maps[table].delete(key)
            else (maps[table] as Map<string, unknown>).set(key, row)
          }
        }
        return result
      })
  }
}

function readerOf (maps: Maps): Reader {
  return {
    get: <T extends Table>(table: T, key: string) => (maps[table] as Rows<T>).get(key),
    entries: <T extends Table>(table: T) => [...maps[table] as Map<string, Tables[T]>]
  }
}

function draftOf (reader: Reader, patch: Maps): Omit<Draft, 'nextOrder'> {
  return {
    get: <T extends Table>(table: T, key: string) =>
      patch[table].has(key) ? (patch[table] as Rows<T>).get(key) : reader.get(table, key),
    entries: <T extends Table>(table: T) =>
      [...new Map([...reader.entries(table), ...patch[table] as Map<string, Tables[T]>])].filter(([, row]) =>
        row !== undefined
      ),
    set: <T extends Table>(table: T, key: string, row: Tables[T] | undefined) => {
      ;(patch[table] as Rows<T>).set(key, freeze(row))
    }
  }
}

function split (name: string): [table: string, key: string] {
  const at = name.indexOf(' ')
  return [name.slice(0, at), name.slice(at + 1)]
}

/** What is kept is handed out without a copy, so nobody may change it. */
function freeze<T> (value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const part of Object.values(value)) freeze(part)
  return Object.freeze(value)
}

/** The state of a device that never pulled. */
export const metaOf = (reader: Reader): Meta =>
  reader.get('meta', '') ?? { shown: 'records0', snapshot: false, told: {} }

/** Whether what is shown is all that the hub had at some time. */
export function hasSnapshot (reader: Reader): boolean {
  const { cursor, snapshot } = metaOf(reader)
  return cursor !== undefined && !snapshot
}

export const keyOf = ({ space, type, id }: Target) => `${space} ${type} ${id}`
export function targetOf (key: string): Target {
  const [space, type, id] = key.split(' ')
  return { space, type, id } as Target
}
