import { createLocks, type Locks } from './locks.ts'

/**
 * Where a device keeps what it holds: values that are JSON, by key. A store belongs to one user: with
 * another's token its edits would be pushed to the other.
 */
export interface Store {
  /** Everything that was written. Called once, at the start. */
  read(): Promise<ReadonlyMap<string, unknown>>
  /**
   * Writes all of it or nothing, for good; undefined removes a key. Called again only when the last one has
   * ended.
   */
  write(changes: ReadonlyMap<string, unknown>): Promise<void>
  /** What tells it apart from the other stores of its origin: other tabs are found by it. */
  readonly name?: string
  /** Where several clients may use it at once. Without it, the second is refused. */
  readonly shared?: SharedStore
}

/** What was written to a store. */
export interface Written {
  readonly version: number
  /** Undefined: the key was removed. */
  readonly rows: ReadonlyMap<string, unknown>
  /** These are all rows there are: what is not among them is gone. */
  readonly isAll: boolean
}

/** A store that counts what is written to it, so that nobody writes on top of what they have not seen. */
export interface SharedStore {
  /** What was written after a version; all there is, where that is not known any more, or undefined. */
  since(version: number | undefined): Promise<Written>
  /** Writes, as `write`, if that is still the version. @returns false where somebody was faster */
  writeAfter(version: number, changes: ReadonlyMap<string, unknown>): Promise<boolean>
  /**
   * Set where a look and a write may be torn apart by other processes: they need a lock, or, where there are
   * no Web Locks, a place for the name of who may write.
   */
  readonly lease?: LeaseCell
  /** A store within one process: locks, and word of what is written, are its own. */
  readonly local?: { readonly locks: Locks, watch(listener: () => void): () => void }
}

export interface LeaseCell {
  /** The version that can be seen. */
  version(): number
  get(): string | null
  set(text: string | null): void
}

/** How many writes a store remembers the keys of. */
const REMEMBERED = 64

/** A store that lives as long as the process. It keeps text, so that nothing is shared with who wrote it. */
export function memoryStore (): Store {
  const rows = new Map<string, string>()
  const log: string[][] = []
  const listeners = new Set<() => void>()
  let version = 0

  const value = (text: string | undefined) => text === undefined ? undefined : JSON.parse(text) as unknown

  function put (changes: ReadonlyMap<string, unknown>): void {
    const texts = [...changes].map((
      [key, value]
    ): [string, string | undefined] => [key, value === undefined ? undefined : JSON.stringify(value)])
    for (const [key, text] of texts) {
      if (text === undefined) rows.delete(key)
      else rows.set(key, text)
    }
    version++
    log.push([...changes.keys()])
    if (log.length > REMEMBERED) log.shift()
    for (const listener of listeners) listener()
  }

  const read = () => new Map([...rows].map(([key, text]) => [key, value(text)]))

  return {
    read: async () => read(),
    async write (changes) {
      put(changes)
    },
    shared: {
      async since (from) {
        if (from === undefined || version - from > log.length) return { version, rows: read(), isAll: true }
        const keys = new Set(from === version ? [] : log.slice(from - version).flat())
        return { version, rows: new Map([...keys].map((key) => [key, value(rows.get(key))])), isAll: false }
      },
      async writeAfter (from, changes) {
        if (from !== version) return false
        put(changes)
        return true
      },
      local: {
        locks: createLocks(),
        watch (listener) {
          listeners.add(listener)
          return () => {
            listeners.delete(listener)
          }
        }
      }
    }
  }
}
