import type { Sleep } from './clock.ts'
import type { Locks } from './locks.ts'

const STEP_MS = 4
/** Nobody waits longer: storage that was cleared never gets there. */
const MAX_STEPS = 500

/**
 * How far the tabs have written, told by the names of locks that they hold. A browser's processes see each
 * other's localStorage late, and a lock may be had before what was written under it can be seen; locks are all
 * kept in one place.
 */
export interface Marks {
  /** Waits until what others have written can be seen. */
  seen(version: () => number): Promise<void>
  /** Says that it was written up to here. */
  written(version: number): Promise<void>
  close(): void
}

export function createMarks (locks: Locks, name: string, sleep: Sleep): Marks {
  const prefix = `${name} version `
  let letGo = () => {}

  return {
    async seen (version) {
      const held = (await locks.query?.())?.held ?? []
      const newest = held.map(({ name = '' }) =>
        name.startsWith(prefix) ? Number(name.slice(prefix.length)) : 0
      )
        .reduce((one, other) => Math.max(one, other), 0)
      for (let step = 0; version() < newest && step < MAX_STEPS; step++) await sleep(STEP_MS)
    },
    async written (version) {
      if (locks.query === undefined) return
      const before = letGo
      await new Promise<void>((granted) => {
        void locks.request(`${prefix}${version}`, { mode: 'shared' }, () =>
          new Promise<void>((end) => {
            letGo = end
            granted()
          }))
      })
      before()
    },
    close () {
      letGo()
    }
  }
}
