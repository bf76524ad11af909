import { setImmediate as turn } from 'node:timers/promises'
import SearchableMap from 'minisearch/SearchableMap'
import type { BookmarkRecord } from '../../../entities/bookmark.ts'
import { addTo, takeFrom } from './sets.ts'
import { hostOf } from './url.ts'
import { FIELDS, folded, textsOf, wordsOf, type Field } from './words.ts'

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
/** How much length counts (b of BM25), and how soon further occurrences say no more (k1). */
const LENGTH_SHARE = 0.7
const SATURATION = 1.2
/** Weights are kept as whole numbers of so many to 1: those take no memory of their own. */
const UNITS = 100

/** Records that are put into an index between two turns of the event loop. */
const PORTION = 100
/**
 * Words of this length are found by their beginning, and longer ones with one typo, or two: letters that
 * changed places are two.
 */
const PREFIX_FROM = 2
const FUZZY_FROM = 4
const TWICE_FROM = 7
/** What a word counts that is the beginning of the one that was found, or nearly that one. */
const BEGINNING = 0.5
const TYPO = 0.3
/** Where fewer have the words, or words that begin with them, typos are looked for as well. */
const ENOUGH = 20
/** A search of more words is taken as it is written: what others wait for stays bounded. */
const MAX_LOOSE = 10
/**
 * A site is found by its whole name, and by those above it that have so many parts at most: a name may have
 * 127.
 */
const MAX_DEPTH = 6

/**
 * What is asked of an index; all of it has to fit. Nothing is asked where all lists are empty: then all there
 * is fits.
 */
export interface Question {
  /** Words, also as the beginning of longer ones, and with typos where that finds few. */
  readonly words: readonly string[]
  /** Words as they are. */
  readonly exact: readonly string[]
  /** Tags, folded, and hosts: names of hosts below them count. */
  readonly tags: readonly string[]
  readonly sites: readonly string[]
}

/** What was found. */
export interface Hits {
  /** How well each fits; 0 where no words were asked for. In no order. */
  readonly scores: ReadonlyMap<BookmarkRecord, number>
  /** Whether a word of a text is one that was looked for. */
  readonly isHit: (term: string) => boolean
}

/** What can be found of one space's bookmarks. */
export interface SearchIndex {
  add(record: BookmarkRecord): void
  /** @param record the very object that was added */
  remove(record: BookmarkRecord): void
  search(question: Question): Hits
}

/** Bookmarks that have a word, with what it counts in them. */
type Postings = Map<BookmarkRecord, number>
/** How a word is looked for: each way includes those before it. */
type Looseness = 'as it is' | 'beginning' | 'nearly'
/** The words that stand for one that was asked for, and what they count. */
type Forms = Map<string, { readonly postings: Postings, readonly weight: number }>

/** Puts records into a new index, in portions, so that others get their turns. */
export async function createIndex (records: Iterable<BookmarkRecord>): Promise<SearchIndex> {
  const words = new SearchableMap<Postings>()
  /** Bookmarks by their tags, and by the hosts that they lead to and those above. */
  const labels = new Map<string, Set<BookmarkRecord>>()
  const all = new Set<BookmarkRecord>()

  const index: SearchIndex = {
    add (record) {
      all.add(record)
      for (const [term, weight] of weightsOf(record)) words.fetch(term, () => new Map()).set(record, weight)
      for (const label of labelsOf(record)) addTo(labels, label, record)
    },
    remove (record) {
      all.delete(record)
      for (const term of weightsOf(record).keys()) {
        const postings = words.get(term)!
        postings.delete(record)
        if (postings.size === 0) words.delete(term)
      }
      for (const label of labelsOf(record)) takeFrom(labels, label, record)
    },
    search (question) {
      const { length } = question.words
      if (length > MAX_LOOSE) return look(question, 'as it is')
      const found = look(question, 'beginning')
      return length > 0 && found.scores.size < ENOUGH ? look(question, 'nearly') : found
    }
  }

  function look ({ words: loose, exact, tags, sites }: Question, loosely: Looseness): Hits {
    const asked = [...loose.map((word) => formsOf(word, loosely)),
      ...exact.map((word) => formsOf(word, 'as it is'))]
    const within = [...tags.map(tagLabel), ...sites.map(siteLabel)].map((label) =>
      labels.get(label) ?? new Set<BookmarkRecord>()
    )
    // From the least to the most: what the first have left out is not looked at again.
    const sizes = new Map(
      asked.map((
        forms
      ) => [forms, Math.min(all.size, sum([...forms.values()].map(({ postings }) => postings.size)))])
    )
    let scores: Map<BookmarkRecord, number> | undefined
    for (const labelled of within.sort((a, b) => a.size - b.size)) {
      scores = unscored([...scores?.keys() ?? labelled].filter((record) => labelled.has(record)))
    }
    for (const forms of asked.sort((a, b) => sizes.get(a)! - sizes.get(b)!)) {
      scores = scored(forms, rarity(sizes.get(forms)!), scores)
    }
    return { scores: scores ?? unscored(all), isHit: (term) => asked.some((forms) => forms.has(term)) }
  }

  function formsOf (word: string, loosely: Looseness): Forms {
    const forms: Forms = new Map()
    const put = (term: string, postings: Postings, weight: number) => {
      if ((forms.get(term)?.weight ?? 0) < weight) forms.set(term, { postings, weight })
    }
    const own = words.get(word)
    if (own !== undefined) put(word, own, 1)
    if (loosely !== 'as it is' && word.length >= PREFIX_FROM) {
      for (const [term, postings] of words.atPrefix(word)) {
        put(term, postings, BEGINNING * word.length / term.length)
      }
    }
    if (loosely === 'nearly' && word.length >= FUZZY_FROM) {
      for (const [term, [postings, distance]] of words.fuzzyGet(word, word.length >= TWICE_FROM ? 2 : 1)) {
        put(term, postings, TYPO * (1 - distance / word.length))
      }
    }
    return forms
  }

  /** How much a word says that so many have. */
  const rarity = (count: number) => Math.log(1 + (all.size - count + 0.5) / (count + 0.5))

  let portion = 0
  for (const record of [...records]) {
    index.add(record)
    if (++portion % PORTION === 0) await turn()
  }
  return index
}

/**
 * Adds to the scores so far what one word counts, in those that have it in any of its forms: the best of
 * them.
 */
function scored (
  forms: Forms,
  rarity: number,
  before: ReadonlyMap<BookmarkRecord, number> | undefined
): Map<BookmarkRecord, number> {
  const scores = new Map<BookmarkRecord, number>()
  for (const { postings, weight } of forms.values()) {
    for (const record of (before !== undefined && before.size < postings.size ? before : postings).keys()) {
      const earlier = before === undefined ? 0 : before.get(record)
      const count = postings.get(record)
      if (earlier === undefined || count === undefined) continue
      const score = earlier + rarity * weight * count / (count + SATURATION * UNITS)
      if (score > (scores.get(record) ?? 0)) scores.set(record, score)
    }
  }
  return scores
}

/** The words of a bookmark, and what each counts in it, by field, number and length. */
function weightsOf (record: BookmarkRecord): Map<string, number> {
  const weights = new Map<string, number>()
  const texts = textsOf(record)
  for (const field of FIELDS) {
    const { boost, usual } = SCALE[field]
    const terms = wordsOf(texts[field])
    const each = Math.ceil(UNITS * boost / (1 - LENGTH_SHARE + LENGTH_SHARE * terms.length / usual))
    for (const { term } of terms) weights.set(term, (weights.get(term) ?? 0) + each)
  }
  return weights
}

const tagLabel = (tag: string) => `#${tag}`
const siteLabel = (host: string) => `@${host}`

function labelsOf ({ tags, url }: BookmarkRecord): string[] {
  const parts = (url === undefined ? undefined : hostOf(url))?.split('.') ?? []
  const hosts = parts.map((_, index) => parts.slice(index).join('.')).filter((_, index) =>
    index === 0 || parts.length - index <= MAX_DEPTH
  )
  return [...tags.map((tag) => tagLabel(folded(tag))), ...hosts.map(siteLabel)]
}

const unscored = (records: Iterable<BookmarkRecord>) =>
  new Map(Array.from(records, (record) => [record, 0] as const))

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)
