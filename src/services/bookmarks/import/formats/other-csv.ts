import { tagsOf, type Collector } from '../entry.ts'
import { fill, isSet } from './fields.ts'
import { tableParser, type Cells } from './tables.ts'

/** What columns are called, by what they hold. */
const COLUMNS = {
  url: ['url', 'uri', 'link', 'href', 'address'],
  title: ['title', 'name'],
  description: ['description', 'note', 'notes', 'excerpt', 'comment'],
  tags: ['tags', 'document tags', 'labels', 'keywords'],
  folder: ['folder', 'collection'],
  time: ['created', 'created_at', 'createdat', 'date', 'time_added', 'timestamp', 'saved date',
    'creation date', 'added'],
  favorite: ['favorite', 'favourite', 'starred']
} as const
const KNOWN = new Set<string>(Object.values(COLUMNS).flat())

const cellOf = (cells: Cells, name: keyof typeof COLUMNS) => {
  const column = COLUMNS[name].find((column) => cells[column] !== undefined)
  return column === undefined ? undefined : cells[column]
}

/** Any table with a column of URLs. */
export const otherCsvParser = (text: string, collector: Collector, now: number) =>
  tableParser(text, collector, {
    known: KNOWN,
    pathOf: (cells) => (cellOf(cells, 'folder') ?? '').split('/').map((name) => name.trim()).filter(Boolean),
    fill (entry, cells) {
      fill(entry, {
        url: cellOf(cells, 'url'),
        title: cellOf(cells, 'title'),
        texts: COLUMNS.description.map((column) => cells[column]),
        tags: tagsOf(cellOf(cells, 'tags') ?? '', /[,;|]/),
        time: cellOf(cells, 'time'),
        isFavorite: isSet(cellOf(cells, 'favorite'))
      }, now)
    }
  })

/** Whether a table has a column of URLs. */
export const hasUrls = (columns: readonly string[]) =>
  columns.some((name) => (COLUMNS.url as readonly string[]).includes(name))
