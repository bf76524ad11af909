import { randomUUID } from 'node:crypto'
import { STATUS_CODES, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { ConnectionError, FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../errors.ts'
import { commonHeaders } from './headers.ts'

/** What a connection may take its time for, in milliseconds. Tests have less. */
export interface Patience {
  /** From the first byte of a request to the end of its headers. */
  readonly headersMs: number
  /** An upload is judged by what came in so long. */
  readonly windowMs: number
  /** Where neither side says anything for so long, and no answer is being made, the connection ends. */
  readonly silenceMs: number
  /** How long a connection that is given up is still read, so that its client can see the answer. */
  readonly lingerMs: number
}

export const PATIENCE: Patience = {
  headersMs: 10_000,
  windowMs: 15_000,
  silenceMs: 60_000,
  lingerMs: 1000
}

/**
 * Connections end by what they fail to do, not by how long it takes: an upload has to go on at some pace, and
 * who is silent has to be waiting for an answer of ours.
 */
export default fp<{ bytesPerSecond: number, patience: Patience }>(
  async (app, { bytesPerSecond, patience: { windowMs, silenceMs } }) => {
    /** Answers that are being made, by connection. */
    const answers = new WeakMap<Socket, number>()
    const watched = new WeakSet<IncomingMessage>()

    app.addHook('onRequest', async ({ raw: { socket } }, reply) => {
      answers.set(socket, (answers.get(socket) ?? 0) + 1)
      reply.raw.once('close', () => answers.set(socket, answers.get(socket)! - 1))
    })
    app.server.on('timeout', (socket: Socket) => {
      // Who does not read what is written is not waiting for it.
      if ((answers.get(socket) ?? 0) > 0 && socket.writableLength === 0) socket.setTimeout(silenceMs)
      else socket.destroy()
    })

    app.addHook('preParsing', (request, reply, payload, done) => {
      watch(request.raw, reply)
      done(null, payload)
    })
    // Of a request that was answered before it was read the rest still comes.
    app.addHook('onResponse', async (request, reply) => {
      watch(request.raw, reply)
    })

    function watch (raw: IncomingMessage, reply: FastifyReply): void {
      if (raw.complete !== false || raw.destroyed || watched.has(raw)) return
      watched.add(raw)
      let [before, since] = [raw.socket.bytesRead, performance.now()]
      const timer = setTimeout(() => {
        if (raw.complete || raw.destroyed) return
        const [bytes, took] = [raw.socket.bytesRead - before, performance.now() - since]
        // Where the process itself was away for long, its client is not to blame.
        if (bytes * 1000 >= bytesPerSecond * windowMs || took > windowMs * 1.5) {
          ;[before, since] = [raw.socket.bytesRead, performance.now()]
          timer.refresh()
          return
        }
        // The reader of the body hears it, and Fastify answers; where nobody reads there is nobody to answer.
        if (reply.sent || raw.listenerCount('error') === 0) raw.socket.destroy()
        else raw.emit('error', tooSlow(bytes, bytesPerSecond, windowMs))
      }, windowMs).unref()
      raw.once('close', () => {
        clearTimeout(timer)
      })
    }

    // What Node would answer without a body.
    app.server.on('checkExpectation', (_request, response) => {
      const { headers, body } = bareProblem(417)
      response.writeHead(417, headers).end(body)
    })
  },
  { name: 'connections' }
)

/** The time that the largest upload takes at the slowest pace: whatever takes longer is cut off. */
export const longestUploadMs = (most: number, bytesPerSecond: number, { windowMs }: Patience): number =>
  Math.ceil(most / bytesPerSecond) * 1000 + windowMs

function tooSlow (bytes: number, bytesPerSecond: number, windowMs: number): Problem {
  return new Problem(
    'REQUEST_TIMEOUT',
    `${bytes} bytes of the body came in ${
      windowMs / 1000
    } s; an upload has to bring ${bytesPerSecond} a second.`,
    {
      limit: {
        name: 'uploadBytesPerSecond',
        value: bytesPerSecond,
        sent: Math.floor(bytes * 1000 / windowMs)
      },
      headers: { connection: 'close' }
    }
  )
}

/**
 * Answers what never became a request (a broken request line, headers beyond the limit or that never end),
 * without Fastify: there is no reply to use. Then the connection is closed, whatever its client does: who only
 * ends his own side leaves it half open for as long as the other likes.
 */
export const clientError = ({ lingerMs }: Patience) => (error: ConnectionError, socket: Socket): void => {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const status = STATUS_OF.get(error.code) ?? 400
  const { headers, body } = bareProblem(status)
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines}\r\n${body}`)
  // To destroy it at once would take the answer along where bytes are on their way to us.
  socket.resume()
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => {
    clearTimeout(timer)
  })
}

const STATUS_OF = new Map<string | undefined, number>([['HPE_HEADER_OVERFLOW', 431], [
  'ERR_HTTP_REQUEST_TIMEOUT',
  408
]])

/** A problem of what has no request of Fastify's, and so no line in the log. */
function bareProblem (status: number): { headers: Record<string, string | number>, body: string } {
  const errorType = status === 408 ? 'REQUEST_TIMEOUT' : 'MALFORMED_REQUEST'
  const id = randomUUID()
  const body = JSON.stringify({
    type: `urn:sync-hub:problem:${errorType.toLowerCase().replace('_', '-')}`,
    title: STATUS_CODES[status],
    status,
    instance: id,
    errorType
  })
  const headers = {
    ...commonHeaders(id),
    'content-type': 'application/problem+json',
    'content-length': body.length,
    connection: 'close'
  }
  return { headers, body }
}
