import type { BookmarkRecord } from '../../../../entities/bookmark.ts'
import { packExact } from '../exact.ts'
import { tagsOf } from '../import/entry.ts'
import { EXACT_ATTRIBUTE } from '../import/formats/netscape.ts'
import { escaped, show, shown } from './text.ts'

/** What a file of a format is made of, by the place of a record in the tree. */
export interface Writing {
  readonly type: string
  readonly extension: string
  readonly head: string
  readonly tail: string
  bookmark(record: BookmarkRecord, depth: number): string
  openFolder(record: BookmarkRecord, depth: number): string
  closeFolder(depth: number): string
}

const indent = (depth: number) => '    '.repeat(Math.min(depth, 32) + 1)

/**
 * Netscape bookmarks, which every browser imports. Only http and https are links: whoever opens the file and
 * clicks opens a page, and nothing else.
 */
export const netscape: Writing = {
  type: 'text/html; charset=utf-8',
  extension: 'html',
  head:
    '<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=UTF-8">\n<TITLE>Bookmarks</TITLE>\n<H1>Bookmarks</H1>\n<DL><p>\n',
  tail: '</DL><p>\n',
  bookmark: (record, depth) => item('A', record, depth),
  openFolder: (record, depth) => `${item('H3', record, depth)}${indent(depth)}<DL><p>\n`,
  closeFolder: (depth) => `${indent(depth)}</DL><p>\n`
}

function item (element: 'A' | 'H3', record: BookmarkRecord, depth: number): string {
  const { tags, createdAt, updatedAt } = record
  const { title, url, description, exact } = show(record)
  const isLink = url !== undefined && ['http:', 'https:'].includes(new URL(url).protocol)
  const visible = tagsOf(shown(tags.join(',')))
  const packed = packExact({
    ...exact,
    ...url !== undefined && !isLink && { url: record.url! },
    ...JSON.stringify(visible) !== JSON.stringify(tags) && { tags },
    ...!createdAt.endsWith('.000Z') && { createdAt }
  })
  const attributes = [isLink && `HREF="${escaped(url)}"`, `ADD_DATE="${seconds(createdAt)}"`,
    `LAST_MODIFIED="${seconds(updatedAt)}"`, tags.length > 0 && `TAGS="${escaped(visible.join(','))}"`,
    packed !== undefined && `${EXACT_ATTRIBUTE.toUpperCase()}="${escaped(packed)}"`].filter((attribute) =>
      attribute !== false
    )
  return `${indent(depth)}<DT><${element} ${attributes.join(' ')}>${escaped(title)}</${element}>\n${
    description === undefined ? '' : `${indent(depth)}<DD>${escaped(description)}\n`
  }`
}

const seconds = (time: string) => Math.floor(Date.parse(time) / 1000)
