import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { Hub } from './hub.ts'

/** What a stream tells. */
export interface Event {
  id?: string
  event?: string
  data?: any
  comment?: true
}

/** A stream of events over a real connection. */
export async function connect (
  t: Test,
  { app }: Pick<Hub, 'app'>,
  token: string,
  url: string,
  headers: Record<string, string> = {}
): Promise<{ response: IncomingMessage, next(): Promise<Event | undefined>, close(): void }> {
  if (app.server.listening === false) await app.listen({ host: '127.0.0.1', port: 0 })
  const request = get(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}${url}`, {
    headers: { authorization: `Bearer ${token}`, ...headers },
    agent: false
  })
  t.teardown(() => request.destroy())
  const [response] = await once(request, 'response') as [IncomingMessage]
  async function* events (): AsyncGenerator<Event> {
    let text = ''
    for await (const chunk of response) {
      text += String(chunk)
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const fields = text.slice(0, end).split('\n').map((line) =>
          line.split(/:\s?(.*)/s, 2) as [string, string]
        )
        text = text.slice(end + 2)
        const { id, event, data, ...rest } = Object.fromEntries(fields)
        if ('' in rest) yield { comment: true }
        else if (event !== undefined) yield { event, ...id !== undefined && { id }, data: JSON.parse(data!) }
      }
    }
  }
  const stream = events()
  return {
    response,
    next: async () => (await stream.next()).value as Event | undefined,
    close: () => {
      request.destroy()
    }
  }
}
