import { tagsOf, type Collector } from '../entry.ts'
import { fill } from './fields.ts'
import { tableParser } from './tables.ts'

const KNOWN = new Set(['title', 'url', 'time_added', 'tags', 'status'])

/** Pocket's CSV. Its last export; tags have bars between. */
export const pocketParser = (text: string, collector: Collector, now: number) =>
  tableParser(text, collector, {
    known: KNOWN,
    fill (entry, { title, url, time_added: time, tags = '', status }) {
      fill(entry, { url, title, tags: tagsOf(tags, '|'), time, isUnread: status === 'unread' }, now)
    }
  })
