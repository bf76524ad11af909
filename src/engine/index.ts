/**
 * THE ENGINE: spaces and their log, for any kind of record. This page is all that it promises; the files
 * beside it satisfy these interfaces. It knows no feature and no HTTP.
 *
 * A SPACE is what is kept in step: the records of one user, or of one group. Its state is HEAD: `n`, the
 * number of its last change-set. A write COMMITS one change-set in one transaction: HEAD goes from n to n+1,
 * the LOG gets entry n+1, and each record gets rev n+1 (a deleted one stays for a while, as a tombstone). A
 * device has a POSITION in each space, on the wire a sealed CURSOR: it begins with a SNAPSHOT, then reads the
 * log, then WATCHES.
 *
 * MAINTAINED INVARIANTS: what holds, and what breaks if it is violated.
 *
 *  1. HEAD, entry and records are one transaction, on condition that HEAD is still at n and that each record
 *     still has the revision that the write was made from. Otherwise: two change-sets with one number, a hole
 *     in the log at which every reader waits, a lost update.
 *  2. Memory decides nothing. What a process remembers spares reads; the conditions of the transaction
 *     decide. Otherwise: two processes that know different things overwrite each other.
 *  3. The order comes from n, never from a clock. Otherwise: a clock that is minutes off hides changes.
 *  4. A position is the last change-set that was delivered whole. It is never HEAD's n, a time or the highest
 *     rev. Otherwise: what is committed and cannot be seen yet is passed over, for ever.
 *  5. A walk along the log stops before the first change-set that cannot be seen whole: its number is
 *     missing, it belongs to a staged batch that is not written to its end, or a record is older than its
 *     entry. (The store shows a transaction row by row.) Otherwise: a device is told of a change and given
 *     the state before it.
 *  6. A record is told as it is now, with its rev; a device ignores a rev that is not above its own. So
 *     telling twice is harmless. Otherwise: whatever is told again, by a snapshot or after a lost answer,
 *     undoes news.
 *  7. A snapshot chooses where the log will go on BEFORE its first page, at a change that surely was visible
 *     then. Otherwise: what is written behind the page that is being read is in no page, and in no later
 *     change-set.
 *  8. A position that the log no longer reaches back to, or of another epoch, is refused (`Expired`), and
 *     what has expired is gone at once. Otherwise: a device that was away for long keeps what was deleted
 *     meanwhile.
 *  9. While HEAD has the lock of a staged batch, no other write reaches the space, and whoever comes to it
 *     next finishes what a dead process had begun. Otherwise: half of a batch lies in a space that nobody can
 *     write to.
 * 10. What spans spaces is one transaction. Otherwise: a member whose own log never says so, or the reverse.
 * 11. The outcome under an Idempotency-Key is in the transaction of the effect. Otherwise: a push whose
 *     answer was lost is applied twice, or is said to be done and is not.
 * 12. Who waits subscribes, then looks, then waits. Otherwise: a change between look and wait wakes nobody.
 * 13. Every read and write is of one tenant's store and one space, and each row read says the same.
 *     Otherwise: one tenant is shown what is another's.
 *
 * So nothing is missed: the log has no holes (1, 2, 3), is read in order and never past what can't be seen
 * yet (4, 5, 9), goes on where the snapshot began (7), or says that it can't (8); who waits is woken (12).
 * Pictures, and how the rows lie: docs/protocol.md, docs/data.md.
 */
import type { LRUCache } from 'lru-cache'
import type { Definition } from '../../entities/definition.ts'
import type { SpaceKey } from '../../entities/fields.ts'
import type { Config } from '../config.ts'
import type { Store } from '../store/store.ts'
import type { BatchRow } from './batch-rows.ts'
import type { Op } from './change-set.ts'
import type { Change, Outcome, Result, Row, SpaceHead, Write } from './change.ts'
import type { Sealer } from './cursor.ts'
import type { Lines } from './line.ts'
import type { ListQuery, Page } from './list-query.ts'
import type { Position } from './position.ts'
import type { LogWalk, Reach, Walked } from './walk.ts'

/** What all requests of a process share. Everything in it is keyed by tenant and space. */
export interface Engine {
  readonly config: Pick<Config, 'limits' | 'secret' | 'retentionDays'>
  readonly writer: Writer
  readonly watchers: Watchers
  readonly reads: SharedReads
  readonly rules: CommitRules
  readonly sealer: Sealer
  readonly lines: Lines
  /** Since when this process waits for what a log lacks, by space and number: `performance.now()`. */
  readonly holes: LRUCache<string, number>
  /** Idempotency keys whose first request is still running in this process. */
  readonly running: Set<string>
  readonly now: () => number
}

/** One request's view of one space, through one tenant's store. */
export interface SpaceContext extends Engine {
  readonly store: Store
  readonly space: SpaceKey
  /** Who asks; what cursors are bound to. */
  readonly userId: string
  readonly sessionId: string | undefined
  readonly idempotency: { readonly key: string, readonly requestHash: string } | undefined
  /** May the user still do this? Asked before each transaction of what takes long. @throws Problem why not */
  readonly assertAllowed: () => Promise<void>
}

/** What features ask of every commit, such as that folders stay a tree; handed in where the app is made. */
export interface CommitRules {
  /** @returns checks, for the same transaction @throws Problem where the changes can't be kept */
  conditionsOf(context: SpaceContext, changes: readonly Change[], pointerOf: PointerOf): Promise<Change[]>
  /** Refuses a staged batch that can't be kept. @throws Problem */
  assertBatch(context: SpaceContext, ...batch: Parameters<Objection>): Promise<void>
}
/** Where in the request a change stands, as a JSON pointer. */
export type PointerOf = (change: Change) => string

/** COMMITTING, as features do it. All of it happens, or nothing, unless the store itself fails. */
export interface Commits {
  /** One change-set, with the conditions of the rules. @throws as Writer.commit, and what the rules throw */
  commit(context: SpaceContext, write: SpaceWrite, pointerOf?: PointerOf): Promise<Outcome>
  /** Likewise; what no transaction takes becomes a staged batch, or is refused under an Idempotency-Key. */
  commitAll(context: SpaceContext, write: Omit<SpaceWrite, 'brief'>, pointerOf?: PointerOf): Promise<Outcome>
  /** Does `work` once per Idempotency-Key: a repeated request gets the first outcome, another is refused. */
  once(context: SpaceContext, work: () => Promise<Outcome>): Promise<Outcome>
}
export type SpaceWrite = Pick<Write, 'changes' | 'guarded' | 'brief'>

/** COMMITTING, below: the one writer of a process. Writes of a space that wait share one transaction. */
export interface Writer {
  /**
   * @throws PreconditionFailed, Superseded, Problem QUOTA_EXCEEDED, CONTENTION, IDEMPOTENCY_MISMATCH:
   *   nothing happened
   * @throws a failure of the store: it may have happened
   */
  commit(write: Write): Promise<Outcome>
  /** Meanwhile nobody else of this process writes to the spaces; `work` commits by `commitAcross` alone. */
  withSpacesLocked<T>(spaces: readonly SpaceKey[], work: () => Promise<T>): Promise<T>
  /** A change-set in each of several spaces, all or none. To be called within `withSpacesLocked`. */
  commitAcross(writes: readonly Write[]): Promise<Outcome>
  /** Commits of more than one transaction. */
  readonly staged: StagedCommits
}

/**
 * STAGED BATCHES: parts lie unseen beside the space, till a commit writes them in steps under HEAD's lock.
 *
 *   open --lock, all checks--> committing --first step--> writing --last step--> committed
 *    |  <-------refused------------'                         '--right ended--> stopped, and says how far
 *    '--deleted, or too old--> abandoned
 */
export interface StagedCommits {
  /**
   * @param guarded refuse it where it would delete most of the space
   * @param object may refuse it by throwing, before anything is written
   * @returns the batch, and what it did without contents: nothing where it had been begun before
   * @throws as Writer.commit, and Problem CONFIRMATION_REQUIRED: nothing happened
   * @throws as `assertAllowed`, where a right ended on the way: `written` says what had happened
   */
  commit(job: Job, guarded: boolean, object?: Objection): Promise<Committed>
  /** For who finds a lock on HEAD: whether its owner lives. A commit that died half way is finished here. */
  settle(store: Store, space: SpaceKey, head: SpaceHead | undefined): Promise<LockState>
}
/** The commit of a batch, which is staged in the space of `owner`. */
export interface Job extends InSpace {
  readonly owner: SpaceKey
  readonly batch: BatchRow
  /** As in `SpaceContext`. Left out where the batch of a process that died is finished. */
  readonly assertAllowed?: () => Promise<void>
}
export interface Committed {
  readonly batch: BatchRow
  readonly results: readonly Result[]
}
/** Sees the rows that a batch would make, by `nameOf`, when nobody else writes and the space is at `n`. */
export type Objection = (rows: ReadonlyMap<string, Row>, n: number) => Promise<void>
/** `held`: the owner lives. `free`: no lock, or the owner died before a step. `moved`: one was finished. */
export type LockState = 'held' | 'free' | 'moved'

/** READING: the log, and the snapshot that comes before it. */
export interface Reads {
  /** The change-sets after a position, whole and without a hole. @throws Expired */
  readChanges(reader: Reader, walk: LogWalk): Promise<Walked>
  /** Where the log goes on after a snapshot that begins now: not at HEAD, but where all had settled. */
  beginSnapshot(store: Store, space: SpaceKey, now: number): Promise<Position>
  /** The next records, by kind and id. @returns `position` without a snapshot where that was all */
  snapshotPage(from: InSpace, position: Position, reach: Reach): Promise<{ ops: Op[], position: Position }>
}
export type InSpace = Pick<SpaceContext, 'store' | 'space'>
export type Reader = Pick<SpaceContext, 'store' | 'now' | 'writer' | 'holes'>
/** Reads that many who follow the same space need at the same time, done once. */
export interface SharedReads {
  readonly changes: Reads['readChanges']
  /** Rows of one tenant, together with what others of the tenant ask for in the same turn. */
  rows(store: Store, definition: Definition, places: readonly RowPlace[]): Promise<Row[]>
}
export type RowPlace = SpaceKey & { readonly id: string }

/** WATCHING: at once for what this process commits, within about a second for what others do. */
export interface Watchers {
  /** A space has gone on, as the writer of this process knows. */
  readonly wake: (space: SpaceKey, n: number) => void
  /** The last change that this process has heard of; 0 where of none. */
  known(space: SpaceKey): number
  /** From now on nothing that happens in the spaces goes unnoticed. */
  subscribe(store: Store, spaces: readonly SpaceKey[]): Subscription
  /** Counts a connection that waits. @returns its end @throws Problem TOO_MANY_CONNECTIONS, OVERLOADED */
  enter(user: SpaceKey): () => void
}
export interface Subscription {
  /** Waits until a space is beyond its number, by `spaceName`; false where time or the signal was first. */
  beyond(seen: ReadonlyMap<string, number>, milliseconds: number, signal: AbortSignal): Promise<boolean>
  end(): void
}

/** LISTS: one page of the live records of a kind, by id or newest first. @throws Problem INVALID_CURSOR */
export type List = (context: SpaceContext, kind: Definition, query: ListQuery) => Promise<Page<unknown>>
