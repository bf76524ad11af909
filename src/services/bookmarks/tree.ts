import type { BookmarkRecord } from '../../../entities/bookmark.ts'
import type { ReadModel } from './read-model.ts'

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

/**
 * Orders what is on a model. What is in a folder that is not there is shown at the root: a device may have
 * sent a child before its folder, or not yet know that the folder was deleted.
 */
export function treeOf ({ records, folders }: Pick<ReadModel, 'records' | 'folders'>): Tree {
  const children = new Map<string | undefined, BookmarkRecord[]>()
  for (const record of records.values()) {
    const { folderId } = record
    const into = folderId !== undefined && folders.has(folderId) ? folderId : undefined
    const beside = children.get(into)
    if (beside === undefined) children.set(into, [record])
    else beside.push(record)
  }
  const sorted = new Set<string | undefined>()
  return {
    children (folderId) {
      const beside = children.get(folderId) ?? []
      if (!sorted.has(folderId)) beside.sort(inOrder)
      sorted.add(folderId)
      return beside
    }
  }
}

/** The folders of a tree, nested as they are: at most as deep as folders may be. */
export function branchesOf (tree: Tree, withItems: boolean, folder?: BookmarkRecord): Branch {
  const children = tree.children(folder?.id)
  const folders = children.filter(({ kind }) => kind === 'folder')
  return {
    ...folder !== undefined && { id: folder.id, title: folder.title },
    bookmarks: children.length - folders.length,
    folders: folders.map((folder) => branchesOf(tree, withItems, folder)),
    ...withItems && { items: children.map(({ id }) => id) }
  }
}

/** By position, in code units as fractional indexes want it; what has none comes last, the oldest first. */
function inOrder (a: BookmarkRecord, b: BookmarkRecord): number {
  return compare(a.position ?? '\uffff', b.position ?? '\uffff') || compare(a.createdAt, b.createdAt) ||
    compare(a.id, b.id)
}

const compare = (a: string, b: string) => a < b ? -1 : a > b ? 1 : 0
