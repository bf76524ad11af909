import type { BookmarkRecord } from '../../../../entities/bookmark.ts'
import { packExact } from '../exact.ts'
import { EXACT_OWNER } from '../import/formats/xbel.ts'
import type { Writing } from './netscape.ts'
import { escaped, show } from './text.ts'

const indent = (depth: number) => '  '.repeat(Math.min(depth, 32) + 1)

/** XBEL 1.0, valid by its document type. It has no tags: they are in the metadata of the hub. */
export const xbel: Writing = {
  type: 'application/xml; charset=utf-8',
  extension: 'xbel',
  head:
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE xbel PUBLIC "+//IDN python.org//DTD XML Bookmark Exchange Language 1.0//EN//XML" "http://pyxml.sourceforge.net/topics/dtds/xbel.dtd">\n<xbel version="1.0">\n',
  tail: '</xbel>\n',
  bookmark: (record, depth) => {
    const { url = '' } = show(record)
    return `${indent(depth)}<bookmark href="${escaped(url)}" ${
      times(record)
    } modified="${record.updatedAt}">\n${content(record, depth)}${indent(depth)}</bookmark>\n`
  },
  openFolder: (record, depth) => `${indent(depth)}<folder ${times(record)}>\n${content(record, depth)}`,
  closeFolder: (depth) => `${indent(depth)}</folder>\n`
}

const times = ({ createdAt }: BookmarkRecord) => `added="${createdAt}"`

function content (record: BookmarkRecord, depth: number): string {
  const { title, description, exact } = show(record)
  const packed = packExact({ ...exact, ...record.tags.length > 0 && { tags: record.tags } })
  return [`<title>${escaped(title)}</title>`, packed !== undefined &&
    `<info><metadata owner="${escaped(EXACT_OWNER + encodeURIComponent(packed))}"/></info>`,
    description !== undefined && `<desc>${escaped(description)}</desc>`].filter((line) => line !== false).map(
      (line) => `${indent(depth + 1)}${line}\n`
    ).join('')
}
