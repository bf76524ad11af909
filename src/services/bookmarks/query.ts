import type { BookmarkRecord } from '../../../entities/bookmark.ts'
import type { ReadModel } from './read-model.ts'
import { below } from './subtree.ts'
import { treeOf } from './tree.ts'
import { hostOf } from './url.ts'
import { FIELDS, folded, textsOf, wordsOf } from './words.ts'

/** What someone searches for. */
export interface Wanted {
  /** That a word begins with, or nearly is. */
  readonly words: readonly string[]
  /** Words that stand beside each other. */
  readonly phrases: readonly (readonly string[])[]
  /** Folded. */
  readonly tags: readonly string[]
  readonly sites: readonly string[]
  /** Ids or titles of folders, folded; what is in folders below counts. */
  readonly folders: readonly string[]
}

/**
 * Reads a search: words, "phrases", `tag:`, `site:` and `folder:`, whose values may be quoted as well. There
 * is no search that can't be read: what is left open or not known is taken for words.
 */
export function wantedOf (q: string): Wanted {
  const words = new Set<string>()
  const [phrases, tags, sites, folders]: [string[][], string[], string[], string[]] = [[], [], [], []]
  for (const [, key, quoted, bare] of q.matchAll(/(?:(tag|site|folder):)?(?:"([^"]*)"?|([^\s"]+))/gi)) {
    const value = (quoted ?? bare ?? '').trim()
    if (key === undefined) {
      const terms = wordsOf(value).map(({ term }) => term)
      if (quoted === undefined) { for (const term of terms) words.add(term) }
      else if (terms.length > 0) phrases.push(terms)
    } else if (/^site$/i.test(key)) sites.push(hostOf(`http://${value}`) ?? value)
    else (/^tag$/i.test(key) ? tags : folders).push(folded(value))
  }
  return { words: [...words], phrases, tags, sites, folders }
}

/** @returns a test of what an index does not tell: phrases and folders */
export function fitting (
  { phrases, folders }: Wanted,
  model: ReadModel
): (record: BookmarkRecord) => boolean {
  const within = folders.map((folder) => idsBelow(model, folder))
  return (record) =>
    within.every((ids) => record.folderId !== undefined && ids.has(record.folderId)) &&
    phrases.every((phrase) => holds(record, phrase))
}

/** The folders of a name, or an id, with those below. */
function idsBelow ({ folders, records }: ReadModel, folder: string): Set<string> {
  const all = new Map([...folders].map((id) => [id, records.get(id)!]))
  const named = [...folders].filter((id) =>
    id.toLowerCase() === folder || folded(all.get(id)!.title) === folder
  )
  const tree = treeOf({ records: all, folders })
  return new Set(named.flatMap((id) => [id, ...below(tree, id).map(({ id }) => id)]))
}

function holds (record: BookmarkRecord, phrase: readonly string[]): boolean {
  const texts = textsOf(record)
  return FIELDS.some((field) =>
    ` ${wordsOf(texts[field]).map(({ term }) => term).join(' ')} `.includes(` ${phrase.join(' ')} `)
  )
}
