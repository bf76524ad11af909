import type { Definition, Stamps } from '../../entities/definition.ts'
import type { SpaceKey } from '../../entities/fields.ts'
import type { Store } from '../store/store.ts'

/** A stored record of any kind: what the hub stamps on it, and its content. */
export type Row = Stamps & Record<string, unknown>

/**
 * What the write path needs to know of a record before it writes: never more, so that it can be remembered
 * cheaply.
 */
export interface Known {
  readonly rev: number
  readonly createdAt: string
  readonly deleted: boolean
  /** What it counts towards the space's bytes: 0 for a tombstone. */
  readonly bytes: number
}

/** One record to be written, or to be looked at. */
export interface Change {
  readonly definition: Definition
  readonly id: string
  /**
   * `check`: nothing is done to it, but it has to be as `basedOn` says, or not to be there. Checks stand
   * behind all others.
   */
  readonly act: 'put' | 'delete' | 'check'
  /** Every attribute that the hub does not set itself. */
  readonly content: Readonly<Record<string, unknown>>
  /** The state that `content` was made from and holds only for (PATCH, DELETE). */
  readonly basedOn?: Known
  /** Where it is not the time of this write: what is restored is as old as it was. */
  readonly createdAt?: string
  readonly precondition?: Precondition
}

/** If-Match and If-None-Match of a write. */
export interface Precondition {
  /** The revisions that are accepted, or any that exists. */
  readonly ifMatch?: readonly number[] | '*'
  /** The record must not exist. */
  readonly ifNoneMatch?: true
}

/** One change-set: all its changes or none. */
export interface Write {
  readonly store: Store
  readonly space: SpaceKey
  readonly changes: readonly Change[]
  readonly sessionId: string | undefined
  readonly idempotency?: { readonly key: string, readonly requestHash: string } | undefined
  /** Refuse it where it would delete most of a space. */
  readonly guarded?: boolean
  /** The part of a staged batch that it is. */
  readonly batch?: { readonly id: string, readonly part: number, readonly parts: number }
  /** Under the Idempotency-Key keep no contents, or those of one id: those of a whole push may not fit one row. */
  readonly brief?: boolean | { readonly but: string }
  /**
   * `begins`: nobody else puts anything into the space from then on. `ends`: the last write of it, after
   * which HEAD itself expires. What comes between them says `goes on`.
   */
  readonly closing?: 'begins' | 'goes on' | 'ends'
}

/**
 * What a transaction of the store holds beside HEAD and the log entry; the outcome under an Idempotency-Key
 * is one more.
 */
export const MAX_CHANGES = 98

/** A space with more records than this is not halved by one write that does not say that it means to. */
export const GUARDED_RECORDS = 50

/** What a committed write did. It survives JSON, because an idempotency row keeps it. */
export interface Outcome {
  /** The number of the change-set. */
  readonly n: number
  readonly at: string
  readonly results: readonly Result[]
}

/** What became of one change. After a replay of a `brief` write the row has id, rev and deletedAt alone. */
export interface Result {
  readonly resource: string
  readonly row: Row
  readonly created: boolean
}

/** The state of a space, as HEAD has it. */
export interface SpaceHead {
  readonly n: number
  readonly at: string
  readonly epoch: number
  readonly floor: number
  readonly bytes: number
  readonly count: number
  readonly closedAt?: string | undefined
  /** Epoch seconds. */
  readonly expiresAt?: number | undefined
  readonly lock?: Lock | undefined
}

/** Whose commit of a staged batch has the space, and how far it is. */
export interface Lock {
  readonly batch: string
  readonly owner: string
  readonly part: number
  readonly beat: number
}

/** A precondition does not hold; the caller adds the current record and answers 412. */
export class PreconditionFailed extends Error {
  override readonly name = 'PreconditionFailed'
  /** Those of the changes whose precondition it was. */
  readonly failed: readonly Change[]

  constructor (failed: readonly Change[]) {
    super()
    this.failed = failed
  }
}

/** The record moved on between the read that the content was made from and the write: read again and redo. */
export class Superseded extends Error {
  override readonly name = 'Superseded'
}

/**
 * How much a record counts towards the space's bytes: its wire form as UTF-8 JSON, and nothing where it is
 * the hub's own.
 */
export function bytesOf (definition: Definition, row: Row): number {
  return row.deletedAt === undefined && definition.pushable
    ? Buffer.byteLength(JSON.stringify(definition.present(row)))
    : 0
}

/** What the write path remembers of a row. */
export function knownOf (definition: Definition, row: Row): Known {
  return {
    rev: row.rev,
    createdAt: row.createdAt,
    deleted: row.deletedAt !== undefined,
    bytes: bytesOf(definition, row)
  }
}

/** The change that turns a record into a tombstone, which keeps what was there. */
export function removal (definition: Definition, row: Row, precondition?: Precondition): Change {
  return {
    definition,
    id: row.id,
    act: 'delete',
    content: contentOf(row),
    ...precondition && { precondition }
  }
}

/** What of a row the hub does not set by itself. */
export function contentOf (
  { tenantId, spaceKind, spaceId, id, rev, createdAt, updatedAt, deletedAt, purgeAt, ...content }: Row
): Record<string, unknown> {
  return content
}
