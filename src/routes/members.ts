import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type, type Static } from 'typebox'
import { PlainId } from '../../entities/fields.ts'
import { Member } from '../../entities/group-member.ts'
import { Membership, RoleName, type Role } from '../../entities/membership.ts'
import { Invitation } from '../../entities/invitation.ts'
import type { Limits } from '../limits.ts'
import { etag, preconditionOf } from './conditions.ts'
import { idempotentWrite, matchingWrite, noQuery, pageOf, pageQuery, problems } from './schemas.ts'
import space from './space.ts'

const Invited = Type.Object({
  userId: PlainId,
  role: Type.Optional(
    Type.Union([Type.Literal('owner'), Type.Literal('editor'), Type.Literal('viewer')], { default: 'viewer' })
  )
}, {
  title: 'InvitationInput',
  description: 'The user to invite, and the role',
  examples: [{ userId: 'bob', role: 'editor' }],
  additionalProperties: false
})
type Page = { limit: number, cursor?: string }
type OfOne = { Params: { groupId: string, userId: string } }

/** Who is in a group, and who is asked to be. */
export default async function members (app: FastifyInstance, { limits }: { limits: Limits }): Promise<void> {
  const tags = ['groups']
  const manage = { action: 'manage' } as const
  const inGroup = { tags, params: Type.Object({ groupId: PlainId }) }
  const one = {
    tags,
    params: Type.Object({ groupId: PlainId, userId: PlainId }),
    querystring: noQuery,
    headers: matchingWrite
  }
  const gone = { 204: Type.Null(), ...problems }
  // Each is a write to somebody else's space.
  const toOthers = {
    preHandler: (request: FastifyRequest, reply: FastifyReply) => app.limitPeopleChanges(request, reply)
  }
  await app.register(space)

  app.get<{ Querystring: Page }>('/v1/groups/:groupId/members', {
    schema: {
      ...inGroup,
      operationId: 'listMembers',
      summary: 'List the members of a group',
      querystring: pageQuery({}, limits.pageItems),
      response: { 200: pageOf(Member), ...problems }
    }
  }, ({ group, query }) => group.members.list('active', query))

  app.put<OfOne & { Body: { role: Role } }>('/v1/groups/:groupId/members/:userId', {
    ...toOthers,
    config: manage,
    schema: {
      ...one,
      operationId: 'putMember',
      summary: 'Change the role of a member',
      description: 'A group always has an owner: the last one cannot be demoted (409 LAST_OWNER).',
      body: Type.Object({ role: RoleName }, {
        title: 'MemberInput',
        description: 'The new role of the member',
        examples: [{ role: 'editor' }],
        additionalProperties: false
      }),
      response: { 200: Member, ...problems }
    }
  }, async (request, reply) => {
    const { group, params, body } = request
    const member = await group.members.setRole(params.userId, body.role, preconditionOf(request))
    reply.header('etag', etag(member.rev))
    return member
  })

  app.delete<OfOne>('/v1/groups/:groupId/members/:userId', {
    ...toOthers,
    config: { action: 'read' },
    schema: {
      ...one,
      operationId: 'deleteMember',
      summary: 'Leave a group, or remove a member',
      description:
        'Every member may leave. Only an owner may remove another member. A group always has an owner: the last one cannot leave (409 LAST_OWNER).',
      response: gone
    }
  }, async (request, reply) => {
    const { group, params } = request
    await group.members.remove(params.userId, preconditionOf(request))
    return reply.code(204).send()
  })

  app.get<{ Querystring: Page }>('/v1/groups/:groupId/invitations', {
    schema: {
      ...inGroup,
      operationId: 'listGroupInvitations',
      summary: 'List the invitations of a group',
      querystring: pageQuery({}, limits.pageItems),
      response: { 200: pageOf(Member), ...problems }
    }
  }, ({ group, query }) => group.members.list('invited', query))

  app.post<{ Body: { userId: string, role: Role } }>('/v1/groups/:groupId/invitations', {
    ...toOthers,
    config: manage,
    schema: {
      ...inGroup,
      operationId: 'createInvitation',
      summary: 'Invite a user of your tenant',
      description:
        'The user need not have signed in yet, and finds the invitation at the first sync. An invitation is valid for two weeks; inviting the same user again replaces it. If the user has blocked you, the answer is 403 BLOCKED.',
      querystring: noQuery,
      headers: idempotentWrite,
      body: Invited,
      response: { 201: Member, ...problems }
    }
  }, async ({ group, body }, reply) => {
    reply.code(201)
    return group.invite(body)
  })

  app.delete<OfOne>('/v1/groups/:groupId/invitations/:userId', {
    ...toOthers,
    config: manage,
    schema: { ...one, operationId: 'deleteInvitation', summary: 'Withdraw an invitation', response: gone }
  }, async (request, reply) => {
    const { group, params } = request
    await group.members.withdraw(params.userId, preconditionOf(request))
    return reply.code(204).send()
  })

  app.get<{ Querystring: Page }>('/v1/invitations', {
    schema: {
      tags,
      operationId: 'listInvitations',
      summary: 'List your invitations',
      querystring: pageQuery({}, limits.pageItems),
      response: { 200: pageOf(Invitation), ...problems }
    }
  }, ({ services, query }) => services.invitations.list(query))

  // No answer to an invitation is asked of the group, which its receiver is not in.
  const answer = {
    tags,
    params: Type.Object({ id: PlainId }),
    querystring: noQuery,
    headers: idempotentWrite
  }

  app.post<{ Params: { id: string } }>('/v1/invitations/:id/accept', {
    schema: {
      ...answer,
      operationId: 'acceptInvitation',
      summary: 'Accept an invitation and join the group',
      response: { 200: Membership, ...problems }
    }
  }, ({ services, params }): Promise<Static<typeof Membership>> => services.invitations.accept(params.id))

  app.post<{ Params: { id: string } }>('/v1/invitations/:id/decline', {
    schema: { ...answer, operationId: 'declineInvitation', summary: 'Decline an invitation', response: gone }
  }, async ({ services, params }, reply) => {
    await services.invitations.decline(params.id)
    return reply.code(204).send()
  })
}
