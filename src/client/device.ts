import type { Options } from './client.ts'
import type { Clock } from './clock.ts'
import { openState, type State } from './state.ts'
import { createStatus, type StatusTracker } from './status.ts'
import { memoryStore } from './store.ts'
import { openMedium, platformTabs, type Medium } from './tabs.ts'
import { createWatch, type Watch } from './watch.ts'

/** What a client holds, and who is told of it. */
export interface Device {
  readonly medium: Medium
  readonly state: State
  readonly status: StatusTracker
  readonly watch: Watch
}

/** Opens a store. @param signal comes when the client is closed. @throws StoreInUse; what the store throws */
export async function openDevice (options: Options, clock: Clock, signal: AbortSignal): Promise<Device> {
  const { store = memoryStore(), tabs = platformTabs(), onChange, onRejected, onStatus } = options
  const medium = await openMedium(store, { tabs, ...clock })
  const watch = createWatch(onChange, onRejected)
  const status = createStatus(() => state, (message) => {
    medium.tell(message)
  })
  const opened = openState(medium, {
    full: status.full,
    changed (before, after, touched) {
      watch.changed(before, after, touched)
      status.changed()
    }
  })
  const state: State = await opened.catch((error: unknown) => {
    medium.close()
    throw error
  })
  if (onStatus !== undefined) status.listen(onStatus)
  const refresh = () => {
    // What can't be read now is read before the next write.
    if (!signal.aborted) state.refresh().catch(() => {})
  }
  medium.listen((message) => {
    if (message !== undefined) status.heard(message)
    refresh()
  })
  // What was written before anybody listened.
  if (medium.isShared) refresh()
  return { medium, state, status, watch }
}
