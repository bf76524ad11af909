import type { BookmarkRecord } from '../../../entities/bookmark.ts'
import type { Context } from '../context.ts'
import type { ListQuery, Page } from '../../engine/list-query.ts'
import { fitting, wantedOf } from './query.ts'
import { pageOf } from './url.ts'
import { createPace, type Pace } from '../../turns.ts'
import type { Hits } from './search-hits.ts'
import { CHARACTERS_A_STEP, FIELDS, wordsOf } from './words.ts'

/** Places of a field that are told. */
const MAX_PLACES = 20

/** Where the words were found: place and length in UTF-16 code units, and tags as they are. */
export interface Highlights {
  readonly title?: readonly Place[]
  readonly url?: readonly Place[]
  readonly description?: readonly Place[]
  readonly tags?: readonly string[]
}
type Place = readonly [at: number, length: number]
export type Found = BookmarkRecord & { readonly highlights?: Highlights }

/** What orders a search: the higher score first, then the lower id. */
interface Ranked {
  readonly record: BookmarkRecord
  readonly score: number
}

/**
 * Bookmarks and folders that fit a search, the best first; without words the newest first. From memory: 1 RCU
 * where nothing changed, and a look at what did. The first search of a process in a space reads all of its
 * bookmarks.
 * @param query `q` is read as `wantedOf` says, `matches` narrows it further
 * @throws Problem INVALID_CURSOR
 */
export async function search (
  context: Context,
  { q = '', limit, cursor, filterName, matches = () => true }: ListQuery<BookmarkRecord>
): Promise<Page<Found>> {
  const wanted = wantedOf(q)
  const { words, phrases, tags, sites, folders } = wanted
  const binding = bindingOf(context, 'search', filterName)
  const after = cursor === undefined
    ? undefined
    : context.sealer.open(binding, cursor) as [score: number, id: string]
  const hasWords = words.length + phrases.length > 0
  if (!hasWords && tags.length + sites.length + folders.length === 0) return { items: [] }
  const model = await context.readModels.open(context, true)
  const pace = createPace()
  const exact = [...new Set(phrases.flat())]
  const hits = await model.index!.search({ words, exact, tags, sites }, pace)
  const fits = await fitting(wanted, model, pace)
  const page = await firstOf(
    hasWords ? hits : byAge(hits),
    limit + 1,
    (score, record) =>
      (after === undefined || isBehind(score, record.id, after)) && matches(record) && fits(record),
    pace
  )
  const items: Found[] = []
  for (const { record } of page.slice(0, limit)) {
    items.push(hasWords ? { ...record, highlights: await highlightsOf(record, hits.isHit, pace) } : record)
  }
  const last = page[items.length - 1]
  return {
    items,
    ...page.length > limit && { cursor: context.sealer.seal(binding, [last!.score, last!.record.id]) }
  }
}

const isBehind = (score: number, id: string, [before, beforeId]: readonly [number, string]) =>
  score < before || (score === before && id > beforeId)

type Candidates = Pick<Hits, 'numbers' | 'recordOf' | 'scoreOf'>

/** Without words, what fits is ordered by when it was created. */
const byAge = ({ numbers, recordOf }: Hits): Candidates => ({
  numbers,
  recordOf,
  scoreOf: (number) => Date.parse(recordOf(number)?.createdAt ?? '')
})

/** The first of those that fit, in order: the others, of which there are thousands, are not put in order. */
async function firstOf (
  { numbers, recordOf, scoreOf }: Candidates,
  count: number,
  fits: (score: number, record: BookmarkRecord) => boolean,
  pace: Pace
): Promise<Ranked[]> {
  const first: Ranked[] = []
  for (let at = 0; at < numbers.length; at++) {
    if (pace.due()) await pace.turn()
    const record = recordOf(numbers[at]!)
    if (record === undefined) continue
    const score = scoreOf(numbers[at]!)
    const worst = first[count - 1]
    if (
      (worst !== undefined && !isBehind(worst.score, worst.record.id, [score, record.id])) ||
      !fits(score, record)
    ) continue
    const place = first.findIndex((other) => isBehind(other.score, other.record.id, [score, record.id]))
    first.splice(place === -1 ? first.length : place, 0, { record, score })
    if (first.length > count) first.pop()
  }
  return first
}

/** Binds a cursor to a list of the context's space, its reader and its filter. */
export const bindingOf = ({ space, userId }: Context, list: string, filterName: string | undefined) =>
  JSON.stringify([list, space, userId, filterName ?? ''])

async function highlightsOf (
  record: BookmarkRecord,
  isHit: (term: string) => boolean,
  pace: Pace
): Promise<Highlights> {
  const highlights: { -readonly [K in keyof Highlights]: Highlights[K] } = {}
  const placesOf = (text: string) => {
    pace.due(text.length / CHARACTERS_A_STEP)
    return joined(wordsOf(text).filter(({ term }) => isHit(term))).slice(0, MAX_PLACES)
  }
  for (const field of FIELDS) {
    if (pace.due()) await pace.turn()
    if (field === 'tags') {
      const tags = record.tags.filter((tag) => placesOf(tag).length > 0)
      if (tags.length > 0) highlights.tags = tags
    } else {
      const places = placesOf(record[field] ?? '')
      if (places.length > 0) highlights[field] = places
    }
  }
  return highlights
}

/** Places of words, of which those that overlap are one: pairs of letters, and a word that has signs. */
function joined (words: readonly { readonly at: number, readonly length: number }[]): Place[] {
  const places: [at: number, length: number][] = []
  for (const { at, length } of words) {
    const last = places.at(-1)
    if (last === undefined || at > last[0] + last[1]) places.push([at, length])
    else {
      const from = Math.min(last[0], at)
      places[places.length - 1] = [from, Math.max(last[0] + last[1], at + length) - from]
    }
  }
  return places
}

/**
 * Bookmarks of the page that a URL leads to (`pageOf`), in the order of their ids. From memory, as a search.
 * @throws Problem INVALID_CURSOR
 */
export async function ofPage (
  context: Context,
  url: string,
  { limit, cursor, filterName, matches = () => true }: ListQuery<BookmarkRecord>
): Promise<Page<Found>> {
  const binding = bindingOf(context, 'page', filterName)
  const after = cursor === undefined ? '' : context.sealer.open(binding, cursor) as string
  const { pages, records } = await context.readModels.open(context)
  const all = pages.get(pageOf(url)) ?? []
  const pace = createPace()
  const ids: string[] = []
  for (const id of typeof all === 'string' ? [all] : [...all]) {
    const record = records.get(id)
    if (record !== undefined && id > after && matches(record)) ids.push(id)
    if (pace.due()) await pace.turn()
  }
  ids.sort()
  return {
    items: ids.slice(0, limit).map((id) => records.get(id)!),
    ...ids.length > limit && { cursor: context.sealer.seal(binding, ids[limit - 1]) }
  }
}
