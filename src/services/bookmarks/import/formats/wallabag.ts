import type { Collector } from '../entry.ts'
import { fill, isSet, namesOf, objectsOf, textOf } from './fields.ts'
import { recordsParser } from './records.ts'

const KNOWN = new Set(['url', 'given_url', 'title', 'tags', 'is_archived', 'is_starred', 'created_at',
  'annotations'])
const SKIPPED = new Set(['content'])

/** wallabag's JSON: what was marked and noted on a page is in its description; the page itself is not kept. */
export const wallabagParser = (collector: Collector, now: number) =>
  recordsParser(collector, {
    list: '',
    known: KNOWN,
    skipped: SKIPPED,
    fill (entry, fields) {
      const annotations = objectsOf(fields.annotations)
      fill(entry, {
        url: textOf(fields.url) ?? textOf(fields.given_url),
        title: textOf(fields.title),
        texts: annotations.map(({ text }) => textOf(text)),
        highlights: annotations.map(({ quote }) => textOf(quote)),
        tags: namesOf(fields.tags),
        time: textOf(fields.created_at),
        isFavorite: isSet(fields.is_starred),
        isUnread: fields.is_archived !== undefined && !isSet(fields.is_archived)
      }, now)
    }
  })
