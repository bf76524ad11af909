/**
 * Where a device keeps what it holds: values that are JSON, by key. One client at a time uses a store (in
 * browsers: under a Web Lock), and a store belongs to one user: with another's token its edits would be
 * pushed to the other.
 */
export interface Store {
  /** Everything that was written. Called once, at the start. */
  read(): Promise<ReadonlyMap<string, unknown>>
  /**
   * Writes all of it or nothing, for good; undefined removes a key. Called again only when the last one has
   * ended.
   */
  write(changes: ReadonlyMap<string, unknown>): Promise<void>
}

/** A store that lives as long as the process. It keeps text, so that nothing is shared with who wrote it. */
export function memoryStore (): Store {
  const rows = new Map<string, string>()
  return {
    read: async () => new Map([...rows].map(([key, text]) => [key, JSON.parse(text) as unknown])),
    async write (changes) {
      const texts = [...changes].map((
        [key, value]
      ): [string, string | undefined] => [key, value === undefined ? undefined : JSON.stringify(value)])
      for (const [key, text] of texts) {
        if (text === undefined) rows.delete(key)
        else rows.set(key, text)
      }
    }
  }
}

/** localStorage, or what looks like it. */
export interface StorageLike {
  readonly length: number
  key(index: number): string | null
  getItem(key: string): string | null
  setItem(key: string, value: string): void
  removeItem(key: string): void
}

/**
 * A store in localStorage, for some thousand records: browsers end it at 5 MB. It writes one key at a time,
 * so what was there before is noted first: a write that was cut, or did not fit, is rolled back.
 * @param name tells the stores of several users apart
 */
export function storageStore (storage: StorageLike, name = 'sync-hub'): Store {
  const [prefix, journal] = [`${name}:`, `${name}!journal`]

  function rollBack (): void {
    const before = JSON.parse(storage.getItem(journal) ?? '[]') as [string, string | null][]
    // Room is made first: what was there fits then.
    for (const [key] of before) storage.removeItem(key)
    for (const [key, text] of before) if (text !== null) storage.setItem(key, text)
    storage.removeItem(journal)
  }

  return {
    async read () {
      rollBack()
      const keys = Array.from({ length: storage.length }, (_, index) => storage.key(index)!).filter((key) =>
        key.startsWith(prefix)
      )
      return new Map(
        keys.map((key) => [key.slice(prefix.length), JSON.parse(storage.getItem(key)!) as unknown])
      )
    },
    async write (changes) {
      storage.setItem(
        journal,
        JSON.stringify([...changes.keys()].map((key) => [prefix + key, storage.getItem(prefix + key)]))
      )
      try {
        for (const [key, value] of changes) {
          if (value === undefined) storage.removeItem(prefix + key)
          else storage.setItem(prefix + key, JSON.stringify(value))
        }
      } catch (error) {
        rollBack()
        throw error
      }
      storage.removeItem(journal)
    }
  }
}
