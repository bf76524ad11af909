import type { BookmarkRecord } from '../../../entities/bookmark.ts'
import type { Pace } from '../../turns.ts'
import { begins, firstFrom, nearly, termAt, type Segment } from './segment.ts'
import { FIRST_WORD, siteLabel, tagLabel, UNITS } from './weights.ts'
import { isUnspaced, stemOf } from './words.ts'

/** How soon further occurrences of a word say no more (k1 of BM25). */
const SATURATION = 1.2
/**
 * Words of this length are found by their beginning, and longer ones with one typo, or two: letters that
 * changed places are two. Nobody has a typo in what is longer than any word.
 */
const PREFIX_FROM = 2
const FUZZY_FROM = 4
const TWICE_FROM = 7
const FUZZY_TO = 64
/** What a word counts that is the beginning of the one that was found, or nearly that one, or it without signs. */
const BEGINNING = 0.5
const TYPO = 0.3
const STEM = 0.5
/** Where fewer have the words, or words that begin with them, typos are looked for as well. */
const ENOUGH = 20
/** A search of more words is taken as it is written: what others wait for stays bounded. */
const MAX_LOOSE = 10

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
  /** Numbers of documents, in no order. */
  readonly numbers: ArrayLike<number>
  /** Undefined where it was removed since. */
  readonly recordOf: (number: number) => BookmarkRecord | undefined
  /** How well one fits; 0 where no words were asked for. */
  readonly scoreOf: (number: number) => number
  /** Whether a word of a text is one that was looked for. */
  readonly isHit: (term: string) => boolean
}

/** An index at one moment. */
export interface Place {
  readonly documents: readonly (BookmarkRecord | undefined)[]
  readonly segments: readonly Segment[]
  readonly alive: number
}

/** How a word is looked for: each way includes those before it. */
type Looseness = 'as it is' | 'beginning' | 'nearly'
/** A word of a segment that stands for one that was asked for, and what it counts. */
interface Form {
  readonly segment: Segment
  readonly term: number
  readonly weight: number
}
/** What stands for one word, and how many documents have it in any form, at most. */
interface Asked {
  readonly forms: readonly Form[]
  readonly size: number
  readonly isHit: (term: string) => boolean
}

/** Looks for what is asked. */
export async function find (place: Place, question: Question, pace: Pace): Promise<Hits> {
  const { length } = question.words
  if (length > MAX_LOOSE) return look(place, question, 'as it is', pace)
  const found = await look(place, question, 'beginning', pace)
  return length > 0 && found.numbers.length < ENOUGH ? look(place, question, 'nearly', pace) : found
}

async function look (
  place: Place,
  { words, exact, tags, sites }: Question,
  loosely: Looseness,
  pace: Pace
): Promise<Hits> {
  const { documents } = place
  const asked: Asked[] = []
  for (const label of [...tags.map(tagLabel), ...sites.map(siteLabel)]) {
    asked.push(await askedFor(place, label, 'as it is', pace))
  }
  const labels = asked.length
  for (const word of words) asked.push(await askedFor(place, word, loosely, pace))
  for (const word of exact) asked.push(await askedFor(place, word, 'as it is', pace))
  const terms = asked.slice(labels)
  const tally = createTally(documents.length)
  // Labels first, which count nothing, then from the least to the most: the order in which scores are added up
  // is part of a score's last digits.
  for (const one of [...asked.slice(0, labels), ...terms.sort((a, b) => a.size - b.size)]) {
    const rarity = terms.includes(one) ? Math.log(1 + (place.alive - one.size + 0.5) / (one.size + 0.5)) : 0
    for (const { segment, term, weight } of one.forms) {
      for (let entry = segment.lists[term]!; entry < segment.lists[term + 1]!; entry++) {
        const count = segment.weights[entry]!
        tally.put(segment.documents[entry]!, rarity * weight * count / (count + SATURATION * UNITS))
        if (pace.due(0.1)) await pace.turn()
      }
    }
    tally.next()
  }
  const numbers = asked.length === 0 ? documents.map((_, number) => number) : tally.numbers()
  return {
    numbers: numbers.filter((number) => documents[number] !== undefined),
    recordOf: (number) => documents[number],
    scoreOf: tally.scoreOf,
    isHit: (term) => terms.some(({ isHit }) => isHit(term))
  }
}

/** Adds up scores over several words, each of which a document has to have: of a word's forms the best counts. */
function createTally (size: number) {
  const [scores, best, passed] = [new Float64Array(size), new Float64Array(size), new Uint8Array(size)]
  let round = 0
  let current: number[] = []
  let reached: number[] = []
  return {
    put (number: number, score: number): void {
      if (passed[number] === round) {
        passed[number] = round + 1
        best[number] = score
        reached.push(number)
      } else if (passed[number] === round + 1 && score > best[number]!) best[number] = score
    },
    next (): void {
      for (const number of reached) scores[number]! += best[number]!
      ;[current, reached] = [reached, []]
      round++
    },
    numbers: () => current,
    scoreOf: (number: number) => scores[number]!
  }
}

async function askedFor (place: Place, word: string, loosely: Looseness, pace: Pace): Promise<Asked> {
  const { documents, segments, alive } = place
  const forms: Form[] = []
  const near = new Set<string>()
  const byBeginning = loosely !== 'as it is' && (word.length >= PREFIX_FROM || isUnspaced(word))
  const stem = stemOf(word)
  const isHit = (term: string) =>
    term === word || term === stem || (byBeginning && term.startsWith(word)) || near.has(term)
  for (const segment of segments) {
    for (let term = firstFrom(segment, word); term < segment.count && begins(segment, term, word); term++) {
      const { length } = termAt(segment, term)
      if (length > word.length && !byBeginning) break
      forms.push({ segment, term, weight: length === word.length ? 1 : BEGINNING * word.length / length })
      if (pace.due()) await pace.turn()
    }
    if (stem !== undefined) {
      const term = firstFrom(segment, stem)
      if (term < segment.count && termAt(segment, term) === stem) forms.push({ segment, term, weight: STEM })
    }
    if (loosely !== 'nearly' || word.length < FUZZY_FROM || word.length > FUZZY_TO) continue
    const most = word.length < TWICE_FROM ? 1 : 2
    await nearly(segment, { word, most, from: firstFrom(segment, FIRST_WORD) }, pace, (term, distance) => {
      const found = termAt(segment, term)
      if (found.startsWith(word) || found === stem) return
      near.add(found)
      forms.push({ segment, term, weight: TYPO * (1 - distance / word.length) })
    })
  }
  // What is dead is not counted: whatever a process has seen before, a score is the same.
  let size = 0
  for (const { segment, term } of forms) {
    for (let entry = segment.lists[term]!; entry < segment.lists[term + 1]!; entry++) {
      if (documents[segment.documents[entry]!] !== undefined) size++
      if (pace.due(0.1)) await pace.turn()
    }
  }
  return { forms, size: Math.min(alive, size), isHit }
}
