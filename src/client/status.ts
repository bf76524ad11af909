import { same } from './merge.ts'
import { HubProblem, StorageFull } from './problem.ts'
import { hasSnapshot, type Reader, type Refused } from './tables.ts'
import { overlay } from './view.ts'

/** How a device stands. */
export interface Status {
  /**
   * - `storage-full`: the device has no room for what should be kept; `problem` is a StorageFull
   * - `signed-out`: the hub does not take the token, or there is none
   * - `offline`: the hub can't be reached, or can't work
   * - `syncing`: edits, or changes, are on their way
   * - `waiting`: edits wait to be sent, or nothing was pulled yet
   * - `refused`: the hub refuses an edit, or the user, for good; `problem` says why
   * - `in-step`: the device has what the hub has, as far as it was told
   */
  readonly state: 'storage-full' | 'signed-out' | 'offline' | 'syncing' | 'waiting' | 'refused' | 'in-step'
  /** Edits that the hub has not confirmed. */
  readonly edits: number
  /** When the oldest of them was made, RFC 3339. */
  readonly since?: string
  /** Why, where something is in the way. */
  readonly problem?: Problem
}
export type Problem = StorageFull | Refused['problem'] | { readonly status: number, readonly detail: string }

/** What is known of the way to the hub: it is the leader's, and the other tabs are told. */
interface Link {
  readonly state: 'unknown' | 'up' | 'offline' | 'signed-out' | 'refused'
  readonly problem?: Refused['problem']
  readonly isBusy: boolean
}

export interface StatusTracker {
  readonly get: () => Status
  readonly listen: (listener: (status: Status) => void) => () => void
  /** A request ended: undefined, or with a problem. */
  readonly answered: (problem: HubProblem | undefined) => void
  /** A write ended: undefined, or with what the store failed with. */
  readonly full: (error: unknown) => void
  readonly busy: <T>(work: () => Promise<T>) => Promise<T>
  /** The state has changed. */
  readonly changed: () => void
  /** What another tab tells. */
  readonly heard: (message: unknown) => void
}

/** @param tell tells the other tabs of the link */
export function createStatus (reader: () => Reader, tell: (message: object) => void): StatusTracker {
  const listeners = new Set<(status: Status) => void>()
  let link: Link = { state: 'unknown', isBusy: false }
  let [working, storageFull, isDue] = [0, undefined as StorageFull | undefined, false]
  let told: Status | undefined

  function get (): Status {
    const edits = overlay(reader())
    const since = edits.reduce((first, { at }) => Math.min(first, at), Infinity)
    const [refused] = reader().entries('refused')
    const counted = { edits: edits.length, ...edits.length > 0 && { since: new Date(since).toISOString() } }
    if (storageFull !== undefined) return { state: 'storage-full', ...counted, problem: storageFull }
    if (link.state === 'signed-out' || link.state === 'offline' || link.state === 'refused') {
      return { state: link.state, ...counted, ...link.problem !== undefined && { problem: link.problem } }
    }
    if (working > 0 || link.isBusy) return { state: 'syncing', ...counted }
    if (edits.length > 0 || !hasSnapshot(reader())) return { state: 'waiting', ...counted }
    if (refused !== undefined) return { state: 'refused', ...counted, problem: refused[1].problem }
    return { state: 'in-step', ...counted }
  }

  /** Tells of what is different, once what goes on has ended. */
  function changed (): void {
    if (isDue) return
    isDue = true
    setTimeout(() => {
      isDue = false
      const status = get()
      if (told !== undefined && same({ ...told }, { ...status })) return
      told = status
      for (const listener of listeners) listener(status)
    })
  }

  function become (next: Link): void {
    if (same(link, next)) return
    link = next
    tell({ link })
    changed()
  }

  return {
    get,
    changed,
    listen (listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    answered (problem) {
      const state = problem === undefined ? 'up' : linkOf(problem)
      if (state === undefined) return
      become({ state, isBusy: working > 0, ...problem !== undefined && { problem: toldOf(problem) } })
    },
    full (error) {
      const next = error instanceof StorageFull ? error : undefined
      if (storageFull === next) return
      storageFull = next
      changed()
    },
    async busy (work) {
      working++
      become({ ...link, isBusy: true })
      try {
        return await work()
      } finally {
        working--
        become({ ...link, isBusy: working > 0 })
      }
    },
    heard (message) {
      const { link: others } = message as { link?: Link }
      if (others === undefined || working > 0 || same(link, others)) return
      link = others
      changed()
    }
  }
}

/** What a problem says of the way to the hub; undefined: nothing. */
function linkOf ({ status }: HubProblem): Link['state'] | undefined {
  if (status === 401) return 'signed-out'
  if (status === 403) return 'refused'
  return status === 0 || (status >= 500 && status !== 507) ? 'offline' : undefined
}

const toldOf = ({ status, message, errorType }: HubProblem) => ({ status, errorType, detail: message })
