import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import { mergePatchOf } from '../../entities/definition.ts'
import { PlainId } from '../../entities/fields.ts'
import { Group, GroupInput } from '../../entities/group.ts'
import { RoleName } from '../../entities/membership.ts'
import type { Limits } from '../limits.ts'
import type { MyGroup } from '../services/groups/index.ts'
import { etag, preconditionOf, sendRecord } from './conditions.ts'
import {
  conditionalRead,
  conditionalWrite,
  idempotentWrite,
  matchingOnce,
  noQuery,
  pageOf,
  pageQuery,
  problems
} from './schemas.ts'
import space from './space.ts'

const MyGroupBody = Type.Object({ ...Group.properties, role: RoleName }, { title: 'Group' })
type Input = Static<typeof GroupInput>

/** Groups of people, each with a space of its own. */
export default async function groups (app: FastifyInstance, { limits }: { limits: Limits }): Promise<void> {
  const tags = ['groups']
  const manage = { action: 'manage' } as const
  await app.register(space)

  app.get<{ Querystring: { limit: number, cursor?: string } }>('/v1/groups', {
    schema: {
      tags,
      operationId: 'listGroups',
      summary: 'List your groups',
      querystring: pageQuery({}, limits.pageItems),
      response: { 200: pageOf(MyGroupBody), ...problems }
    }
  }, ({ services, query }) => services.groups.list(query))

  app.post<{ Body: Input }>('/v1/groups', {
    schema: {
      tags,
      operationId: 'createGroup',
      summary: 'Create a group',
      querystring: noQuery,
      headers: idempotentWrite,
      body: GroupInput,
      response: { 201: MyGroupBody, ...problems }
    }
  }, async ({ services, body }, reply) => {
    const group = await services.groups.create(body)
    reply.code(201).headers({ etag: etag(group.rev), location: `/v1/groups/${group.id}` })
    return group
  })

  const one = { tags, params: Type.Object({ groupId: PlainId }), querystring: noQuery }
  const saved = { ...one, headers: conditionalWrite, response: { 200: MyGroupBody, ...problems } }
  const send = (reply: { header(name: string, value: string): unknown }, group: MyGroup): MyGroup => {
    reply.header('etag', etag(group.rev))
    return group
  }

  app.get('/v1/groups/:groupId', {
    schema: {
      ...one,
      operationId: 'getGroup',
      summary: 'Get a group',
      headers: conditionalRead,
      response: { 200: MyGroupBody, ...problems }
    }
  }, async (request, reply) => sendRecord(request, reply, await request.group.group.get()))

  app.put<{ Body: Input }>(
    '/v1/groups/:groupId',
    {
      config: manage,
      schema: { ...saved, operationId: 'putGroup', summary: 'Rename a group', body: GroupInput }
    },
    async (request, reply) =>
      send(reply, await request.group.group.put(request.body, preconditionOf(request)))
  )

  app.patch(
    '/v1/groups/:groupId',
    {
      config: manage,
      schema: {
        ...saved,
        operationId: 'updateGroup',
        summary: 'Change a group (JSON Merge Patch, RFC 7396)',
        consumes: ['application/merge-patch+json', 'application/json'],
        body: mergePatchOf(GroupInput)
      }
    },
    async (request, reply) =>
      send(reply, await request.group.group.patch(request.body as object, preconditionOf(request)))
  )

  app.delete('/v1/groups/:groupId', {
    config: manage,
    schema: {
      ...one,
      operationId: 'deleteGroup',
      summary: 'Delete a group',
      description:
        'Deletes it for everyone. Members and invitations are removed in transactions of about twenty, and the owner is removed last. If the request is interrupted, send it again.',
      headers: matchingOnce,
      response: { 204: Type.Null(), ...problems }
    }
  }, async (request, reply) => {
    await request.group.group.remove(preconditionOf(request))
    return reply.code(204).send()
  })
}
