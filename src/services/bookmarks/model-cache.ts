/** What is kept in memory by name, the least recently used of which goes first, beside what is in use. */
export interface ModelCache<T> {
  get(name: string): T | undefined
  /** Keeps something where it fits. @param bytes that it takes in memory */
  set(name: string, value: T, bytes: number): void
  delete(name: string): void
  /** What is in memory anyway, whether it is kept or not: less is kept beside it. */
  hold(bytes: number): void
  release(bytes: number): void
}

/** @param maxBytes of all that is kept and held; what is held may be more */
export function createModelCache<T> (maxBytes: number): ModelCache<T> {
  /** In the order of their last use. */
  const entries = new Map<string, { readonly value: T, readonly bytes: number }>()
  let [kept, held] = [0, 0]

  function remove (name: string): void {
    kept -= entries.get(name)?.bytes ?? 0
    entries.delete(name)
  }

  function shrink (): void {
    for (const name of entries.keys()) {
      if (kept + held <= maxBytes) return
      remove(name)
    }
  }

  return {
    get (name) {
      const entry = entries.get(name)
      if (entry === undefined) return undefined
      entries.delete(name)
      entries.set(name, entry)
      return entry.value
    },
    set (name, value, bytes) {
      remove(name)
      // What is too large alone would only drive out all others.
      if (bytes > maxBytes - held) return
      entries.set(name, { value, bytes })
      kept += bytes
      shrink()
    },
    delete: remove,
    hold (bytes) {
      held += bytes
      shrink()
    },
    release (bytes) {
      held -= bytes
    }
  }
}
