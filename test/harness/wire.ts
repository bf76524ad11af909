import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

/** A network between hubs and a store: what processes of their own can be made to suffer. */
export interface Wire {
  readonly endpoint: string
  /** Share of the requests that get lost, and of the replies. The SDK tries again by itself. */
  rates: { lost: number, cut: number }
  readonly counts: { passed: number, lost: number, cut: number }
  /** Called with each request before it is passed on. */
  onRequest: (operation: string, input: any) => void
}

/** @param random numbers from 0 to 1 */
export async function startWire (t: Test, store: string, random: () => number): Promise<Wire> {
  const wire = {
    endpoint: '',
    rates: { lost: 0, cut: 0 },
    counts: { passed: 0, lost: 0, cut: 0 },
    onRequest: (_operation: string, _input: any) => {}
  }
  const strikes = (fault: 'lost' | 'cut') => random() < wire.rates[fault] && ++wire.counts[fault] > 0

  async function pass (given: IncomingMessage, reply: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of given) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    wire.onRequest(String(given.headers['x-amz-target']).split('.')[1]!, JSON.parse(body.toString()))
    if (strikes('lost')) return void reply.destroy()
    const sent = request(store, { method: given.method!, path: given.url!, headers: given.headers }).end(body)
    const [answer] = await once(sent, 'response') as [IncomingMessage]
    const text = Buffer.concat(await answer.toArray() as Buffer[])
    if (strikes('cut')) return void reply.destroy()
    wire.counts.passed++
    reply.writeHead(answer.statusCode!, answer.headers).end(text)
  }

  const server = createServer((given, reply) => {
    pass(given, reply).catch(() => {
      reply.destroy()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  wire.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return wire
}
