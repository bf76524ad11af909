import { createHash } from 'node:crypto'
import type { BookmarkRecord } from '../../../../entities/bookmark.ts'
import type { ReadModel } from '../read-model.ts'
import { inOrder } from '../tree.ts'
import { spelled } from '../url.ts'

/** What of a record or an entry says which it is. */
export type Named = Pick<BookmarkRecord, 'kind' | 'folderId' | 'url' | 'title' | 'address' | 'description'>

/** What makes a bookmark, folder or note the same as another. Ids hold no line breaks. */
export function nameOf (
  { kind = 'bookmark', folderId = '', url, title, address, description = '' }: Named
): string {
  const own = kind === 'folder'
    ? title
    : kind === 'bookmark'
    ? spelled(url!)
    : address ?? `\n${title}\n${description}`
  return `${kind}\n${folderId}\n${own}`
}

/** An id that follows from a name. @param nth folder of that name; those before it have ids of their own */
export const derivedId = (name: string, nth = 0) =>
  `i${createHash('sha256').update(nth === 0 ? name : `${name}\n${nth}`).digest('base64url').slice(0, 21)}`

/** What is there by name. */
export interface Names {
  /** The record that an entry of this name is; undefined where it is new. Each folder is one entry's at most. */
  find(name: string, kind: BookmarkRecord['kind']): string | undefined
  /** A folder that belongs to an entry by its id. */
  claim(id: string): void
  /** A record that is new. */
  add(name: string, id: string): void
  /** Folders of a name that entries have. */
  countOf(name: string): number
}

/** @param breathe lets others have their turn; asked for each record */
export async function createNames (
  { records }: Pick<ReadModel, 'records'>,
  breathe: () => Promise<void>
): Promise<Names> {
  const single = new Map<string, string>()
  const folders = new Map<string, BookmarkRecord[]>()
  for (const record of records.values()) {
    const name = nameOf(record)
    if (record.kind !== 'folder') {
      if (!single.has(name)) single.set(name, record.id)
    } else {
      const beside = folders.get(name)
      if (beside === undefined) folders.set(name, [record])
      else beside.push(record)
    }
    await breathe()
  }
  for (const beside of folders.values()) beside.sort(inOrder).reverse()
  const claimed = new Set<string>()
  const counts = new Map<string, number>()
  return {
    find (name, kind) {
      if (kind !== 'folder') return single.get(name)
      const left = folders.get(name) ?? []
      let next = left.pop()
      while (next !== undefined && claimed.has(next.id)) next = left.pop()
      if (next !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1)
      return next?.id
    },
    claim (id) {
      claimed.add(id)
    },
    add (name, id) {
      single.set(name, id)
      counts.set(name, (counts.get(name) ?? 0) + 1)
    },
    countOf: (name) => counts.get(name) ?? 0
  }
}
