import type { BookmarkRecord } from '../../../entities/bookmark.ts'
import { FIELDS, folded, isTelling, textsOf, wordsOf } from './search-index.ts'
import type { Shelf } from './shelf.ts'
import { below } from './subtree.ts'
import { treeOf } from './tree.ts'

/** What someone searches for. */
export interface Wanted {
  /** That a word begins with, or nearly is. */
  readonly words: readonly string[]
  /** Words that stand beside each other. */
  readonly phrases: readonly (readonly string[])[]
  readonly tags: readonly string[]
  readonly sites: readonly string[]
  /** Ids or titles of folders; what is in folders below counts. */
  readonly folders: readonly string[]
}

/**
 * Reads a search: words, "phrases", `tag:`, `site:` and `folder:`, whose values may be quoted as well. There is no
 * search that can't be read: what is left open or not known is taken for words.
 */
export function wantedOf (q: string): Wanted {
  const wanted = { words: [] as string[], phrases: [] as string[][], tags: [] as string[], sites: [] as string[], folders: [] as string[] }
  for (const [, key, quoted, bare] of q.matchAll(/(?:(tag|site|folder):)?(?:"([^"]*)"?|([^\s"]+))/gi)) {
    const value = quoted ?? bare ?? ''
    if (key !== undefined) wanted[`${key.toLowerCase() as 'tag' | 'site' | 'folder'}s`].push(folded(value.trim()))
    else {
      const terms = wordsOf(value).map(({ term }) => term)
      if (quoted === undefined) wanted.words.push(...terms.filter(isTelling))
      else if (terms.length > 0) wanted.phrases.push(terms)
    }
  }
  return wanted
}

/** @returns a test of what words alone don't tell: phrases, tags, sites and folders */
export function fitting ({ phrases, tags, sites, folders }: Wanted, shelf: Shelf): (record: BookmarkRecord) => boolean {
  const within = folders.map((folder) => idsBelow(shelf, folder))
  return (record) =>
    tags.every((tag) => record.tags.some((own) => folded(own) === tag)) &&
    sites.every((site) => isOf(record.url, site)) &&
    within.every((ids) => record.folderId !== undefined && ids.has(record.folderId)) &&
    phrases.every((phrase) => holds(record, phrase))
}

function isOf (url: string | undefined, site: string): boolean {
  if (url === undefined || !URL.canParse(url)) return false
  const host = new URL(url).hostname
  return host === site || host.endsWith(`.${site}`)
}

function idsBelow (shelf: Shelf, folder: string): Set<string> {
  const named = [...shelf.folders].filter((id) => id.toLowerCase() === folder || folded(shelf.records.get(id)!.title) === folder)
  const tree = treeOf(shelf)
  return new Set(named.flatMap((id) => [id, ...below(tree, id).filter(({ kind }) => kind === 'folder').map(({ id }) => id)]))
}

function holds (record: BookmarkRecord, phrase: readonly string[]): boolean {
  const texts = textsOf(record)
  return FIELDS.some((field) => ` ${wordsOf(texts[field]).map(({ term }) => term).join(' ')} `.includes(` ${phrase.join(' ')} `))
}
