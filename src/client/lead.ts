import type { Clock } from './clock.ts'
import { linked } from './linked.ts'
import type { State } from './state.ts'
import type { Medium } from './tabs.ts'

/** A leader that is dead leads no more after this time; one that lives says so three times as often. */
const LEASE_MS = 6_000

export interface Leading extends Clock {
  readonly state: State
  readonly medium: Medium
}

/**
 * Does something as the one client of a store that leads, once it is that, until the signal comes. Without
 * locks two may lead for a moment, where one slept: that costs requests, and nothing else.
 */
export async function lead (
  { state, medium, sleep, now }: Leading,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>
): Promise<void> {
  if (medium.locks !== undefined) {
    const turn = medium.locks.request(`${medium.name} lead`, { signal }, () => work(signal))
    await turn.catch((error: unknown) => {
      if (!signal.aborted) throw error
    })
    return
  }
  const id = crypto.randomUUID()
  while (!signal.aborted) {
    if (await take()) await workOnLease()
    else await sleep(LEASE_MS / 3, signal)
  }

  async function take (): Promise<boolean> {
    // Where nothing tells of what others write, this does.
    await state.refresh()
    return state.change((draft) => {
      const lease = draft.get('lease', '')
      if (lease !== undefined && lease.id !== id && lease.until > now()) return false
      draft.set('lease', '', { id, until: now() + LEASE_MS })
      return true
    })
  }

  async function workOnLease (): Promise<void> {
    const turn = linked(signal)
    const parts = [work(turn.signal), renew(turn.signal)]
    const ended = await Promise.allSettled(parts.map((part) => part.finally(turn.end)))
    await state.change((draft) => {
      if (draft.get('lease', '')?.id === id) draft.set('lease', '', undefined)
    })
    for (const result of ended) if (result.status === 'rejected') throw result.reason
  }

  async function renew (turn: AbortSignal): Promise<void> {
    do await sleep(LEASE_MS / 3, turn)
    while (!turn.aborted && await take())
  }
}
