import type { SpaceKey } from '../../entities/fields.ts'
import type { LogOp } from '../../entities/space.ts'
import type { ChangeSet } from './change-set.ts'
import type { Position } from './position.ts'

/** A walk along the log of a space. */
export interface LogWalk {
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
  readonly isNews?: (op: LogOp, n: number) => boolean
}

/** What a walk along the log of a space finds. */
export interface Walked {
  readonly changes: ChangeSet[]
  readonly position: Position
  /** True where the log goes on. */
  readonly more: boolean
  /** Bytes of the records as JSON. */
  readonly bytes: number
}
