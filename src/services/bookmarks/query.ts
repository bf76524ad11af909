import type { BookmarkRecord } from '../../../entities/bookmark.ts'
import { Problem } from '../../errors.ts'
import type { Pace } from '../../turns.ts'
import type { ReadModel } from './model.ts'
import { addTo } from './sets.ts'
import { hostOf } from './url.ts'
import { askedOf, CHARACTERS_A_STEP, FIELDS, folded, inOrder, textsOf } from './words.ts'

/** Words, words of phrases, tags, sites and folders of one search, each counted once. */
export const MAX_TERMS = 100

/** What someone searches for. All of it has to fit, and nothing is in it twice. */
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

/** A key with its value, which a `\"` may be in where it is quoted; a phrase; a word. */
const PARTS = /(tag|site|folder):(?:"((?:\\["\\]|\\(?!["\\])|[^"\\])*)"?|(\S*))|"([^"]*)"?|([^\s"]+)/gi

/**
 * Reads a search: words, "phrases", `tag:`, `site:` and `folder:`, whose values may be quoted as well. There
 * is no search that can't be read: what is left open or not known is taken for words.
 * @throws Problem VALIDATION_FAILED naming searchTerms
 */
export function wantedOf (q: string): Wanted {
  const [words, tags, sites, folders] = [new Set<string>(), new Set<string>(), new Set<string>(),
    new Set<string>()]
  const phrases = new Map<string, string[]>()
  for (const [, key, quoted, bare, phrase, word] of q.matchAll(PARTS)) {
    if (key !== undefined) {
      const value = (quoted?.replace(/\\(["\\])/g, '$1') ?? bare ?? '').trim()
      if (/^site$/i.test(key)) sites.add(hostOf(`http://${value}`) ?? value)
      else (/^tag$/i.test(key) ? tags : folders).add(folded(value))
    } else if (phrase !== undefined) {
      const terms = inOrder(phrase)
      if (terms.length > 0) phrases.set(terms.join(' '), terms)
    } else for (const term of askedOf(word!)) words.add(term)
  }
  const wanted = {
    words: [...words],
    phrases: [...phrases.values()],
    tags: [...tags],
    sites: [...sites],
    folders: [...folders]
  }
  const count = words.size + tags.size + sites.size + folders.size + new Set(wanted.phrases.flat()).size
  if (count > MAX_TERMS) {
    const detail = `has ${count} terms; ${MAX_TERMS} are searched for at once`
    throw new Problem('VALIDATION_FAILED', `q ${detail}.`, {
      errors: [{ pointer: 'querystring/q', detail }],
      limit: { name: 'searchTerms', value: MAX_TERMS, sent: count }
    })
  }
  return wanted
}

/** @returns a test of what an index does not tell: phrases and folders. It tells its steps to `pace` */
export async function fitting (
  { phrases, folders }: Wanted,
  model: ReadModel,
  pace: Pace
): Promise<(record: BookmarkRecord) => boolean> {
  const within = folders.length === 0 ? [] : await foldersBelow(model, folders, pace)
  const sought = phrases.map((phrase) => ` ${phrase.join(' ')} `)
  return (record) => {
    if (!within.every((ids) => record.folderId !== undefined && ids.has(record.folderId))) return false
    if (sought.length === 0) return true
    // Read once, however many phrases there are.
    const texts = textsOf(record)
    const read = FIELDS.map((field) => {
      pace.due(texts[field].length / CHARACTERS_A_STEP + sought.length)
      return ` ${inOrder(texts[field]).join(' ')} `
    })
    return sought.every((phrase) => read.some((words) => words.includes(phrase)))
  }
}

/** Of each of `wanted`: the folders of that name or id, with those below. */
async function foldersBelow (
  { folders, records }: ReadModel,
  wanted: readonly string[],
  pace: Pace
): Promise<Set<string>[]> {
  const [named, children] = [new Map<string, Set<string>>(), new Map<string, Set<string>>()]
  for (const folder of [...folders]) {
    const record = records.get(folder)
    if (pace.due()) await pace.turn()
    if (record === undefined) continue
    for (const name of [record.id.toLowerCase(), folded(record.title)]) addTo(named, name, record.id)
    if (record.folderId !== undefined) addTo(children, record.folderId, record.id)
  }
  const found: Set<string>[] = []
  for (const name of wanted) {
    // The set grows while it is walked; what is in it is not walked twice, so that a circle has an end.
    const ids = new Set(named.get(name))
    for (const id of ids) {
      for (const child of children.get(id) ?? []) ids.add(child)
      if (pace.due()) await pace.turn()
    }
    found.push(ids)
  }
  return found
}
