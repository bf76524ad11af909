import type { Options } from './client.ts'
import { sleep as sleepByClock, type Clock } from './clock.ts'
import type { Device } from './device.ts'
import { follow } from './follow.ts'
import { createHttp } from './http.ts'
import { createIntake } from './intake.ts'
import { lead } from './lead.ts'
import { linked } from './linked.ts'
import { createPull } from './pull.ts'
import { createPush } from './push.ts'
import { overlay } from './view.ts'

/** The ways between a device and the hub, until the signal comes. */
export interface Link {
  pull(): Promise<void>
  push(): Promise<void>
  sync(): Promise<void>
  follow(until?: AbortSignal): Promise<void>
}

export function createLink (options: Options, clock: Clock, device: Device, signal: AbortSignal): Link {
  const { fetch = globalThis.fetch, random = Math.random, timeout = sleepByClock } = options
  const { state, status: { busy, answered }, watch } = device
  const { sleep } = clock
  const intake = createIntake(state)
  // Browsers' fetch wants to be called as a function of its own.
  const asked: typeof fetch = (...request) => fetch(...request)
  const http = createHttp({ ...options, ...clock, fetch: asked, timeout, random, answered })
  const pull = createPull({ state, http, sleep, intake, busy })
  const { merge: resolve, onConfirm: confirm } = options
  const push = createPush({ state, http, sleep, pull, busy, resolve, confirm })

  async function sync (): Promise<void> {
    do {
      await pull.all(signal)
      await push(signal)
      await pull.all(signal)
    } while (overlay(state).length > 0)
  }

  return {
    pull: () => busy(() => pull.all(signal)),
    push: () => busy(() => push(signal)),
    sync: () => busy(sync),
    async follow (until) {
      const ending = linked(signal, until)
      const edited = (leading: AbortSignal) => watch.edited(state, leading)
      const ways = { http, sleep, timeout, random, intake, pull, push, edited }
      await lead({ ...device, ...clock }, ending.signal, (leading) => follow(ways, leading))
        .finally(ending.end)
    }
  }
}
