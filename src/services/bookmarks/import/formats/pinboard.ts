import { tagsOf, type Collector } from '../entry.ts'
import { fill, isSet, textOf } from './fields.ts'
import { recordsParser } from './records.ts'

const KNOWN = new Set(['href', 'description', 'extended', 'tags', 'time', 'toread', 'shared'])

/** Pinboard's backup: what it calls description is a title. What is not shared is tagged `private`. */
export const pinboardParser = (collector: Collector, now: number) =>
  recordsParser(collector, {
    list: '',
    known: KNOWN,
    fill (entry, { href, description, extended, tags, time, toread, shared }) {
      fill(entry, {
        url: textOf(href),
        title: textOf(description),
        texts: [textOf(extended)],
        tags: [...tagsOf(textOf(tags) ?? '', /\s+/), ...textOf(shared) === 'no' ? ['private'] : []],
        time: textOf(time),
        isUnread: isSet(toread)
      }, now)
    }
  })
