import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { bookmark, BOOKMARK_LIMITS } from '../../entities/bookmark.ts'
import { PlainId } from '../../entities/fields.ts'
import type { Limits } from '../config.ts'
import { matching, type BookmarkFilter } from '../services/bookmarks.ts'
import { recordRoutes } from './records.ts'

const query = {
  folderId: Type.Optional(PlainId),
  tag: Type.Optional(Type.String({ minLength: 1, maxLength: BOOKMARK_LIMITS.tag })),
  url: Type.Optional(Type.String({ minLength: 1, maxLength: BOOKMARK_LIMITS.url, description: 'Compared as WHATWG URLs' })),
  favorite: Type.Optional(Type.Boolean()),
  sort: Type.Optional(Type.Literal('-createdAt', { description: 'Newest first; otherwise by id' }))
}

export default async function bookmarks (app: FastifyInstance, { limits }: { limits: Limits }): Promise<void> {
  recordRoutes(app, {
    path: '/bookmarks',
    definition: bookmark,
    id: PlainId,
    pageItems: limits.pageItems,
    service: ({ space }) => space.bookmarks,
    add: true,
    query,
    filter: ({ sort, ...filter }) => ({ newestFirst: sort !== undefined, matches: matching(filter as BookmarkFilter) })
  })
}
