import type { Content } from './kinds.ts'

/** What became of two edits that did not know of each other. */
export interface Merged {
  /** Undefined: the record is gone. */
  readonly content: Content | undefined
  /**
   * Set where both sides changed the same thing, differently, and a choice was made: JSON pointers of what it
   * was, or none where one side deleted the record that the other edited.
   */
  readonly conflict?: readonly string[]
}

/**
 * Merges two edits of one record: what one side alone changed is taken from it. Where both changed the same,
 * mine is taken; an edit wins over a delete, whoever made it, because a delete can be made again and an edit
 * can't. Tags are merged as sets and objects in the value of a setting key by key.
 * @param base what both started from; undefined: there was no record. @param mine undefined: I deleted it.
 *   @param theirs likewise
 */
export function merge (
  base: Content | undefined,
  mine: Content | undefined,
  theirs: Content | undefined
): Merged {
  if (same(mine, theirs) || same(base, theirs)) return { content: mine }
  if (same(base, mine)) return { content: theirs }
  if (mine === undefined || theirs === undefined) return { content: mine ?? theirs, conflict: [] }
  const conflict: string[] = []
  const content = mergeMembers(base ?? {}, mine, theirs, '', conflict)
  return { content, ...conflict.length > 0 && { conflict } }
}

function mergeMembers (
  base: Content,
  mine: Content,
  theirs: Content,
  path: string,
  conflict: string[]
): Content {
  const names = new Set([...Object.keys(theirs), ...Object.keys(mine)])
  const members = [...names].map((
    name
  ) => [name, mergeValue(
    own(base, name),
    own(mine, name),
    own(theirs, name),
    `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`,
    conflict
  )])
  return Object.fromEntries(members.filter(([, value]) => value !== undefined)) as Content
}

function mergeValue (
  base: unknown,
  mine: unknown,
  theirs: unknown,
  path: string,
  conflict: string[]
): unknown {
  if (same(mine, theirs) || same(base, theirs)) return mine
  if (same(base, mine)) return theirs
  if (path === '/tags' && Array.isArray(mine) && Array.isArray(theirs)) {
    return mergeTags(Array.isArray(base) ? base : [], mine, theirs)
  }
  if (isObject(mine) && isObject(theirs)) {
    return mergeMembers(isObject(base) ? base : {}, mine, theirs, path, conflict)
  }
  conflict.push(path)
  return mine
}

/** What either side has, but for what either side took away. */
function mergeTags (
  base: readonly unknown[],
  mine: readonly unknown[],
  theirs: readonly unknown[]
): unknown[] {
  const kept = (tag: unknown) => !base.includes(tag) || (mine.includes(tag) && theirs.includes(tag))
  return [...new Set([...theirs, ...mine])].filter(kept)
}

const own = (object: Content, name: string) => Object.hasOwn(object, name) ? object[name] : undefined
const isObject = (value: unknown): value is Content =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Whether two values are the same JSON. The order of keys says nothing, and undefined is nothing. */
export function same (one: unknown, other: unknown): boolean {
  if (one === other) return true
  if (
    typeof one !== 'object' || typeof other !== 'object' || one === null || other === null ||
    Array.isArray(one) !== Array.isArray(other)
  ) return false
  const names = Object.keys(one).filter((name) => own(one as Content, name) !== undefined)
  return names.length === Object.values(other).filter((value) => value !== undefined).length &&
    names.every((name) =>
      Object.hasOwn(other, name) && same(own(one as Content, name), own(other as Content, name))
    )
}
