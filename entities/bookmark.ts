import { Entity } from 'electrodb'
import { Type } from 'typebox'
import { define } from './definition.ts'
import { PlainId, Time, model, plainId, recordAttributes, recordIndexes } from './fields.ts'

/** Lengths are in characters (Unicode code points, as JSON Schema counts them). */
export const BOOKMARK_LIMITS = { url: 8192, title: 1024, description: 16384, tags: 64, tag: 64, position: 256 } as const

const content = {
  url: Type.String({ minLength: 1, maxLength: BOOKMARK_LIMITS.url, description: 'An absolute http, https, ftp or mailto URL; kept as it was sent' }),
  title: Type.String({ maxLength: BOOKMARK_LIMITS.title }),
  description: Type.Optional(Type.String({ maxLength: BOOKMARK_LIMITS.description })),
  folderId: Type.Optional(PlainId),
  position: Type.Optional(Type.String({ minLength: 1, maxLength: BOOKMARK_LIMITS.position, description: 'A fractional index: order within the folder' })),
  favorite: Type.Optional(Type.Boolean())
}
const tags = Type.Array(Type.String({ minLength: 1, maxLength: BOOKMARK_LIMITS.tag }), { maxItems: BOOKMARK_LIMITS.tags, uniqueItems: true, default: [] })

export const Bookmark = Type.Object({
  id: PlainId,
  ...content,
  tags,
  rev: Type.Integer({ readOnly: true }),
  createdAt: Time,
  updatedAt: Time
}, { additionalProperties: false })

export const BookmarkInput = Type.Object({ ...content, tags: Type.Optional(tags) }, { additionalProperties: false })

export const BookmarkEntity = new Entity({
  model: model('bookmark'),
  attributes: {
    ...recordAttributes,
    id: plainId,
    url: { type: 'string', required: true },
    title: { type: 'string', required: true },
    description: { type: 'string' },
    tags: { type: 'list', items: { type: 'string' }, required: true },
    folderId: { type: 'string' },
    position: { type: 'string' },
    favorite: { type: 'boolean' }
  },
  indexes: recordIndexes
})

export const bookmark = define({
  resource: 'bookmark',
  record: Bookmark,
  input: BookmarkInput,
  entity: BookmarkEntity,
  pushable: true,
  store: ({ url, title, description, tags = [], folderId, position, favorite }) => ({ url, title, description, tags, folderId, position, favorite }),
  present: ({ id, url, title, description, tags, folderId, position, favorite, rev, createdAt, updatedAt }) =>
    ({ id, url, title, description, tags, folderId, position, favorite, rev, createdAt, updatedAt })
})
