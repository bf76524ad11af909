import {
  bookmark,
  RESERVED_IDS,
  type Bookmark,
  type BookmarkInput,
  type BookmarkRecord
} from '../../../entities/bookmark.ts'
import { Problem } from '../../errors.ts'
import { collection, type Collection } from '../collection.ts'
import type { Context } from '../context.ts'
import type { Precondition } from '../../engine/change.ts'
import type { ListQuery, Page } from '../../engine/list-query.ts'
import { LARGE_IMPORT } from '../heavy-work.ts'
import { listDuplicates, type Duplicates } from './duplicates.ts'
import { exportFile, type Exported, type ExportFormat } from './export/index.ts'
import { importFile, type ImportReport, type ImportRequest, type Progress } from './import/index.ts'
import { move, type Destination } from './move.ts'
import { ofPage, search, type Found } from './search.ts'
import { removeFolder } from './subtree.ts'
import { listTags, replaceTag, type Tagged } from './tags.ts'
import { branchesOf, type Branch } from './tree.ts'
import { assertUrl, pageOf } from './url.ts'

export interface Bookmarks extends Collection<typeof Bookmark, typeof BookmarkInput> {
  /** Brings a file in. @throws as importFile */
  importFile(request: ImportRequest, progress?: (done: Progress) => void): Promise<ImportReport>
  /** All there is, as a file. */
  exportFile(format: ExportFormat): Promise<Exported>
  /** The folders, nested. `withItems`: and the ids of what is in them, in order. */
  tree(withItems: boolean): Promise<Branch>
  /**
   * As of every kind; with `q` those that fit a search, with highlights, and with `url` those of its page.
   */
  list(query: ListQuery<BookmarkRecord>): Promise<Page<Found>>
  /** Puts one into a folder, at a place. @returns it @throws as move */
  move(id: string, destination: Destination, precondition?: Precondition): Promise<BookmarkRecord>
  tags(query: Pick<ListQuery<unknown>, 'limit' | 'cursor'>): Promise<Page<Tagged>>
  /** Renames a tag, or removes it. @returns on how many it was @throws as replaceTag */
  replaceTag(tag: string, to: string | undefined): Promise<number>
  duplicates(query: Pick<ListQuery<unknown>, 'limit' | 'cursor'>): Promise<Page<Duplicates>>
}

/** The bookmarks of one space, and the folders that they are in. */
export function bookmarks (context: Context): Bookmarks {
  const records = collection(context, bookmark, {
    check: ({ kind = 'bookmark', url, address }, id) => {
      if (RESERVED_IDS.has(id)) throw invalid('params/id', 'is the name of a route')
      if (kind !== 'bookmark' && url !== undefined) throw invalid('/url', `does not belong to a ${kind}`)
      if (kind === 'bookmark' && url === undefined) throw invalid('/url', 'is missing')
      if (kind !== 'note' && address !== undefined) throw invalid('/address', `does not belong to a ${kind}`)
      if (url !== undefined) assertUrl(url)
    },
    remove: (row, precondition, confirm) =>
      row.kind === 'folder' ? removeFolder(context, row, precondition, confirm) : undefined
  })
  return {
    ...records,
    importFile: (request, progress) =>
      context.heavy.run(
        request.bytes.length > LARGE_IMPORT ? 'largeImport' : 'smallImport',
        context.space.tenantId,
        () => importFile(context, request, progress)
      ),
    exportFile: (format) => exportFile(context, format),
    tree: async (withItems) => {
      const { view } = await context.readModels.open(context)
      return branchesOf(await view.tree(), withItems)
    },
    list: (query) =>
      query.q !== undefined
        ? search(context, query)
        : query.url !== undefined
        ? ofPage(context, query.url, query)
        : records.list(query),
    // Of a staged batch nothing is kept but that it was written.
    move: async (id, destination, precondition) =>
      await move(context, id, destination, precondition) ?? records.get(id),
    tags: (query) => listTags(context, query),
    replaceTag: (tag, to) =>
      context.heavy.run('rewrite', context.space.tenantId, () => replaceTag(context, tag, to)),
    duplicates: (query) => listDuplicates(context, query)
  }
}

const invalid = (pointer: string, detail: string) =>
  new Problem('VALIDATION_FAILED', `${pointer} ${detail}.`, { errors: [{ pointer, detail }] })

/** Which bookmarks a list shows; what is left out does not filter. */
export interface BookmarkFilter {
  folderId?: string
  tag?: string
  url?: string
  favorite?: boolean
  kind?: BookmarkRecord['kind']
}

/** @returns a test of one bookmark. URLs are compared by the page that they lead to (`pageOf`). */
export function matching (
  { folderId, tag, url, favorite, kind }: BookmarkFilter
): (record: BookmarkRecord) => boolean {
  const wanted = url === undefined ? undefined : pageOf(url)
  return (record) =>
    (folderId === undefined || record.folderId === folderId) &&
    (tag === undefined || record.tags.includes(tag)) &&
    (kind === undefined || (record.kind ?? 'bookmark') === kind) &&
    (favorite === undefined || (record.favorite ?? false) === favorite) &&
    (wanted === undefined || (record.url !== undefined && pageOf(record.url) === wanted))
}
