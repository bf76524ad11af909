import { tagsOf, type Collector } from '../entry.ts'
import { fill, isSet } from './fields.ts'
import { tableParser } from './tables.ts'

const KNOWN = new Set(['id', 'title', 'note', 'excerpt', 'url', 'folder', 'tags', 'created', 'highlights',
  'favorite'])
/** Where Raindrop keeps what is in no collection. */
const UNSORTED = 'Unsorted'

/** Raindrop's CSV. Collections are folders, nested by slashes; notes and highlights are in the description. */
export const raindropParser = (text: string, collector: Collector, now: number) =>
  tableParser(text, collector, {
    known: KNOWN,
    pathOf: ({ folder = '' }) =>
      folder === UNSORTED ? [] : folder.split(' / ').map((name) => name.trim()).filter(Boolean),
    fill (entry, { title, url, note, excerpt, tags = '', created, highlights, favorite }) {
      const marked = highlights?.split(/\n(?=Highlight:)/).map((one) => one.replace(/^Highlight:\s*/, ''))
      fill(entry, {
        url,
        title,
        texts: [note, excerpt],
        highlights: marked ?? [],
        tags: tagsOf(tags),
        time: created,
        isFavorite: isSet(favorite)
      }, now)
    }
  })
