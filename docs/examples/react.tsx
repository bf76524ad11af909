import { createContext, useContext, useRef, useSyncExternalStore } from 'react'
import type { Client, Status } from '@sync-hub/client'

const Hub = createContext<Client | undefined>(undefined)
export const HubProvider = Hub.Provider

export function useHub (): Client {
  const client = useContext(Hub)
  if (client === undefined) throw new Error('There is no <HubProvider> above.')
  return client
}

/** What a look at the client gives, and again whenever something is different. */
export function useRecords<T> (look: (client: Client) => T): T {
  const client = useHub()
  // React compares by identity: between two changes the same is given.
  const kept = useRef<{ version: object, value: T }>(undefined)
  const version = useRef({})
  const subscribe = (changed: () => void) =>
    client.subscribe(() => {
      version.current = {}
      changed()
    })
  const get = () => {
    if (kept.current?.version !== version.current) {
      kept.current = { version: version.current, value: look(client) }
    }
    return kept.current.value
  }
  return useSyncExternalStore(subscribe, get, get)
}

export function useStatus (): Status {
  const client = useHub()
  const kept = useRef(client.status())
  const get = () => kept.current
  return useSyncExternalStore(
    (changed) =>
      client.subscribeStatus((status) => {
        kept.current = status
        changed()
      }),
    get,
    get
  )
}

export function Bookmarks () {
  const client = useHub()
  const bookmarks = useRecords((client) => client.bookmarks.list())
  const { state, edits } = useStatus()
  return (
    <>
      <p>{edits === 0 ? state : `${state}: ${edits}`}</p>
      <ul>
        {bookmarks.map(({ id, title, favorite = false }) => (
          <li key={id}>
            {title}
            <button onClick={() => void client.bookmarks.update(id, { favorite: !favorite })}>
              {favorite ? '★' : '☆'}
            </button>
          </li>
        ))}
      </ul>
    </>
  )
}
