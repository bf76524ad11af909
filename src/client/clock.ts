/** Waits; ends early, and without failing, with the signal. */
export type Sleep = (milliseconds: number, signal?: AbortSignal) => Promise<void>

export interface Clock {
  readonly sleep: Sleep
  readonly now: () => number
}

/** Waits by the clock. */
export const sleep: Sleep = (milliseconds, signal) =>
  new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, milliseconds)
    signal?.addEventListener('abort', done)
    if (signal?.aborted === true) done()
  })
