import type { LRUCache } from 'lru-cache'
import type { Definition } from '../../entities/definition.ts'
import type { SpaceKey } from '../../entities/fields.ts'
import type { Store } from '../store/store.ts'
import type { ChangeSet } from './change-set.ts'
import type { Row } from './change.ts'
import type { Position } from './position.ts'
import type { Entry } from './rows.ts'
import type { Writer } from './writer.ts'

/** What a walk along the log of a space finds. */
export interface Walked {
  readonly changes: ChangeSet[]
  readonly position: Position
  /** True where the log goes on. */
  readonly more: boolean
  /** Bytes of the records as JSON. */
  readonly bytes: number
}

/** How far a walk goes at most, and what it tells of. */
export interface Reach {
  /** Operations, but at least one change-set. */
  readonly limit: number
  /** Bytes of the records as JSON, likewise. */
  readonly maxBytes: number
  /**
   * Whether the caller has to be told of an operation of change `n`: where it has not, no record is read. All
   * are news where it is left out.
   */
  readonly isNews?: (op: Entry['ops'][number], n: number) => boolean
}

export type Place = SpaceKey & { readonly id: string }

/** A walk along the log of a space. */
export interface Walk {
  readonly space: SpaceKey
  /** The name of the space on the wire. */
  readonly name: string
  readonly position: Position
  readonly reach: Reach
  /**
   * For who follows the space: the last change that this process knows of. What was read before will do where it
   * reaches that far. Who asks for the first time leaves it out, and is told all that is committed by now.
   */
  readonly known?: number | undefined
}

/** What a walk needs of a context. */
export interface Walker {
  readonly store: Store
  readonly now: () => number
  readonly writer: Writer
  readonly holes: LRUCache<string, number>
}

/** Reads that many who follow the same space need at the same time, done once. */
export interface SharedReads {
  /** As `readChanges`. */
  changes(context: Walker, walk: Walk): Promise<Walked>
  /** As `readAcross`, of one tenant: together with what others of the tenant ask for in the same turn. */
  rows(store: Store, definition: Definition, places: readonly Place[]): Promise<Row[]>
}
