import { setImmediate as turn } from 'node:timers/promises'
import MiniSearch from 'minisearch'
import type { BookmarkRecord } from '../../../entities/bookmark.ts'

/** What is searched of a bookmark, and how much a word in it counts. */
export const FIELDS = ['title', 'tags', 'url', 'description'] as const
export type Field = typeof FIELDS[number]
const BOOST: Readonly<Record<Field, number>> = { title: 4, tags: 3, url: 1.5, description: 1 }

/** Records that are put into an index between two turns of the event loop. */
const PORTION = 100
/** A description counts with so many characters, so that one bookmark does not take the time of a thousand. */
const MAX_TEXT = 4000
/** Words of this length are found by their beginning, and longer ones with one typo, or two: letters that changed places are two. */
const PREFIX_FROM = 2
const FUZZY_FROM = 4
const TWICE_FROM = 7
/** Where so many have the words as they are, neither beginnings nor typos are looked for. */
const ENOUGH = 200
/** Parts of nearly every URL: whoever types one means nothing by it. */
const IGNORED = new Set(['http', 'https', 'www'])

/** Whether a word says anything of a bookmark. */
export const isTelling = (term: string) => !IGNORED.has(term)

/** A word in a text: where it is, in UTF-16 code units, and what it is searched by. */
export interface Word { readonly at: number, readonly length: number, readonly term: string }

/** One bookmark that was found: how well it fits, and the words of it that were found, by field. */
export interface Hit { readonly id: string, readonly score: number, readonly terms: (field: Field) => Set<string> }

/** What can be found of one space's bookmarks. */
export interface SearchIndex {
  add (record: BookmarkRecord): void
  remove (id: string): void
  /**
   * @param words that all have to be there; where few have them as they are, also as the beginning of a longer word or with a typo
   * @param exact words that have to be there as they are
   * @returns in no order
   */
  find (words: readonly string[], exact: readonly string[]): Hit[]
}

/** Puts records into a new index, in portions, so that others get their turns. */
export async function createIndex (records: Iterable<BookmarkRecord>): Promise<SearchIndex> {
  const index = new MiniSearch<Document>({
    fields: [...FIELDS],
    tokenize: (text) => wordsOf(text).map(({ term }) => term),
    processTerm: (term) => isTelling(term) ? term : null
  })
  let portion = 0
  for (const record of [...records]) {
    index.add(documentOf(record))
    if (++portion % PORTION === 0) await turn()
  }
  return {
    add (record) { index.add(documentOf(record)) },
    remove (id) { index.discard(id) },
    find (words, exact) {
      const look = (loosely: boolean) => index.search({
        combineWith: 'AND',
        queries: [
          ...words.map((word) => ({ queries: [word], prefix: loosely && word.length >= PREFIX_FROM, fuzzy: loosely && word.length >= FUZZY_FROM && (word.length >= TWICE_FROM ? 2 : 1) })),
          ...exact.map((word) => ({ queries: [word], prefix: false, fuzzy: false }))
        ]
      }, { boost: BOOST })
      // Words that many bookmarks have begin thousands of others: to look for those as well would take most of the time.
      const strictly = look(false)
      const found = strictly.length >= ENOUGH ? strictly : look(true)
      return found.map(({ id, score, match }) => ({
        id: id as string,
        score,
        terms: (field) => new Set(Object.entries(match).filter(([, fields]) => fields.includes(field)).map(([term]) => term))
      }))
    }
  }
}

interface Document extends Readonly<Record<Field, string>> { readonly id: string }

function documentOf (record: BookmarkRecord): Document {
  return { id: record.id, ...textsOf(record) }
}

/** What is searched of a record, as text. */
export function textsOf ({ title, tags, url = '', description = '' }: BookmarkRecord): Record<Field, string> {
  return { title, tags: tags.join('\n'), url, description: description.slice(0, MAX_TEXT) }
}

/** The words of a text: runs of letters, marks and digits (Unicode, UAX #44), searched without case and diacritics. */
export function wordsOf (text: string): Word[] {
  return [...text.matchAll(/[\p{L}\p{M}\p{N}]+/gu)].map(({ 0: word, index }) => ({ at: index, length: word.length, term: folded(word) }))
}

/** Text as it is compared: in lower case, compatible forms as one, without diacritics. */
export function folded (text: string): string {
  return isAscii(text) ? text.toLowerCase() : text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()
}

const isAscii = (text: string) => /^[\0-\x7f]*$/.test(text)
