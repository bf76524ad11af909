import { note } from './edits.ts'
import { follow } from './follow.ts'
import { createHttp, sleep as sleepByClock, type Sleep, type Token } from './http.ts'
import { same } from './merge.ts'
import type { Conflict } from './outbox.ts'
import { createPull } from './pull.ts'
import { createPush } from './push.ts'
import { keyOf, openState, targetOf, type Reader, type Refused, type Table } from './state.ts'
import { memoryStore, type Store } from './store.ts'
import { listOf, overlay, viewOf } from './view.ts'
import {
  contentOf,
  DEFAULTS,
  type Content,
  type HubProblem,
  type Kind,
  type Kept,
  type Kinds,
  type Target
} from './wire.ts'

export { memoryStore, type StorageLike, storageStore, type Store } from './store.ts'
export { HubProblem, isTransient, type Kept, type Target } from './wire.ts'
export type { Conflict } from './outbox.ts'
export type { Sleep, Token } from './http.ts'

const SPACE = /^(?:me|group:[A-Za-z0-9][A-Za-z0-9_-]{0,63})$/
const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

export interface Options {
  /** Where the hub is: `https://hub.example.com`. */
  readonly url: string
  readonly token: Token
  /**
   * Where the device keeps what it holds. In memory, where none is given: what was not pushed ends with the
   * process.
   */
  readonly store?: Store
  readonly fetch?: typeof fetch
  /** Told of what looks different now, however that came. */
  readonly onChange?: Listener
  /** Told of an edit that the hub refuses for good. It stays in `rejected()` until it is dismissed. */
  readonly onRejected?: (rejected: Rejected) => void
  /**
   * Decides where two edits can't both be kept; without it, mine wins, and an edit wins over a delete.
   * @returns undefined: delete it
   */
  readonly merge?: (conflict: Conflict) => Content | undefined
  /** Asks whether a push may delete most of a space. Without it such deletes are rejected. */
  readonly confirm?: (problem: HubProblem) => boolean | Promise<boolean>
  /** For tests: chance, and the time that passes. */
  readonly random?: () => number
  readonly sleep?: Sleep
}

export type Listener = (changed: readonly Target[]) => void

/** A record as the device has it. What the hub sets is missing until the hub has the record. */
export type Local<R> = Omit<R, Stamp> & Partial<Pick<R, Stamp & keyof R>>
type Stamp = 'rev' | 'createdAt' | 'updatedAt'

/**
 * The records of one kind in one space: what the hub told of, with one's own edits on top. Nothing here waits
 * for the hub.
 */
export interface Collection<R, I> {
  get(id: string): Local<R> | undefined
  /** All of them, in no particular order. */
  list(): Local<R>[]
  /**
   * Creates or replaces; what only the hub sets (`rev`, ...) is left aside. Ended: it is kept, and will be
   * pushed.
   * @throws TypeError where the id can't be one, or the record is not JSON; what the store throws
   */
  put(id: string, record: I): Promise<void>
  /**
   * Replaces some fields of what is there; undefined removes one. @throws as put, and RangeError where
   * nothing is there
   */
  update(id: string, fields: { readonly [K in keyof I]?: I[K] | undefined }): Promise<void>
  /** Removes; where there is nothing, nothing happens. @throws as put */
  delete(id: string): Promise<void>
}

/** What one space holds. */
export interface Space {
  readonly bookmarks: Collection<Kinds['bookmark']['record'], Kinds['bookmark']['input']>
  readonly settings: Collection<Kinds['setting']['record'], Kinds['setting']['input']>
  /** Of a group's space: the group, once it was told of. */
  group(): Kept['group'] | undefined
  /** Of a group's space: who is in it, or invited. */
  members(): Kept['member'][]
}

/** An edit that has no answer yet. */
export interface Pending extends Target {
  /** What it makes of the record; undefined: it deletes it. */
  readonly record: Content | undefined
}

/** An edit that the hub refuses for good, and why. */
export interface Rejected extends Pending {
  readonly key: string
  readonly problem: Refused['problem']
}

/** A user's records on this device, and the way to the hub. */
export interface Client extends Space {
  /** Another space: `group:{groupId}`. @throws TypeError where it can't be one */
  space(name: string): Space
  /** The groups that the user belongs to, by id. */
  memberships(): Kept['membership'][]
  /** To groups; those that have expired too. */
  invitations(): Kept['invitation'][]
  /** The devices that the user is signed in on. */
  sessions(): Kept['session'][]
  /** Takes in all that changed. @throws HubProblem */
  pull(): Promise<void>
  /** Sends all edits, and has their answers. @throws HubProblem; edits without an answer stay */
  push(): Promise<void>
  /** Pulls, pushes and pulls, until nothing is left. @throws HubProblem */
  sync(): Promise<void>
  /**
   * Stays in step until `close`, or the signal. @throws HubProblem where waiting does not help, such as a
   * refused token
   */
  follow(signal?: AbortSignal): Promise<void>
  /** @returns what ends it */
  subscribe(listener: Listener): () => void
  pending(): Pending[]
  rejected(): Rejected[]
  /** Forgets a rejected edit. */
  dismiss(key: string): Promise<void>
  /** Ends what runs, and waits until the store has what it was given. */
  close(): Promise<void>
}

/** Opens a user's records on this device. @throws what the store throws */
export async function createClient (options: Options): Promise<Client> {
  const {
    url,
    token,
    store = memoryStore(),
    fetch = globalThis.fetch,
    onChange,
    onRejected,
    merge,
    confirm,
    random = Math.random,
    sleep = sleepByClock
  } = options
  const listeners = new Set(onChange === undefined ? [] : [onChange])
  const wakers = new Set<() => void>()
  const closing = new AbortController()
  const running = new Set<Promise<unknown>>()

  const state = await openState(store, changed)
  const http = createHttp({ url, token, fetch, sleep, random })
  const pull = createPull({ state, http, sleep })
  const push = createPush({ state, http, sleep, pull, resolve: merge, confirm })

  function changed (before: Reader, after: Reader, touched: ReadonlyMap<Table, readonly string[]>): void {
    const edits = [before, after].flatMap((reader) =>
      reader.entries('sent').flatMap(([, { edits }]) => edits.map(keyOf))
    )
    const keys = new Set([...touched.get('records0') ?? [], ...touched.get('records1') ?? [],
      ...touched.get('edits') ?? [], ...touched.has('sent') ? edits : []])
    const targets = [...keys].map(targetOf).filter((target) =>
      !same(viewOf(before, target), viewOf(after, target))
    )
    // A moment later, when it has become true; and what a listener throws is its own.
    if (targets.length > 0) {
      for (const listener of listeners) {
        queueMicrotask(() => {
          listener(targets)
        })
      }
    }
    for (const rejected of rejectedOf(after, touched.get('refused') ?? [])) {
      queueMicrotask(() => {
        onRejected?.(rejected)
      })
    }
    if (touched.has('edits')) {
      queueMicrotask(() => {
        for (const wake of wakers) wake()
      })
    }
  }

  const edited = (signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      const wake = () => {
        if (!signal.aborted && overlay(state).length === 0) return
        wakers.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      wakers.add(wake)
      signal.addEventListener('abort', wake)
      wake()
    })

  function collection<K extends Kind> (
    space: string,
    type: K
  ): Collection<Kinds[K]['record'], Kinds[K]['input']> {
    type Shown = Local<Kinds[K]['record']>
    const target = (id: string): Target => ({ space, type, id: fitting(ID, id, "A record's id") })
    return {
      get: (id) => viewOf(state, { space, type, id }) as Shown | undefined,
      list: () => [...listOf(state, space, type).values()] as Shown[],
      async put (id, record) {
        const [named, content] = [target(id), { ...DEFAULTS[type], ...jsonOf(contentOf(record)) }]
        await state.change((draft) => {
          note(draft, named, content)
        })
      },
      async update (id, fields) {
        const named = target(id)
        await state.change((draft) => {
          const shown = viewOf(draft, named)
          if (shown === undefined) throw new RangeError(`There is no ${type} ${id}.`)
          note(draft, named, { ...DEFAULTS[type], ...jsonOf({ ...contentOf(shown), ...contentOf(fields) }) })
        })
      },
      async delete (id) {
        const named = target(id)
        await state.change((draft) => {
          note(draft, named, undefined)
        })
      }
    }
  }

  function space (name: string): Space {
    fitting(SPACE, name, 'A space')
    return {
      bookmarks: collection(name, 'bookmark'),
      settings: collection(name, 'setting'),
      group: () => kept(name, 'group')[0],
      members: () => kept(name, 'member')
    }
  }

  const kept = <K extends keyof Kept>(space: string, type: K) =>
    [...listOf(state, space, type).values()] as unknown as Kept[K][]

  /** Something that `close` waits for. */
  function run (work: () => Promise<void>): Promise<void> {
    const promise = work()
    running.add(promise)
    promise.catch(() => {}).finally(() => running.delete(promise))
    return promise
  }

  const { signal } = closing
  return {
    ...space('me'),
    space,
    memberships: () => kept('me', 'membership'),
    invitations: () => kept('me', 'invitation'),
    sessions: () => kept('me', 'session'),
    pull: () => run(() => pull.all(signal)),
    push: () => run(() => push(signal)),
    sync: () =>
      run(async () => {
        do {
          await pull.all(signal)
          await push(signal)
          await pull.all(signal)
        } while (overlay(state).length > 0)
      }),
    follow: (until) => run(() => follow({ state, http, sleep, random, pull, push, edited }, [signal, until])),
    subscribe (listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    pending: () =>
      overlay(state).map(({ space, type, id, content }) => ({ space, type, id, record: content })),
    rejected: () => rejectedOf(state, state.entries('refused').map(([key]) => key)),
    dismiss: (key) =>
      state.change((draft) => {
        draft.set('refused', key, undefined)
      }),
    async close () {
      closing.abort()
      await Promise.allSettled(running)
      await state.change(() => {})
    }
  }
}

function rejectedOf (reader: Reader, keys: readonly string[]): Rejected[] {
  return keys.flatMap((key) => {
    const row = reader.get('refused', key)
    if (row === undefined) return []
    const { edit: { space, type, id, content }, problem } = row
    return [{ key, space, type, id, record: content, problem }]
  })
}

function fitting (grammar: RegExp, text: string, what: string): string {
  if (typeof text !== 'string' || !grammar.test(text)) {
    throw new TypeError(`${what} matches ${grammar.source}.`)
  }
  return text
}

/** A copy. @throws TypeError where JSON would make it something else */
function jsonOf (value: Content): Content {
  const copy = JSON.parse(JSON.stringify(value)) as Content
  if (!same(copy, value)) throw new TypeError('A record is JSON: no NaN, no Date, no class of your own.')
  return copy
}
