import type { BookmarkRecord } from '../../../entities/bookmark.ts'
import { FIELDS, textsOf, wordsOf, type Field } from './words.ts'

/**
 * How much a word in a field counts, and how many words such a field has, about: in a longer text each counts
 * less. BM25F (Robertson, Zaragoza: The Probabilistic Relevance Framework, 2009, section 3.6) with lengths
 * that are given: a bookmark's weights depend on nothing but itself.
 */
const SCALE: Readonly<Record<Field, { readonly boost: number, readonly usual: number }>> = {
  title: { boost: 4, usual: 6 },
  tags: { boost: 3, usual: 3 },
  url: { boost: 1.5, usual: 8 },
  description: { boost: 1, usual: 20 }
}
/** How much length counts (b of BM25). */
const LENGTH_SHARE = 0.7
/** Weights are kept as whole numbers of so many to 1. */
export const UNITS = 100

/** The words of a bookmark, and what each counts in it, by field, number and length. */
export function weightsOf (record: BookmarkRecord): Map<string, number> {
  const weights = new Map<string, number>()
  const texts = textsOf(record)
  for (const field of FIELDS) {
    const { boost, usual } = SCALE[field]
    const words = wordsOf(texts[field])
    let length = 0
    for (const { also } of words) if (also === undefined) length++
    const each = Math.ceil(UNITS * boost / (1 - LENGTH_SHARE + LENGTH_SHARE * length / usual))
    for (const { term } of words) weights.set(term, (weights.get(term) ?? 0) + each)
  }
  return weights
}

/** Tags and hosts stand beside the words, before all of them: no word begins so. */
export const tagLabel = (tag: string): string => `\u0000${tag}`
export const siteLabel = (host: string): string => `\u0001${host}`
export const FIRST_WORD = '\u0002'
