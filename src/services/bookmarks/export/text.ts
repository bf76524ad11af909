import { escapeUTF8 } from 'entities'
import type { BookmarkRecord } from '../../../../entities/bookmark.ts'
import type { Exact } from '../exact.ts'
import { lineOf } from '../import/entry.ts'
import { spelled } from '../url.ts'

/** Text for HTML and XML, between tags and within quotes. */
export const escaped = (text: string) => escapeUTF8(text)

/** What neither HTML nor XML may hold, as the character that stands for what can't be shown. */
// eslint-disable-next-line no-control-regex
export const shown = (text: string) => text.replace(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]/g, '\ufffd')

/** A record as a file can show it, and what is exact where that is not all of it. */
export interface Shown {
  readonly title: string
  readonly url: string | undefined
  readonly description: string | undefined
  readonly exact: Exact
}

/** @returns the texts as their reader will read them from a file, white space and all */
export function show ({ kind, address, title, url, description, favorite }: BookmarkRecord): Shown {
  const line = shown(lineOf(title))
  const href = url === undefined
    ? undefined
    : shown(url.trim()) === url && lineOf(url) === url
    ? url
    : spelled(url)
  const lines = description === undefined ? undefined : shown(description.replace(/\r\n?/g, '\n').trim())
  const exact: Exact = {
    ...kind === 'note' && { kind, ...address !== undefined && { address } },
    ...line !== title && { title },
    ...href !== url && url !== undefined && { url },
    // An empty description is no element.
    ...(lines !== description || description === '') && description !== undefined && { description },
    ...favorite !== undefined && { favorite }
  }
  return { title: line, url: href, description: lines === '' ? undefined : lines, exact }
}
