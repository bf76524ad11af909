/** What the client needs of Web Locks (`navigator.locks`): one holder of a name at a time, in all tabs. */
export interface Locks {
  /**
   * Waits for its turn, does the work, and lets go when that has ended, however; also where its tab dies.
   * @param options.ifAvailable does not wait: the work gets null where somebody holds the name
   */
  request<T>(
    name: string,
    options: {
      readonly signal?: AbortSignal,
      readonly ifAvailable?: boolean,
      readonly mode?: 'exclusive' | 'shared'
    },
    work: (lock: unknown) => Promise<T>
  ): Promise<T>
  /** Which locks are held; left out where all tabs see at once what one writes. */
  query?(): Promise<{ readonly held?: readonly { readonly name?: string }[] }>
}

/** Locks within one process. */
export function createLocks (): Locks {
  const held = new Map<string, (() => void)[]>()

  function letGo (name: string): void {
    const next = held.get(name)!.shift()
    if (next === undefined) held.delete(name)
    else next()
  }

  function turn (name: string, signal: AbortSignal | undefined): Promise<void> {
    const waiting = held.get(name)
    if (waiting === undefined) {
      held.set(name, [])
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      const start = () => {
        signal?.removeEventListener('abort', leave)
        resolve()
      }
      const leave = () => {
        waiting.splice(waiting.indexOf(start), 1)
        reject(new DOMException('The request was aborted.', 'AbortError'))
      }
      waiting.push(start)
      signal?.addEventListener('abort', leave, { once: true })
    })
  }

  return {
    async request (name, { signal, ifAvailable = false }, work) {
      if (signal?.aborted === true) throw new DOMException('The request was aborted.', 'AbortError')
      if (ifAvailable && held.has(name)) return work(null)
      await turn(name, signal)
      try {
        return await work({ name })
      } finally {
        letGo(name)
      }
    }
  }
}
