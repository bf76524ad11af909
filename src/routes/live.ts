import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Limits } from '../limits.ts'
import { Problem } from '../errors.ts'
import { tell, toProblem } from '../plugins/problems.ts'
import type { Pulled } from '../services/sync/pull.ts'
import { operations, SyncCursor } from './sync.ts'
import { problems } from './schemas.ts'

/** Also how often it is asked whether the tenant is still active. */
const HEARTBEAT_MS = 5_000

interface Query {
  cursor?: string
  limit: number
}

/**
 * Changes as they happen: server-sent events (WHATWG HTML, section 9.2) whose id is the cursor, so that
 * Last-Event-ID resumes.
 */
export default async function live (
  app: FastifyInstance,
  { limits, streamSeconds }: { limits: Limits, streamSeconds: number }
): Promise<void> {
  app.get<{ Querystring: Query }>('/v1/sync/live', {
    schema: {
      tags: ['sync'],
      operationId: 'streamChanges',
      summary: 'Stream changes as server-sent events',
      description:
        'The data of each event `changes` is an answer of GET /v1/sync, and the id of the event is the cursor. After an event `problem` the stream ends. A stream lasts at most ten minutes; an EventSource reconnects by itself.',
      querystring: Type.Object({
        cursor: Type.Optional(SyncCursor),
        limit: operations(limits.syncOperations)
      }, { additionalProperties: false }),
      headers: Type.Object({ 'last-event-id': Type.Optional(SyncCursor) }),
      response: {
        200: {
          description: 'A stream of events',
          content: { 'text/event-stream': { schema: Type.String() } }
        },
        ...problems
      }
    }
  }, async (request, reply) => {
    if (streamSeconds === 0) {
      throw new Problem(
        'LIVE_UNAVAILABLE',
        "Answers can't be streamed here. Wait for changes with GET /v1/sync?wait=25.",
        { headers: { link: '</v1/sync?wait=25>; rel="alternate"' } }
      )
    }
    const { cursor, limit } = request.query
    // Then the client comes again with its last cursor: with a token that is checked, and to a process that
    // may be another.
    const timeout = AbortSignal.timeout(
      Math.max(0, Math.min(streamSeconds * 1000, request.identity!.expiresAt - Date.now()))
    )
    const signal = AbortSignal.any([app.untilGone(reply), timeout])
    // Who is gone already will not close again.
    if (reply.raw.destroyed) return reply.send('')
    const leave = request.services.sync.enter()
    reply.raw.once('close', leave)
    // The first answer comes before the head of the stream: a cursor that is no good is a status, as
    // everywhere.
    const from = request.headers['last-event-id'] as string | undefined ?? cursor
    const first = await request.services.sync.pull({ cursor: from, limit })
    return reply.headers({ 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' })
      .send(Readable.from(events(request, first, limit, signal)))
  })

  async function* events (
    request: FastifyRequest,
    first: Pulled,
    limit: number,
    signal: AbortSignal
  ): AsyncGenerator<string> {
    let pulled = first
    // Who was told that there is more is told as well when there is none.
    let owed = false
    yield 'retry: 1000\n\n'
    try {
      for (;;) {
        if (pulled.changes.length > 0 || pulled.reset === true || (owed && !pulled.more)) {
          yield `id: ${pulled.cursor}\nevent: changes\ndata: ${JSON.stringify(pulled)}\n\n`
        } else yield ':\n\n'
        owed = pulled.more
        if (signal.aborted) return
        const { cursor } = pulled
        const { outside } = request.turn
        pulled = await request.turn.within(() =>
          request.services.sync.follow({ cursor, limit, wait: HEARTBEAT_MS, signal, outside })
        )
        // What came meanwhile may be that the device was signed out.
        await Promise.all([request.assertActive(), request.assertSignedIn()])
      }
    } catch (error) {
      yield `event: problem\ndata: ${JSON.stringify(tell(request, toProblem(error), error))}\n\n`
    }
  }
}
