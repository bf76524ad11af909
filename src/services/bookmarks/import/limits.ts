import { BOOKMARK_LIMITS } from '../../../../entities/bookmark.ts'
import { refusalOf } from '../url.ts'
import type { Entry } from './entry.ts'

/**
 * Brings an entry within what the hub keeps: what is too long is shortened, and said so; what can't be kept
 * is refused. Doing so again changes nothing.
 * @param keepInert a bookmark whose URL is not kept becomes a note, which has it as text
 * @returns why it is refused, or undefined
 */
export function fit (entry: Entry, keepInert: boolean): string | undefined {
  if (entry.refused !== undefined) return entry.refused
  const { url, address, title, description, position, remarks } = entry
  if (
    [url, address, title, description, position, ...entry.tags].some((text) => text?.isWellFormed() === false)
  ) {
    return 'it holds half a surrogate pair, which has no UTF-8'
  }
  if (entry.kind === 'folder' && (url !== undefined || address !== undefined)) {
    return 'it is a folder with a URL'
  }
  const refusal = entry.kind === 'folder' ? undefined : refusalOfUrl(entry, keepInert)
  if (refusal !== undefined) return refusal
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

/** Why a bookmark or note is not kept for its URL; a bookmark may become a note. */
function refusalOfUrl (entry: Entry, keepInert: boolean): string | undefined {
  const { kind, url = '', address = '' } = entry
  const [called, text] = kind === 'note' ? ['address', address] : ['URL', url]
  if (lengthOf(text) > BOOKMARK_LIMITS.url) {
    return `its ${called} has ${lengthOf(text)} characters; ${BOOKMARK_LIMITS.url} are kept`
  }
  if (kind === 'note') {
    if (url !== '') return 'it is a note with a URL'
    if (address === '') entry.address = undefined
    return undefined
  }
  const refusal = url === '' ? 'it has no URL' : refusalOf(url)
  if (refusal === undefined) return undefined
  const isText = url !== '' || entry.title !== '' || entry.description !== undefined
  if (!keepInert || !isText) return refusal
  entry.kind = 'note'
  entry.url = undefined
  if (url !== '') entry.address = url
  entry.remarks.push(
    url === ''
      ? 'it has no URL: it is kept as a note'
      : 'its URL is kept as the text of a note, and is no link'
  )
  return undefined
}

/** Tags that don't fit are told together: a file may have any number of them. */
function fitting (tags: readonly string[], remarks: string[]): string[] {
  const fits = (tag: string) => tag !== '' && lengthOf(tag) <= BOOKMARK_LIMITS.tag
  const [kept, wrong] = [tags.filter(fits), tags.filter((tag) => !fits(tag))]
  if (wrong.length > 0) {
    const more = wrong.length === 1 ? ' is' : ` and ${wrong.length - 1} more are`
    remarks.push(
      `its tag "${wrong[0]!.slice(0, 40)}"${more} left out: a tag has 1 to ${BOOKMARK_LIMITS.tag} characters`
    )
  }
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
