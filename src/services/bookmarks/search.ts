import type { BookmarkRecord } from '../../../entities/bookmark.ts'
import type { Context } from '../context.ts'
import type { ListQuery, Page } from '../listing.ts'
import { fitting, wantedOf } from './query.ts'
import { FIELDS, wordsOf, type Hit } from './search-index.ts'
import { pageOf } from './url.ts'

/** Places of a field that are told. */
const MAX_PLACES = 20

/** Where the words were found: place and length in UTF-16 code units, and tags as they are. */
export interface Highlights { readonly title?: readonly Place[], readonly url?: readonly Place[], readonly description?: readonly Place[], readonly tags?: readonly string[] }
type Place = readonly [at: number, length: number]
export type Found = BookmarkRecord & { readonly highlights?: Highlights }

interface Ranked { readonly record: BookmarkRecord, readonly score: number, readonly hit?: Hit }

/**
 * Bookmarks and folders that fit a search, the best first; without words the newest first. From memory: 1 RCU where
 * nothing changed, and a look at what did. The first search of a process in a space reads all of its bookmarks.
 * @param query `q` is read as `wantedOf` says, `matches` narrows it further
 * @throws Problem INVALID_CURSOR
 */
export async function search (context: Context, { q = '', limit, cursor, filterName, matches = () => true }: ListQuery<BookmarkRecord>): Promise<Page<Found>> {
  const wanted = wantedOf(q)
  const exact = wanted.phrases.flat()
  const isFiltered = wanted.tags.length + wanted.sites.length + wanted.folders.length > 0
  const binding = bindingOf(context, 'search', filterName)
  const after = cursor === undefined ? undefined : context.sealer.open(binding, cursor) as [score: number, id: string]
  const shelf = await context.shelves.open(context, true)
  const fits = fitting(wanted, shelf)
  const ranked: Ranked[] = []
  if (wanted.words.length + exact.length > 0) {
    for (const hit of shelf.index!.find(wanted.words, exact)) ranked.push({ record: shelf.records.get(hit.id)!, score: hit.score, hit })
  } else if (isFiltered) for (const record of shelf.records.values()) ranked.push({ record, score: Date.parse(record.createdAt) })
  const rest = ranked.filter(({ record, score }) => (after === undefined || isBehind(score, record.id, after)) && matches(record) && fits(record))
  rest.sort((a, b) => isBehind(a.score, a.record.id, [b.score, b.record.id]) ? 1 : -1)
  const page = rest.slice(0, limit)
  const last = page.at(-1)
  return {
    items: page.map(({ record, hit }) => ({ ...record, ...hit !== undefined && { highlights: highlightsOf(record, hit) } })),
    ...rest.length > limit && { cursor: context.sealer.seal(binding, [last!.score, last!.record.id]) }
  }
}

const isBehind = (score: number, id: string, [before, beforeId]: readonly [number, string]) => score < before || (score === before && id > beforeId)

/** Binds a cursor to a list of the context's space, its reader and its filter. */
export const bindingOf = ({ space, userId }: Context, list: string, filterName: string | undefined) => JSON.stringify([list, space, userId, filterName ?? ''])

function highlightsOf (record: BookmarkRecord, { terms }: Hit): Highlights {
  const highlights: { -readonly [K in keyof Highlights]: Highlights[K] } = {}
  for (const field of FIELDS) {
    const found = terms(field)
    if (found.size === 0) continue
    if (field === 'tags') highlights.tags = record.tags.filter((tag) => wordsOf(tag).some(({ term }) => found.has(term)))
    else highlights[field] = wordsOf(record[field] ?? '').filter(({ term }) => found.has(term)).slice(0, MAX_PLACES).map(({ at, length }) => [at, length] as const)
  }
  return highlights
}

/**
 * Bookmarks of the page that a URL leads to (`pageOf`), in the order of their ids. From memory, as a search.
 * @throws Problem INVALID_CURSOR
 */
export async function ofPage (context: Context, url: string, { limit, cursor, filterName, matches = () => true }: ListQuery<BookmarkRecord>): Promise<Page<Found>> {
  const binding = bindingOf(context, 'page', filterName)
  const after = cursor === undefined ? '' : context.sealer.open(binding, cursor) as string
  const { pages, records } = await context.shelves.open(context)
  const ids = [...pages.get(pageOf(url)) ?? []].filter((id) => id > after && matches(records.get(id)!)).sort()
  return { items: ids.slice(0, limit).map((id) => records.get(id)!), ...ids.length > limit && { cursor: context.sealer.seal(binding, ids[limit - 1]) } }
}
