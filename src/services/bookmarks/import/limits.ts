import { BOOKMARK_LIMITS } from '../../../../entities/bookmark.ts'
import { refusalOf } from '../url.ts'
import type { Entry } from './entry.ts'

/**
 * Brings an entry within what the hub keeps: what is too long is shortened, and said so; what can't be kept
 * is refused.
 * @returns why it is refused, or undefined
 */
export function fit (entry: Entry): string | undefined {
  if (entry.refused !== undefined) return entry.refused
  const { kind, url, title, description, position, remarks } = entry
  if ([url, title, description, position, ...entry.tags].some((text) => text?.isWellFormed() === false)) {
    return 'it holds half a surrogate pair, which has no UTF-8'
  }
  if (kind === 'folder' && url !== undefined) return 'it is a folder with a URL'
  if (kind === 'bookmark') {
    if (url === undefined || url === '') return 'it has no URL'
    if (lengthOf(url) > BOOKMARK_LIMITS.url) {
      return `its URL has ${lengthOf(url)} characters; ${BOOKMARK_LIMITS.url} are kept`
    }
    const refusal = refusalOf(url)
    if (refusal !== undefined) return refusal
  }
  entry.title = shortened('title', title, BOOKMARK_LIMITS.title, remarks)
  if (description !== undefined) {
    entry.description = shortened('description', description, BOOKMARK_LIMITS.description, remarks)
  }
  if (position !== undefined && (position === '' || lengthOf(position) > BOOKMARK_LIMITS.position)) {
    entry.position = undefined
  }
  entry.tags = fitting([...new Set(entry.tags)], remarks)
  return undefined
}

function fitting (tags: readonly string[], remarks: string[]): string[] {
  const kept = tags.filter((tag) => {
    const fits = tag !== '' && lengthOf(tag) <= BOOKMARK_LIMITS.tag
    if (!fits) {
      remarks.push(
        `its tag "${tag.slice(0, 40)}" is left out: a tag has 1 to ${BOOKMARK_LIMITS.tag} characters`
      )
    }
    return fits
  })
  if (kept.length > BOOKMARK_LIMITS.tags) {
    remarks.push(`it has ${kept.length} tags: the first ${BOOKMARK_LIMITS.tags} are kept`)
  }
  return kept.slice(0, BOOKMARK_LIMITS.tags)
}

function shortened (name: string, text: string, most: number, remarks: string[]): string {
  const length = lengthOf(text)
  if (length <= most) return text
  remarks.push(`its ${name} has ${length} characters: the first ${most} are kept`)
  // Two units a character at the most, so that no more is taken apart.
  return [...text.slice(0, most * 2)].slice(0, most).join('')
}

/** In code points, as JSON Schema counts. */
function lengthOf (text: string): number {
  let length = text.length
  for (let index = 1; index < text.length; index++) {
    if (isLow(text.charCodeAt(index)) && isHigh(text.charCodeAt(index - 1))) length--
  }
  return length
}

const isHigh = (unit: number) => unit >= 0xd800 && unit < 0xdc00
const isLow = (unit: number) => unit >= 0xdc00 && unit < 0xe000
