import type { Collector } from '../entry.ts'
import { fill, namesOf, objectsOf, textOf } from './fields.ts'
import { recordsParser } from './records.ts'

const KNOWN = new Set(['url', 'title', 'description', 'labels', 'savedAt', 'state', 'highlights'])

/** Omnivore's metadata, a list or several of them in a zip archive. */
export const omnivoreParser = (collector: Collector, now: number) =>
  recordsParser(collector, {
    list: '',
    known: KNOWN,
    fill (entry, fields) {
      const highlights = objectsOf(fields.highlights)
      fill(entry, {
        url: textOf(fields.url),
        title: textOf(fields.title),
        texts: [textOf(fields.description), ...highlights.map(({ annotation }) => textOf(annotation))],
        highlights: highlights.map(({ quote }) => textOf(quote)),
        tags: namesOf(fields.labels),
        time: textOf(fields.savedAt),
        isUnread: /^active$/i.test(textOf(fields.state) ?? '')
      }, now)
    }
  })
