import type { BookmarkRecord } from '../../../entities/bookmark.ts'
import { createPace, type Pace } from '../../turns.ts'
import { find, type Hits, type Question } from './search-hits.ts'
import { merged, segmentOf, type Collected, type Segment } from './segment.ts'
import { siteLabel, tagLabel, weightsOf } from './weights.ts'
import { hostOf } from './url.ts'
import { CHARACTERS_A_STEP, folded } from './words.ts'

/** Words with their documents that are collected before they become a segment: some milliseconds of sorting. */
const COLLECTED = 4000
/** So many segments of about one size become one. */
const TIER = 8
/** Documents that may be dead before the index is made anew. */
const DEAD = 10_000
/**
 * A site is found by its whole name, and by those above it that have so many parts at most: a name may have
 * 127.
 */
const MAX_DEPTH = 6
/** What a document takes beside its words. */
const DOCUMENT_BYTES = 100

/** What can be found of one space's bookmarks. What is added and removed is found once it is settled. */
export interface SearchIndex {
  /** What it takes in memory, about. */
  readonly bytes: number
  add(record: BookmarkRecord): void
  /** @param record the very object that was added */
  remove(record: BookmarkRecord): void
  /** Makes findable what was added. Not twice at once. */
  settle(): Promise<void>
  /** As it was settled last, whatever is added meanwhile. */
  search(question: Question, pace: Pace): Promise<Hits>
}

/** Documents by number; what is no longer there is undefined. Numbers are given out once. */
export type Documents = (BookmarkRecord | undefined)[]
interface Settled {
  readonly documents: Documents
  segments: readonly Segment[]
}

/** Puts records into a new index, in portions, so that others get their turns. */
export async function createIndex (records: Iterable<BookmarkRecord>): Promise<SearchIndex> {
  let settled: Settled = { documents: [], segments: [] }
  const numbers = new Map<BookmarkRecord, number>()
  let collected: Collected = new Map()
  let size = 0
  /** Segments that were made of what was added since it was settled last. */
  let fresh: Segment[] = []

  function flush (): void {
    if (size === 0) return
    fresh.push(segmentOf(collected))
    collected = new Map()
    size = 0
  }

  function add (record: BookmarkRecord): number {
    const number = settled.documents.push(record) - 1
    numbers.set(record, number)
    const before = size
    const put = (term: string, weight: number) => {
      const pairs = collected.get(term)
      if (pairs === undefined) collected.set(term, [number, weight])
      else pairs.push(number, weight)
      size++
    }
    for (const [term, weight] of weightsOf(record)) put(term, weight)
    for (const label of labelsOf(record)) put(label, 1)
    const { title, url = '', description = '' } = record
    const steps = size - before + (title.length + url.length + description.length) / CHARACTERS_A_STEP
    if (size >= COLLECTED) flush()
    return steps
  }

  async function fill (records: Iterable<BookmarkRecord>, pace: Pace): Promise<void> {
    for (const record of records) {
      if (pace.due(add(record))) await pace.turn()
      if (fresh.length >= TIER) await take(pace)
    }
    flush()
    await take(pace)
  }

  /** Takes up what is fresh, and makes one of many segments of a size: the smallest, which are the last. */
  async function take (pace: Pace): Promise<void> {
    const { documents } = settled
    const segments = [...settled.segments, ...fresh]
    fresh = []
    for (;;) {
      const from = firstOfTier(segments)
      if (from === undefined) break
      segments.push(await merged(segments.splice(from), (number) => documents[number] !== undefined, pace))
    }
    settled.segments = segments
  }

  await fill(records, createPace())
  return {
    get bytes () {
      return settled.documents.length * DOCUMENT_BYTES +
        [...settled.segments, ...fresh].reduce((sum, { bytes }) => sum + bytes, 0)
    },
    add,
    remove (record) {
      settled.documents[numbers.get(record)!] = undefined
      numbers.delete(record)
    },
    async settle () {
      const pace = createPace()
      if (settled.documents.length > 2 * numbers.size + DEAD) {
        const alive = [...numbers.keys()]
        numbers.clear()
        settled = { documents: [], segments: [] }
        collected = new Map()
        size = 0
        fresh = []
        await fill(alive, pace)
      } else if (size + fresh.length > 0) {
        flush()
        await take(pace)
      }
    },
    search: (question, pace) => {
      const { documents, segments } = settled
      return find({ documents, segments, alive: numbers.size }, question, pace)
    }
  }
}

/** @returns where those begin that are to become one: the last TIER, where none of them is much larger */
function firstOfTier (segments: readonly Segment[]): number | undefined {
  let size = 0
  for (let at = segments.length - 1, count = 1; at >= 0; at--, count++) {
    const own = segments[at]!.documents.length
    if (count > TIER && own > 2 * size) return at + 1
    size += own
  }
  return segments.length > TIER ? 0 : undefined
}

function labelsOf ({ tags, url }: BookmarkRecord): Set<string> {
  const parts = (url === undefined ? undefined : hostOf(url))?.split('.') ?? []
  const hosts = parts.map((_, index) => parts.slice(index).join('.')).filter((_, index) =>
    index === 0 || parts.length - index <= MAX_DEPTH
  )
  return new Set([...tags.map((tag) => tagLabel(folded(tag))), ...hosts.map(siteLabel)])
}
