import { bookmark, type Bookmark, type BookmarkInput } from '../../entities/bookmark.ts'
import type { Static } from 'typebox'
import { Problem } from '../errors.ts'
import { collection, type Collection } from './collection.ts'
import type { Context } from './context.ts'

/** What a browser may safely open from a list that someone else wrote. */
const SCHEMES = ['http:', 'https:', 'ftp:', 'mailto:']

export type Bookmarks = Collection<typeof Bookmark, typeof BookmarkInput>

/** The bookmarks of one space. */
export function bookmarks (context: Context): Bookmarks {
  return collection(context, bookmark, { check: ({ url }) => assertUrl(url) })
}

/**
 * Parsed as a browser would (WHATWG URL), so that `java\nscript:` is seen for what it is; stored as it was sent.
 * @throws Problem URL_NOT_ALLOWED naming the scheme that was refused
 */
export function assertUrl (url: string): void {
  const scheme = URL.canParse(url) ? new URL(url).protocol : undefined
  if (scheme !== undefined && SCHEMES.includes(scheme)) return
  const detail = scheme === undefined ? 'This is not an absolute URL; it needs a scheme, as in https://example.com.' : `The scheme "${scheme}" is not kept; http:, https:, ftp: and mailto: are.`
  throw new Problem('URL_NOT_ALLOWED', detail, { errors: [{ pointer: '/url', detail }] })
}

/** Which bookmarks a list shows; what is left out does not filter. */
export interface BookmarkFilter { folderId?: string, tag?: string, url?: string, favorite?: boolean }

/** @returns a test of one bookmark. URLs are compared as WHATWG URLs: `HTTP://Example.com` equals `http://example.com/`. */
export function matching ({ folderId, tag, url, favorite }: BookmarkFilter): (record: Static<typeof Bookmark>) => boolean {
  const wanted = url === undefined ? undefined : normalised(url)
  return (record) =>
    (folderId === undefined || record.folderId === folderId) &&
    (tag === undefined || record.tags.includes(tag)) &&
    (favorite === undefined || (record.favorite ?? false) === favorite) &&
    (wanted === undefined || normalised(record.url) === wanted)
}

const normalised = (url: string) => URL.canParse(url) ? new URL(url).href : url
