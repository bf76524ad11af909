import type { Store, Written } from './store.ts'

/** What is needed of IndexedDB, without the types of a browser. */
interface Request<T> {
  readonly result: T
  readonly error: Error
  onsuccess: (() => void) | null
  onerror: (() => void) | null
}
interface OpenRequest extends Request<Database> {
  onupgradeneeded: (() => void) | null
  onblocked: (() => void) | null
}
interface Database {
  createObjectStore(name: string): unknown
  transaction(names: string[], mode: 'readonly' | 'readwrite', options?: object): Transaction
  close(): void
  onversionchange: (() => void) | null
  onclose: (() => void) | null
}
interface Transaction {
  objectStore(name: string): ObjectStore
  readonly error: Error | null
  oncomplete: (() => void) | null
  onabort: (() => void) | null
  abort(): void
}
interface ObjectStore {
  get(key: string | number): Request<unknown>
  getAll(range: unknown, count?: number): Request<unknown[]>
  getAllKeys(range: unknown, count?: number): Request<(string | number)[]>
  openKeyCursor(range: null, direction: 'next' | 'prev'): Request<{ readonly key: number } | null>
  put(value: unknown, key: string | number): Request<unknown>
  delete(key: unknown): Request<unknown>
}
export interface IndexedDb {
  readonly factory: { open(name: string, version: number): unknown }
  readonly keyRange: {
    lowerBound(lower: unknown, open?: boolean): unknown,
    upperBound(upper: unknown, open?: boolean): unknown
  }
}

/** Rows that are read at a time: between pages the page can draw. */
const PAGE = 1000
/** How many writes are remembered. */
const REMEMBERED = 100
const [ROWS, LOG] = ['rows', 'log']

/**
 * A store in IndexedDB, for as many records as a device has room for. It is read in pages, and each write is
 * one transaction, on disk when it has ended; transactions of several tabs never overlap.
 * @param name tells the stores of several users apart
 * @param given IndexedDB and its key ranges, where they are not the browser's
 */
export function indexedDbStore (name = 'sync-hub', given?: IndexedDb): Store {
  const globals = globalThis as unknown as {
    indexedDB: IndexedDb['factory'],
    IDBKeyRange: IndexedDb['keyRange']
  }
  const { factory, keyRange } = given ?? { factory: globals.indexedDB, keyRange: globals.IDBKeyRange }
  let database: Promise<Database> | undefined

  function open (): Promise<Database> {
    return database ??= opened(factory.open(name, 1) as OpenRequest, () => {
      database = undefined
    }).catch((error: unknown) => {
      database = undefined
      throw error
    })
  }

  async function within<T> (
    mode: 'readonly' | 'readwrite',
    work: (rows: ObjectStore, log: ObjectStore) => Promise<T>
  ): Promise<T> {
    const transaction = (await open()).transaction([ROWS, LOG], mode, { durability: 'strict' })
    const ended = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => {
        resolve()
      }
      transaction.onabort = () => {
        reject(transaction.error ?? new Error('The transaction was aborted.'))
      }
    })
    ended.catch(() => {})
    const result = await work(transaction.objectStore(ROWS), transaction.objectStore(LOG)).catch(
      async (error: unknown) => {
        // What failed may have ended it already.
        try {
          transaction.abort()
        } catch { /* it has */ }
        await ended
        throw error
      }
    )
    await ended
    return result
  }

  async function all (rows: ObjectStore): Promise<Map<string, unknown>> {
    const found = new Map<string, unknown>()
    for (let range: unknown = null;;) {
      const [keys, values] = await Promise.all([done(rows.getAllKeys(range, PAGE)) as Promise<string[]>,
        done(rows.getAll(range, PAGE))])
      for (const [index, key] of keys.entries()) found.set(key, values[index])
      if (keys.length < PAGE) return found
      range = keyRange.lowerBound(keys.at(-1), true)
    }
  }

  const versionOf = async (log: ObjectStore) => (await done(log.openKeyCursor(null, 'prev')))?.key ?? 0

  async function put (
    rows: ObjectStore,
    log: ObjectStore,
    version: number,
    changes: ReadonlyMap<string, unknown>
  ): Promise<void> {
    const asks = [...changes].map(([key, value]) =>
      done(value === undefined ? rows.delete(key) : rows.put(value, key))
    )
    asks.push(done(log.put([...changes.keys()], version)))
    asks.push(done(log.delete(keyRange.upperBound(version - REMEMBERED))))
    await Promise.all(asks)
  }

  return {
    name: `indexeddb ${name}`,
    read: () => within('readonly', (rows) => all(rows)),
    write: (changes) =>
      within('readwrite', async (rows, log) => put(rows, log, await versionOf(log) + 1, changes)),
    shared: {
      since: (from) =>
        within('readonly', async (rows, log): Promise<Written> => {
          const version = await versionOf(log)
          if (from === undefined || version < from || version - from > REMEMBERED) {
            return { version, rows: await all(rows), isAll: true }
          }
          const touched = await done(log.getAll(keyRange.lowerBound(from, true))) as string[][]
          const keys = [...new Set(touched.flat())]
          const values = await Promise.all(keys.map((key) => done(rows.get(key))))
          return { version, rows: new Map(keys.map((key, index) => [key, values[index]])), isAll: false }
        }),
      writeAfter: (from, changes) =>
        within('readwrite', async (rows, log) => {
          if (await versionOf(log) !== from) return false
          await put(rows, log, from + 1, changes)
          return true
        })
    }
  }
}

function done<T> (request: Request<T>): Promise<T> {
  const answered = new Promise<T>((resolve, reject) => {
    request.onsuccess = () => {
      resolve(request.result)
    }
    request.onerror = () => {
      reject(request.error)
    }
  })
  // Where one of several fails, nobody waits for the others any more.
  answered.catch(() => {})
  return answered
}

/** @param gone is called when the connection can't be used any more: the next use opens another */
async function opened (request: OpenRequest, gone: () => void): Promise<Database> {
  request.onupgradeneeded = () => {
    for (const store of [ROWS, LOG]) request.result.createObjectStore(store)
  }
  const database = await done<Database>(request)
  database.onclose = gone
  database.onversionchange = () => {
    gone()
    database.close()
  }
  return database
}
