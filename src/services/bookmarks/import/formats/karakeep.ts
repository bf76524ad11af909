import type { Collector } from '../entry.ts'
import { fill, isSet, namesOf, textOf, type Fields } from './fields.ts'
import { recordsParser } from './records.ts'

const KNOWN = new Set(['createdAt', 'title', 'tags', 'content', 'note', 'summary', 'favourited', 'archived'])

/** Karakeep's (Hoarder's) export. A text that it keeps has no URL: it is refused, or kept as a note. */
export const karakeepParser = (collector: Collector, now: number) =>
  recordsParser(collector, {
    list: 'bookmarks',
    known: KNOWN,
    fill (entry, fields) {
      const { type, url, text, sourceUrl } = (fields.content ?? {}) as Fields
      if (type === 'asset') collector.ignore('asset')
      fill(entry, {
        url: textOf(url) ?? textOf(sourceUrl),
        title: textOf(fields.title),
        texts: [textOf(text), textOf(fields.note), textOf(fields.summary)],
        tags: namesOf(fields.tags),
        time: textOf(fields.createdAt),
        isFavorite: isSet(fields.favourited)
      }, now)
      if (isSet(fields.archived)) collector.ignore('archived')
    }
  })
