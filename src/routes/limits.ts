import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { BOOKMARK_LIMITS, FOLDER_LIMITS } from '../../entities/bookmark.ts'
import { GROUP_LIMITS } from '../../entities/group.ts'
import { SESSION_LIMITS } from '../../entities/session.ts'
import type { Limits } from '../limits.ts'
import { noQuery } from './schemas.ts'

const Published = Type.Record(Type.String(), Type.Integer(), { title: 'Limits' })

/**
 * Every limit, by the name that errors call it. Lengths in characters, sizes in bytes, requests per minute
 * (0: no limit).
 */
export function publishedLimits (limits: Limits): Record<string, number> {
  const { url, title, description, tags, tag, position } = BOOKMARK_LIMITS
  const [
    { name: groupName, description: groupDescription },
    { name: sessionName, platform: sessionPlatform }
  ] = [GROUP_LIMITS, SESSION_LIMITS]
  return {
    ...limits,
    urlLength: url,
    titleLength: title,
    descriptionLength: description,
    tags,
    tagLength: tag,
    positionLength: position,
    folderDepth: FOLDER_LIMITS.depth,
    subfolders: FOLDER_LIMITS.subfolders,
    groupNameLength: groupName,
    groupDescriptionLength: groupDescription,
    sessionNameLength: sessionName,
    sessionPlatformLength: sessionPlatform
  }
}

export default async function limitsRoute (
  app: FastifyInstance,
  { limits }: { limits: Limits }
): Promise<void> {
  app.get('/v1/limits', {
    config: { public: true },
    schema: {
      tags: ['hub'],
      security: [],
      operationId: 'getLimits',
      summary: 'Get every limit of this hub',
      querystring: noQuery,
      response: { 200: Published }
    }
  }, async () => publishedLimits(limits))
}
