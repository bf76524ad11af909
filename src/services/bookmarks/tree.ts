import type { BookmarkRecord } from '../../../entities/bookmark.ts'
import { byCodeUnits, createPace, sorted, type Pace } from '../../turns.ts'

/** Bookmarks and folders by the folder that they are shown in. */
export interface Tree {
  /** Of a folder, by its id, or of the root, in order. Empty where nothing is in it. */
  children(folderId: string | undefined): readonly BookmarkRecord[]
}

/** A folder, or the root, with the folders in it. */
export interface Branch {
  /** Of the folder; the root has none. */
  readonly id?: string
  readonly title?: string
  /** How many bookmarks are in it, not counting those in its folders. */
  readonly bookmarks: number
  readonly folders: readonly Branch[]
  /** Where they were asked for: ids of all that is in it, bookmarks and folders in their order. */
  readonly items?: readonly string[]
}

const NONE: readonly BookmarkRecord[] = []

/**
 * Orders records. What is in a folder that is not there is shown at the root: a device may have sent a child
 * before its folder, or not yet know that the folder was deleted.
 */
export async function treeOf (records: readonly BookmarkRecord[]): Promise<Tree> {
  const pace = createPace()
  const folders = new Set<string>()
  for (const { id, kind } of records) {
    if (kind === 'folder') folders.add(id)
    if (pace.due()) await pace.turn()
  }
  const children = new Map<string | undefined, BookmarkRecord[]>()
  for (const record of records) {
    const { folderId } = record
    const into = folderId !== undefined && folders.has(folderId) ? folderId : undefined
    const beside = children.get(into)
    if (beside === undefined) children.set(into, [record])
    else beside.push(record)
    if (pace.due()) await pace.turn()
  }
  for (const [folder, beside] of children) children.set(folder, await sorted(beside, inOrder, pace))
  return { children: (folderId) => children.get(folderId) ?? NONE }
}

/** The folders of a tree, nested as they are: at most as deep as folders may be. */
export async function branchesOf (
  tree: Tree,
  withItems: boolean,
  folder?: BookmarkRecord,
  pace: Pace = createPace()
): Promise<Branch> {
  const folders: Branch[] = []
  const items: string[] = []
  const children = tree.children(folder?.id)
  for (const child of children) {
    if (withItems) items.push(child.id)
    if (child.kind === 'folder') folders.push(await branchesOf(tree, withItems, child, pace))
    if (pace.due()) await pace.turn()
  }
  return {
    ...folder !== undefined && { id: folder.id, title: folder.title },
    bookmarks: children.length - folders.length,
    folders,
    ...withItems && { items }
  }
}

/** By position, in code units as fractional indexes want it; what has none comes last, the oldest first. */
export function inOrder (a: BookmarkRecord, b: BookmarkRecord): number {
  return byCodeUnits(a.position ?? '\uffff', b.position ?? '\uffff') ||
    byCodeUnits(a.createdAt, b.createdAt) ||
    byCodeUnits(a.id, b.id)
}
