import type { Store, Written } from './store.ts'

/** localStorage, or what looks like it. */
export interface StorageLike {
  readonly length: number
  key(index: number): string | null
  getItem(key: string): string | null
  setItem(key: string, value: string): void
  removeItem(key: string): void
}

/** How far a write has come. Until the version says `to`, it is undone; from then on, its deletes are done. */
interface Journal {
  readonly to: number
  readonly undo: readonly (readonly [key: string, text: string | null])[]
  readonly deletes: readonly string[]
}

/** Of so many keys it is remembered which write touched them; of a larger write, that it was one. */
const REMEMBERED_KEYS = 100

interface Head {
  readonly version: number
  /** The keys of the last writes, the newest last. */
  readonly log: readonly (readonly string[])[]
}

/**
 * A store in localStorage, for some thousand records: browsers end it at 5 MB. It writes one key at a time,
 * so what was there before is noted first: a write that was cut, or did not fit, is rolled back. Only what is
 * replaced is noted, and what is to go goes last, so that a write needs little more room than what it keeps.
 * @param name tells the stores of several users apart
 */
export function storageStore (storage: StorageLike, name = 'sync-hub'): Store {
  const [prefix, journalKey, headKey, leaseKey] = [`${name}:`, `${name}!journal`, `${name}!head`,
    `${name}!lease`]
  const rowOf = (key: string) => {
    const text = storage.getItem(prefix + key)
    return text === null ? undefined : JSON.parse(text) as unknown
  }
  const head = () => JSON.parse(storage.getItem(headKey) ?? '{"version":0,"log":[]}') as Head

  /** Ends what a write left that was cut off. */
  function recover (): void {
    const text = storage.getItem(journalKey)
    if (text === null) return
    const { to, undo, deletes } = JSON.parse(text) as Journal
    if (head().version < to) {
      // Room is made first: what was there fits then.
      for (const [key] of undo) storage.removeItem(prefix + key)
      for (const [key, before] of undo) if (before !== null) storage.setItem(prefix + key, before)
    } else for (const key of deletes) storage.removeItem(prefix + key)
    storage.removeItem(journalKey)
  }

  function all (): Map<string, unknown> {
    const keys = Array.from({ length: storage.length }, (_, index) => storage.key(index)!).filter((key) =>
      key.startsWith(prefix)
    ).map((key) => key.slice(prefix.length))
    return new Map(keys.map((key) => [key, rowOf(key)]))
  }

  function put (changes: ReadonlyMap<string, unknown>): void {
    const { version, log } = head()
    const entries = [...changes]
    const deletes = entries.flatMap(([key, value]) => value === undefined ? [key] : [])
    const sets = entries.filter(([, value]) => value !== undefined)
    const undo = sets.map(([key]) => [key, storage.getItem(prefix + key)] as const)
    const journal: Journal = { to: version + 1, undo, deletes }
    storage.setItem(journalKey, JSON.stringify(journal))
    try {
      for (const [key, value] of sets) storage.setItem(prefix + key, JSON.stringify(value))
      // With this the write has happened.
      storage.setItem(
        headKey,
        JSON.stringify({ version: version + 1, log: remembered([...log, [...changes.keys()]]) })
      )
    } catch (error) {
      recover()
      throw error
    }
    recover()
  }

  return {
    name: `storage ${name}`,
    async read () {
      recover()
      return all()
    },
    async write (changes) {
      recover()
      put(changes)
    },
    shared: {
      async since (from): Promise<Written> {
        recover()
        const { version, log } = head()
        if (from === undefined || version - from > log.length || version < from) {
          return { version, rows: all(), isAll: true }
        }
        const keys = new Set(from === version ? [] : log.slice(from - version).flat())
        return { version, rows: new Map([...keys].map((key) => [key, rowOf(key)])), isAll: false }
      },
      async writeAfter (from, changes) {
        recover()
        if (head().version !== from) return false
        put(changes)
        return true
      },
      lease: {
        version: () => head().version,
        get: () => storage.getItem(leaseKey),
        set (text) {
          if (text === null) storage.removeItem(leaseKey)
          else storage.setItem(leaseKey, text)
        }
      }
    }
  }
}

/** The last writes, as far as there is room for their keys. */
function remembered (log: readonly (readonly string[])[]): readonly (readonly string[])[] {
  let keys = 0
  const first = log.findLastIndex((touched) => (keys += touched.length) > REMEMBERED_KEYS)
  return log.slice(first + 1)
}
