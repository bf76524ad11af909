import { Entity } from 'electrodb'
import { Type, type Static } from 'typebox'
import { define } from './definition.ts'
import { PlainId, Time, model, plainId, recordAttributes, recordIndexes } from './fields.ts'

/** Lengths are in characters (Unicode code points, as JSON Schema counts them). */
export const BOOKMARK_LIMITS = {
  url: 8192,
  title: 1024,
  description: 16384,
  tags: 64,
  tag: 64,
  position: 256
} as const

/** Names of routes beside those of single bookmarks: a bookmark of that name could not be read. */
export const RESERVED_IDS: ReadonlySet<string> = new Set(['import', 'export', 'tree', 'tags', 'duplicates'])

/** Folders within folders, and folders beside each other in one. */
export const FOLDER_LIMITS = { depth: 32, subfolders: 1000 } as const

/**
 * What a bookmark is. A folder holds the records whose `folderId` is its id; where it is left out it is a
 * bookmark. A note is text in the place of a bookmark: what it has of an address no client makes a link of.
 */
export const BOOKMARK_KINDS = ['bookmark', 'folder', 'note'] as const

const content = {
  kind: Type.Optional(
    Type.Union([Type.Literal('bookmark'), Type.Literal('folder'), Type.Literal('note')], {
      description: 'The default is bookmark'
    })
  ),
  url: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: BOOKMARK_LIMITS.url,
      description:
        'An absolute http, https, ftp or mailto URL, stored as it was sent. Every bookmark has one; folders and notes have none'
    })
  ),
  address: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: BOOKMARK_LIMITS.url,
      description:
        'Only notes have one: text in place of a URL (a bookmarklet, a file, a page of the browser itself). Never show it as a link'
    })
  ),
  title: Type.String({ maxLength: BOOKMARK_LIMITS.title }),
  description: Type.Optional(Type.String({ maxLength: BOOKMARK_LIMITS.description })),
  folderId: Type.Optional(
    Type.String({
      ...PlainId,
      description: 'The folder that it is in. If there is no such folder, it is shown at the root'
    })
  ),
  position: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: BOOKMARK_LIMITS.position,
      description:
        'A fractional index: the order within the folder, by code units. Items without one come last, the oldest first'
    })
  ),
  favorite: Type.Optional(Type.Boolean())
}
const tags = Type.Array(Type.String({ minLength: 1, maxLength: BOOKMARK_LIMITS.tag }), {
  maxItems: BOOKMARK_LIMITS.tags,
  uniqueItems: true,
  default: []
})

export const Bookmark = Type.Object({
  id: PlainId,
  ...content,
  tags,
  rev: Type.Integer({ readOnly: true }),
  createdAt: Time,
  updatedAt: Time
}, { title: 'Bookmark', additionalProperties: false })

/** A bookmark or a folder, as it travels. */
export type BookmarkRecord = Static<typeof Bookmark>

export const BookmarkInput = Type.Object({ ...content, tags: Type.Optional(tags) }, {
  title: 'BookmarkInput',
  description: 'A bookmark, or a folder',
  examples: [{ url: 'https://example.com/', title: 'Example', tags: ['reading'] }],
  additionalProperties: false
})

export const BookmarkEntity = new Entity({
  model: model('bookmark'),
  attributes: {
    ...recordAttributes,
    id: plainId,
    kind: { type: BOOKMARK_KINDS },
    url: { type: 'string' },
    address: { type: 'string' },
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
  store: ({ kind, url, address, title, description, tags = [], folderId, position, favorite }) => ({
    kind,
    url,
    address,
    title,
    description,
    tags,
    folderId,
    position,
    favorite
  }),
  present: (
    {
      id,
      kind,
      url,
      address,
      title,
      description,
      tags,
      folderId,
      position,
      favorite,
      rev,
      createdAt,
      updatedAt
    }
  ) => ({
    id,
    kind,
    url,
    address,
    title,
    description,
    tags,
    folderId,
    position,
    favorite,
    rev,
    createdAt,
    updatedAt
  })
})
