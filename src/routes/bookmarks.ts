import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { bookmark, BOOKMARK_KINDS, BOOKMARK_LIMITS } from '../../entities/bookmark.ts'
import { PlainId } from '../../entities/fields.ts'
import type { Limits } from '../limits.ts'
import { Problem } from '../errors.ts'
import { matching } from '../services/bookmarks/index.ts'
import type { Destination } from '../services/bookmarks/move.ts'
import { etag, preconditionOf } from './conditions.ts'
import { recordRoutes } from './records.ts'
import { idempotentWrite, matchingWrite, noQuery, pageOf, pageQuery, paramsOf, problems } from './schemas.ts'

/** Characters of a search. */
const MAX_QUERY = 1000

const Tag = Type.String({ minLength: 1, maxLength: BOOKMARK_LIMITS.tag })
const Retagged = Type.Object(
  { changed: Type.Integer({ description: 'How many bookmarks and folders had the tag' }) },
  { title: 'TagResult' }
)
interface Paging {
  limit: number
  cursor?: string
}

/** A bookmark in a list; what a search found has the places of its words. */
const Places = Type.Optional(
  Type.Array(Type.Array(Type.Integer()), {
    description: 'Start and length of each match, in UTF-16 code units'
  })
)
const Found = Type.Object({
  ...bookmark.record.properties,
  highlights: Type.Optional(
    Type.Object({
      title: Places,
      url: Places,
      description: Places,
      tags: Type.Optional(Type.Array(Type.String()))
    }, { description: 'Present in answers to a search (q)' })
  )
}, { title: 'FoundBookmark', additionalProperties: false })

const query = {
  q: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: MAX_QUERY,
      description:
        'A search: words (the beginning of a word and small typos match too), "phrases", tag:x, site:example.com, folder:Name. The best match comes first'
    })
  ),
  folderId: Type.Optional(PlainId),
  tag: Type.Optional(Tag),
  url: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: BOOKMARK_LIMITS.url,
      description:
        'Finds bookmarks of the same page. The comparison ignores http or https, www., default port, closing slash, fragment and parameters of trackers'
    })
  ),
  kind: Type.Optional(Type.Union(BOOKMARK_KINDS.map((kind) => Type.Literal(kind)))),
  favorite: Type.Optional(Type.Boolean()),
  sort: Type.Optional(Type.Literal('-createdAt', { description: 'Newest first. The default order is by id' }))
}

/** The root, or a folder. */
const Branch = Type.Object({
  id: Type.Optional(PlainId),
  title: Type.Optional(Type.String()),
  bookmarks: Type.Integer({ description: 'How many bookmarks are in it, without those in its folders' }),
  folders: Type.Array(Type.Unknown({ description: 'Its folders, each with the same fields' })),
  items: Type.Optional(Type.Array(PlainId))
}, { title: 'BookmarkTree' })

export default async function bookmarks (
  app: FastifyInstance,
  { limits }: { limits: Limits }
): Promise<void> {
  recordRoutes(app, {
    path: '/bookmarks',
    definition: bookmark,
    id: PlainId,
    pageItems: limits.pageItems,
    service: ({ space }) => space.bookmarks,
    add: true,
    query,
    removal: {
      confirm: Type.Optional(
        Type.Boolean({ description: 'Allows deleting a folder that holds more than half of the space' })
      )
    },
    item: Found,
    filter: ({ sort, q, ...filter }) => {
      if (sort !== undefined && q !== undefined) {
        throw new Problem('VALIDATION_FAILED', 'A search has its own order: leave out sort.', {
          errors: [{ pointer: 'querystring/sort', detail: 'does not go with q' }]
        })
      }
      return {
        newestFirst: sort !== undefined,
        matches: matching(filter),
        ...q !== undefined && { q: q as string },
        ...sort === undefined && filter.url !== undefined && { url: filter.url as string }
      }
    }
  })

  const tags = ['bookmarks']
  const params = paramsOf(app)

  app.get<{ Querystring: { items: boolean } }>('/bookmarks/tree', {
    schema: {
      tags,
      params,
      operationId: 'getBookmarkTree',
      summary: 'Get the tree of folders',
      querystring: Type.Object({
        items: Type.Optional(
          Type.Boolean({
            default: false,
            description: 'Adds the ids of the bookmarks and folders in each folder, in their order'
          })
        )
      }, { additionalProperties: false }),
      response: { 200: Branch, ...problems }
    }
  }, ({ space, query }) => space.bookmarks.tree(query.items))

  app.post<{ Params: { id: string }, Body: Destination }>('/bookmarks/:id/move', {
    schema: {
      tags,
      params: paramsOf(app, { id: PlainId }),
      operationId: 'moveBookmark',
      summary: 'Move a bookmark or folder',
      description:
        'Moves it to the end of a folder, or next to a neighbour. If a folder would end up inside itself, the answer is 409 FOLDER_CYCLE.',
      querystring: noQuery,
      headers: matchingWrite,
      body: Type.Object({
        folderId: Type.Optional(
          Type.Union([PlainId, Type.Null()], {
            description:
              'The folder to move it to; null is the root. If it is absent, the folder does not change'
          })
        ),
        before: Type.Optional(PlainId),
        after: Type.Optional(PlainId)
      }, {
        title: 'Destination',
        description: 'The new place',
        examples: [{ folderId: null }],
        additionalProperties: false
      }),
      response: { 200: bookmark.record, ...problems }
    }
  }, async (request, reply) => {
    const record = await request.space.bookmarks.move(
      request.params.id,
      request.body,
      preconditionOf(request)
    )
    reply.header('etag', etag(record.rev))
    return record
  })

  app.get<{ Querystring: Paging }>('/bookmarks/tags', {
    schema: {
      tags,
      params,
      operationId: 'listBookmarkTags',
      summary: 'List tags, with the number of bookmarks of each',
      querystring: pageQuery({}, limits.pageItems),
      response: {
        200: pageOf(Type.Object({ tag: Type.String(), count: Type.Integer() }, { title: 'TagCount' })),
        ...problems
      }
    }
  }, ({ space, query }) => space.bookmarks.tags(query))

  app.patch<{ Body: { tag: string, to: string } }>('/bookmarks/tags', {
    schema: {
      tags,
      params,
      operationId: 'renameBookmarkTag',
      summary: 'Rename a tag in the whole space',
      description: 'Writes one change-set, or a staged batch if more than 65 bookmarks have the tag.',
      querystring: noQuery,
      headers: idempotentWrite,
      body: Type.Object({ tag: Tag, to: Tag }, {
        title: 'TagRename',
        description: 'The current name of the tag, and the new one',
        examples: [{ tag: 'reading', to: 'books' }],
        additionalProperties: false
      }),
      response: { 200: Retagged, ...problems }
    }
  }, async ({ space, body }) => ({ changed: await space.bookmarks.replaceTag(body.tag, body.to) }))

  app.delete<{ Querystring: { tag: string } }>('/bookmarks/tags', {
    schema: {
      tags,
      params,
      operationId: 'deleteBookmarkTag',
      summary: 'Remove a tag from the whole space',
      querystring: Type.Object({ tag: Tag }, { additionalProperties: false }),
      headers: idempotentWrite,
      response: { 200: Retagged, ...problems }
    }
  }, async ({ space, query }) => ({ changed: await space.bookmarks.replaceTag(query.tag, undefined) }))

  app.get<{ Querystring: Paging }>('/bookmarks/duplicates', {
    schema: {
      tags,
      params,
      operationId: 'listBookmarkDuplicates',
      summary: 'List pages that are bookmarked more than once',
      querystring: pageQuery({}, limits.pageItems),
      response: {
        200: pageOf(
          Type.Object({
            page: Type.String({ description: 'The part that the URLs have in common' }),
            count: Type.Integer(),
            bookmarks: Type.Array(bookmark.record)
          }, { title: 'Duplicate' })
        ),
        ...problems
      }
    }
  }, ({ space, query }) => space.bookmarks.duplicates(query))
}
