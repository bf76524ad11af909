import type { BookmarkRecord } from '../../../entities/bookmark.ts'

/** What is searched of a bookmark. */
export const FIELDS = ['title', 'tags', 'url', 'description'] as const
export type Field = typeof FIELDS[number]

/**
 * A description counts with so many characters, so that one bookmark does not take the time of a thousand.
 */
const MAX_TEXT = 4000
/** Parts of nearly every URL: whoever types one means nothing by it. And what is nothing but marks. */
const IGNORED = new Set(['http', 'https', 'www', ''])

/** A word in a text: where it is, in UTF-16 code units, and what it is searched by. */
export interface Word {
  readonly at: number
  readonly length: number
  readonly term: string
}

/** What is searched of a record, as text. */
export function textsOf ({ title, tags, url = '', description = '' }: BookmarkRecord): Record<Field, string> {
  return { title, tags: tags.join('\n'), url, description: description.slice(0, MAX_TEXT) }
}

/**
 * The words of a text: runs of letters, marks and digits (Unicode, UAX #44), searched without case and
 * diacritics.
 */
export function wordsOf (text: string): Word[] {
  return [...text.matchAll(/[\p{L}\p{M}\p{N}]+/gu)].map(({ 0: word, index }) => ({
    at: index,
    length: word.length,
    term: folded(word)
  })).filter(({ term }) => !IGNORED.has(term))
}

/** Text as it is compared: in lower case, compatible forms as one, without diacritics. */
export function folded (text: string): string {
  return isAscii(text) ? text.toLowerCase() : text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()
}

const isAscii = (text: string) => /^[\0-\x7f]*$/.test(text)
