import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import { mergePatchOf } from '../../entities/definition.ts'
import { PlainId, Time } from '../../entities/fields.ts'
import { Session, SessionInput } from '../../entities/session.ts'
import type { Config } from '../config.ts'
import { etag, preconditionOf } from './conditions.ts'
import { conditionalWrite, idempotentWrite, noQuery, problems } from './schemas.ts'

const SessionBody = Type.Object({
  ...Session.properties,
  lastSeenAt: Type.Optional({ ...Time, description: 'When it was last used, accurate to five minutes' })
}, { title: 'Session' })
const SignedIn = Type.Object({
  session: SessionBody,
  deviceToken: Type.String({
    description:
      'Shown only once. Send it as a Bearer token, or as the password of Basic auth with the user id as the name'
  })
}, { title: 'SignedIn' })
type Input = Static<typeof SessionInput>

/** The devices of a user: signed in by a token of their own, or by a code that another device shows. */
export default async function sessions (
  app: FastifyInstance,
  { publicUrl }: Pick<Config, 'publicUrl'>
): Promise<void> {
  const tags = ['sessions']
  const one = { tags, params: Type.Object({ id: PlainId }), querystring: noQuery }
  const gone = { 204: Type.Null(), ...problems }

  app.get('/v1/sessions', {
    schema: {
      tags,
      operationId: 'listSessions',
      summary: 'List your devices and app passwords',
      querystring: noQuery,
      response: { 200: Type.Object({ items: Type.Array(SessionBody) }), ...problems }
    }
  }, async ({ services }) => ({ items: await services.sessions.list() }))

  app.post<{ Body: Input }>('/v1/sessions', {
    schema: {
      tags,
      operationId: 'createSession',
      summary: 'Sign a device in, or create an app password',
      description:
        'The token is shown only once, so an Idempotency-Key is refused. If the answer is lost, revoke that session and create another.',
      querystring: noQuery,
      body: SessionInput,
      response: { 201: SignedIn, ...problems }
    }
  }, async ({ services, body }, reply) => {
    const signedIn = await services.sessions.register(body)
    reply.code(201).header('location', `/v1/sessions/${signedIn.session.id}`)
    return signedIn
  })

  app.delete('/v1/sessions', {
    schema: {
      tags,
      operationId: 'deleteSessions',
      summary: 'Sign out everywhere',
      description:
        'Revokes all your device tokens and app passwords, including the one that you use. Tokens of your identity provider stay valid until they expire.',
      querystring: noQuery,
      response: gone
    }
  }, async ({ services }, reply) => {
    await services.sessions.removeAll()
    return reply.code(204).send()
  })

  app.get<{ Params: { id: string } }>('/v1/sessions/:id', {
    schema: {
      ...one,
      operationId: 'getSession',
      summary: 'Get a device or app password',
      response: { 200: SessionBody, ...problems }
    }
  }, async ({ services, params }, reply) => {
    const session = await services.sessions.get(params.id)
    reply.header('etag', etag(session.rev))
    return session
  })

  app.patch<{ Params: { id: string } }>('/v1/sessions/:id', {
    schema: {
      ...one,
      operationId: 'updateSession',
      summary: 'Rename a device',
      consumes: ['application/merge-patch+json', 'application/json'],
      headers: conditionalWrite,
      body: mergePatchOf(
        Type.Pick(SessionInput, ['name', 'platform'], {
          title: 'SessionInput',
          examples: [{ name: 'Old laptop' }],
          additionalProperties: false
        })
      ),
      response: { 200: SessionBody, ...problems }
    }
  }, async (request, reply) => {
    const session = await request.services.sessions.patch(
      request.params.id,
      request.body as object,
      preconditionOf(request)
    )
    reply.header('etag', etag(session.rev))
    return session
  })

  app.delete<{ Params: { id: string } }>('/v1/sessions/:id', {
    schema: {
      ...one,
      operationId: 'deleteSession',
      summary: 'Sign a device out, or revoke an app password',
      headers: idempotentWrite,
      response: gone
    }
  }, async ({ services, params }, reply) => {
    await services.sessions.remove(params.id)
    return reply.code(204).send()
  })

  app.post('/v1/pairings', {
    preHandler: (request, reply) => app.limitPairings(request, reply),
    schema: {
      tags,
      operationId: 'createPairing',
      summary: 'Create a pairing code for a new device',
      description:
        'The code has eight letters. It works once, for ten minutes, and stops working after four wrong tries.',
      querystring: noQuery,
      response: {
        201: Type.Object({
          code: Type.String({ description: 'In the form XXXX-XXXX' }),
          expiresAt: Time,
          pairingUri: Type.String({
            description:
              'The address of the hub and the code, to be shown as a QR code. If the hub has no PUBLIC_URL, it holds the code alone'
          })
        }, { title: 'Pairing' }),
        ...problems
      }
    }
  }, async (request, reply) => {
    const { code, expiresAt } = await request.pair()
    const shown = `${code.slice(0, 4)}-${code.slice(4)}`
    const query = new URLSearchParams({ ...publicUrl !== undefined && { hub: publicUrl }, code: shown })
    reply.code(201)
    return { code: shown, expiresAt, pairingUri: `sync-hub:pair?${query.toString()}` }
  })

  app.post<{ Body: Input & { code: string } }>('/v1/pairings/claim', {
    config: { public: true },
    onRequest: (request, reply) => app.limitClaims(request, reply),
    schema: {
      tags,
      security: [],
      operationId: 'claimPairing',
      summary: 'Sign a new device in with a pairing code',
      description: 'Needs no token. The answer is the same for wrong, used and expired codes.',
      querystring: noQuery,
      body: Type.Object({
        code: Type.String({
          minLength: 8,
          maxLength: 32,
          description: 'The code as it is shown. Case, blanks and hyphens do not matter'
        }),
        name: SessionInput.properties.name,
        platform: SessionInput.properties.platform
      }, {
        title: 'PairingClaim',
        description: 'The code, and the name of the new device',
        examples: [{ code: 'BCDF-GHJK', name: 'Phone', platform: 'Android' }],
        additionalProperties: false
      }),
      response: { 201: SignedIn, ...problems }
    }
  }, async (request, reply) => {
    const { code, ...device } = request.body
    const signedIn = await request.claim(code, device)
    reply.code(201)
    return signedIn
  })
}
