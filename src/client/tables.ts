import type { Content, Target } from './kinds.ts'
import type { ProblemBody } from './wire.ts'

/** A record as the hub told of it. */
export interface Held {
  readonly rev: number
  readonly record: Content
  /** The snapshot that told of it, or after which it was told of. */
  readonly gen: number
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
  /** When the user did it, or began to, where that is several edits in one. */
  readonly at: number
  /** How often another's change was in the way. */
  readonly conflicts: number
  /** The app said that so much may be deleted. */
  readonly confirmed?: true | undefined
}

/** Edits on their way. Until there is an answer exactly these are sent, under this key. */
export interface Sent {
  readonly key: string
  readonly edits: readonly Edit[]
}

/** An edit that the hub refuses for good, with the reason. */
export interface Refused {
  readonly edit: Edit
  readonly problem: { readonly status: number } & Pick<ProblemBody, 'errorType' | 'detail' | 'errors'>
}

/** Where the device stands. */
export interface Meta {
  /** Where the next pull begins; without one it is a snapshot. */
  readonly cursor?: string | undefined
  /** Counts the snapshots that were begun. */
  readonly gen: number
  /** A snapshot is under way: records that it has not told of yet are those of before. */
  readonly snapshot: boolean
  /** The highest number of a change-set told of, by space. */
  readonly told: Readonly<Record<string, number>>
}

/** Everything that is kept. Records, and edits, by space, type and id. */
export interface Tables {
  readonly meta: Meta
  readonly records: Held
  /** Edits that were not sent yet: one for a record. */
  readonly edits: Edit
  /** One for a space. */
  readonly sent: Sent
  readonly refused: Refused
  /** Who leads, where there are no locks. */
  readonly lease: { readonly id: string, readonly until: number }
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

/** The state of a device that never pulled. */
export const metaOf = (reader: Reader): Meta =>
  reader.get('meta', '') ?? { gen: 0, snapshot: false, told: {} }

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
