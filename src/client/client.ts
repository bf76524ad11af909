import type { Space } from './collections.ts'
import type { Clock, Sleep } from './clock.ts'
import type { Confirm } from './guard.ts'
import type { Content, Kept, Target } from './kinds.ts'
import type { Conflict } from './outbox.ts'
import type { Status } from './status.ts'
import type { Store } from './store.ts'
import type { Reader, Refused } from './tables.ts'
import type { Tabs } from './tabs.ts'
import type { Token } from './token.ts'

export interface Options extends Partial<Clock> {
  /** Where the hub is: `https://hub.example.com`. */
  readonly url: string
  readonly token: Token
  /**
   * Where the device keeps what it holds. In memory, where none is given: what was not pushed ends with the
   * process.
   */
  readonly store?: Store
  readonly fetch?: typeof fetch
  /** Told of what looks different now, however that came: from the hub, from here, from another tab. */
  readonly onChange?: Listener
  /** Told of an edit that the hub refuses for good. It stays in `rejected()` until it is dismissed. */
  readonly onRejected?: (rejected: Rejected) => void
  /** Told when `status()` is another. */
  readonly onStatus?: (status: Status) => void
  /**
   * Decides where two edits can't both be kept; without it, mine wins, and an edit wins over a delete. It may
   * be asked again, where another tab was faster.
   * @returns undefined: delete it
   */
  readonly merge?: (conflict: Conflict) => Content | undefined
  /**
   * Asked once before more than half of a space is deleted, however many pushes that takes. Without it, or
   * where it says no, such deletes are rejected.
   */
  readonly onConfirm?: Confirm
  /** How tabs find each other: the platform's Web Locks and BroadcastChannel, unless something else is given. */
  readonly tabs?: Tabs
  /** For tests: chance, the time that passes (`sleep`, `now`), and time-outs. */
  readonly random?: () => number
  readonly timeout?: Sleep
}

export type Listener = (changed: readonly Target[]) => void

/** An edit that has no answer yet. */
export interface Pending extends Target {
  /** What it makes of the record; undefined: it deletes it. */
  readonly record: Content | undefined
}

/** An edit that the hub refuses for good, and why. */
export interface Rejected extends Pending {
  readonly key: string
  readonly problem: Refused['problem']
}

/** A user's records on this device, and the way to the hub. */
export interface Client extends Space {
  /** Another space: `group:{groupId}`. @throws TypeError where it can't be one */
  space(name: string): Space
  /** The groups that the user belongs to, by id. */
  memberships(): Kept['membership'][]
  /** To groups; those that have expired too. */
  invitations(): Kept['invitation'][]
  /** The devices that the user is signed in on. */
  sessions(): Kept['session'][]
  /** Takes in all that changed. @throws HubProblem, StorageFull */
  pull(): Promise<void>
  /** Sends all edits, and has their answers. @throws HubProblem, StorageFull; edits without an answer stay */
  push(): Promise<void>
  /** Pulls, pushes and pulls, until nothing is left. @throws HubProblem, StorageFull */
  sync(): Promise<void>
  /**
   * Stays in step until `close`, or the signal. Of several tabs on one store one does this for all, and
   * another when that one is gone. @throws HubProblem where waiting does not help, such as a refused token;
   * StorageFull
   */
  follow(signal?: AbortSignal): Promise<void>
  /** How the device stands. */
  status(): Status
  /** @returns what ends it */
  subscribe(listener: Listener): () => void
  /** As `subscribe`, for `status()`. */
  subscribeStatus(listener: (status: Status) => void): () => void
  pending(): Pending[]
  rejected(): Rejected[]
  /** Forgets a rejected edit. */
  dismiss(key: string): Promise<void>
  /** Ends what runs, and waits until the store has what it was given. */
  close(): Promise<void>
}

export function rejectedOf (reader: Reader, keys: readonly string[]): Rejected[] {
  return keys.flatMap((key) => {
    const row = reader.get('refused', key)
    if (row === undefined) return []
    const { edit: { space, type, id, content }, problem } = row
    return [{ key, space, type, id, record: content, problem }]
  })
}
