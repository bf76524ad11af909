import { createClient, indexedDbStore, type Client, type Options, type Status } from '@sync-hub/client'

/** Shows the bookmarks of who is signed in, and how the device stands. */
export async function start (page: Document, options: Options): Promise<Client> {
  const [status, list, form] = [page.querySelector('#status')!, page.querySelector('#list')!,
    page.querySelector<HTMLFormElement>('#add')!]

  const client = await createClient({
    store: indexedDbStore('bookmarks of alice'),
    ...options,
    onChange: show,
    onStatus: say,
    onRejected: ({ id, problem }) => {
      status.textContent = `${id} was not kept: ${problem.detail}`
    }
  })

  function show (): void {
    list.replaceChildren(
      ...client.bookmarks.list().map(({ title }) => {
        const item = page.createElement('li')
        item.textContent = title
        return item
      })
    )
  }

  function say ({ state, edits, since, problem }: Status): void {
    status.textContent = edits === 0 ? state : `${state}: ${edits} since ${since}`
    if (problem !== undefined && 'detail' in problem) status.textContent += ` (${problem.detail})`
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const url = new FormData(form).get('url') as string
    // At once, also offline; it fails where the device has no room.
    client.bookmarks.put(crypto.randomUUID(), { url, title: url, tags: [] }).catch((error: Error) => {
      status.textContent = error.message
    })
    form.reset()
  })

  show()
  say(client.status())
  // In step until close(): of several tabs one talks to the hub, and all show the same.
  client.follow().catch((error: Error) => {
    status.textContent = error.message
  })
  return client
}
