import { generateNKeysBetween } from 'fractional-indexing'
import { BOOKMARK_LIMITS, type BookmarkRecord } from '../../../../entities/bookmark.ts'
import type { ReadModel } from '../read-model.ts'
import type { Entry } from './entry.ts'

/** A record as it is to be, and the one that it is made of. */
export interface Draft {
  content: Omit<BookmarkRecord, 'id' | 'rev' | 'createdAt' | 'updatedAt'>
  createdAt: string | undefined
  readonly before: BookmarkRecord | undefined
  touched: boolean
  /** The order of the file is its place. */
  readonly isOrdered: boolean
  /** The first entry of the file that it is of. */
  first: Entry | undefined
}

export function draftOf (before: BookmarkRecord): Draft {
  const { id: _, rev: __, updatedAt: ___, createdAt, ...content } = before
  return { content, createdAt, before, touched: false, isOrdered: false, first: undefined }
}

export function newDraft (entry: Entry, folderId: string | undefined): Draft {
  const { kind, url, address, title, description, tags, position, favorite, createdAt } = entry
  return {
    content: {
      ...kind !== 'bookmark' && { kind },
      ...url !== undefined && { url },
      ...address !== undefined && { address },
      title,
      ...description !== undefined && { description },
      tags,
      ...folderId !== undefined && { folderId },
      ...position !== undefined && { position },
      ...favorite !== undefined && { favorite }
    },
    createdAt,
    before: undefined,
    touched: true,
    isOrdered: entry.isPlaced !== true,
    first: entry
  }
}

/**
 * Adds to a record what an entry has beyond it. The older date is when it was made.
 * @returns whether there was anything
 */
export function addTo (draft: Draft, entry: Entry): boolean {
  const { content } = draft
  const tags = [...new Set([...content.tags, ...entry.tags])]
  if (tags.length > BOOKMARK_LIMITS.tags) {
    remark(entry, `with its tags there would be ${tags.length}: the first ${BOOKMARK_LIMITS.tags} are kept`)
  }
  const merged = {
    ...content,
    title: content.title === '' ? entry.title : content.title,
    tags: tags.slice(0, BOOKMARK_LIMITS.tags),
    ...content.description === undefined && entry.description !== undefined &&
      { description: entry.description },
    ...content.favorite !== true && entry.favorite === true && { favorite: true }
  }
  if (draft.first !== undefined) tellWhatIsLost(draft.first, entry, merged)
  draft.first ??= entry
  const isOlder = entry.createdAt !== undefined &&
    (draft.createdAt === undefined || entry.createdAt < draft.createdAt)
  const isNew = isOlder || JSON.stringify(merged) !== JSON.stringify(content)
  draft.content = merged
  if (isOlder) draft.createdAt = entry.createdAt
  draft.touched ||= isNew
  return isNew
}

/** The second entry of one URL in one folder: its title and description have no place where they are others. */
function tellWhatIsLost (first: Entry, entry: Entry, { title, description }: Draft['content']): void {
  if (entry.title !== '' && entry.title !== first.title && entry.title !== title) {
    remark(entry, "its URL comes before it in the same folder with another title: this one isn't kept")
  }
  if (
    entry.description !== undefined && entry.description !== first.description &&
    entry.description !== description
  ) {
    remark(entry, "its URL comes before it in the same folder with another description: this one isn't kept")
  }
}

/** Plans are made again where others write at the same time: what is said is said once. */
function remark ({ remarks }: Entry, text: string): void {
  if (!remarks.includes(text)) remarks.push(text)
}

/** New records stand behind what has a position in their folder, in the order of the file. */
export function setPositions (
  { records }: Pick<ReadModel, 'records'>,
  drafts: ReadonlyMap<string, Draft>
): void {
  const created = new Map<string | undefined, Draft[]>()
  for (const draft of drafts.values()) {
    if (!draft.isOrdered || draft.content.position !== undefined) continue
    const beside = created.get(draft.content.folderId)
    if (beside === undefined) created.set(draft.content.folderId, [draft])
    else beside.push(draft)
  }
  const last = new Map<string | undefined, string>()
  const see = ({ folderId, position }: { folderId?: string, position?: string }) => {
    if (position !== undefined && created.has(folderId) && position > (last.get(folderId) ?? '')) {
      last.set(folderId, position)
    }
  }
  for (const record of records.values()) see(record)
  for (const { content } of drafts.values()) see(content)
  for (const [folderId, beside] of created) {
    const keys = keysAfter(last.get(folderId), beside.length)
    beside.forEach(({ content }, index) => {
      content.position = keys[index]!
    })
  }
}

/**
 * Fractional indexes behind one that a client may have made in a way of its own, which the library then does
 * not take.
 */
function keysAfter (last: string | undefined, count: number): string[] {
  try {
    return generateNKeysBetween(last, null, count)
  } catch {
    return generateNKeysBetween(null, null, count)
  }
}
