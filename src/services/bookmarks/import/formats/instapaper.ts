import { tagsOf, type Collector } from '../entry.ts'
import { fill } from './fields.ts'
import { tableParser } from './tables.ts'

const KNOWN = new Set(['url', 'title', 'selection', 'folder', 'timestamp', 'tags'])
/** What Instapaper calls a folder, and is none. */
const STATES = new Set(['Unread', 'Archive', 'Starred'])

/** Instapaper's CSV. Unread and starred are what they say, and all other folders are folders. */
export const instapaperParser = (text: string, collector: Collector, now: number) =>
  tableParser(text, collector, {
    known: KNOWN,
    pathOf: ({ folder }) => folder === undefined || STATES.has(folder) ? [] : [folder],
    fill (entry, { url, title, selection, folder, timestamp, tags = '' }) {
      fill(entry, {
        url,
        title,
        texts: [selection],
        tags: tagsOf(tags.replace(/[[\]"]/g, '')),
        time: timestamp,
        isFavorite: folder === 'Starred',
        isUnread: folder === 'Unread'
      }, now)
    }
  })
