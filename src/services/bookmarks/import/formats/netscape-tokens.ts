import { decodeHTML, decodeHTMLAttribute } from 'entities'
import { createScanner, type Scanner } from './scanner.ts'

/** A tag that opens. */
export interface Tag {
  readonly name: string
  /** By name in lower case; the values of those that nobody asked for are empty. */
  readonly attributes: ReadonlyMap<string, string>
  /** Where it begins. */
  readonly at: number
  /** It does not end: what it says may be cut. */
  readonly isCut: boolean
}

export interface TokenHandler {
  open(tag: Tag): void
  close(name: string): void
  text(text: string): void
  /** A declaration (`<!DOCTYPE ...>`), without its brackets. */
  declaration(text: string): void
  /** Whether text is wanted: in a title or a description what is no tag of the format is text. */
  readonly field: 'title' | 'description' | undefined
}

/** Markup within texts: no part of them. Anything else in angle brackets is text, `<script>` as well. */
const INLINE = new Set(['b', 'i', 'u', 'em', 'strong', 'span', 'font', 'small', 'big', 'sub', 'sup', 'mark',
  'img', 'wbr'])
/** Tags that the format is made of, and markup. */
const ALWAYS = new Set(['a', 'dl', 'dt', 'dd', 'ul', 'ol', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'br',
  'p', 'li', 'div', ...INLINE])
/** Tags of pages, which are tags where no text is wanted. */
const PAGE = new Set(['html', 'head', 'body', 'title', 'meta', 'link', 'script', 'style', 'nav', 'form',
  'table', 'iframe', 'svg'])
const OUTERMOST = new Set(['html', 'body'])
/** Longer names are of no tag that is known. */
const MAX_NAME = 12
/** What a title that does not end ends at. */
const NEXT_ITEM = /<dt>\s{0,99}<(?:a|h3)\s|<(?:a|h3)\s{1,9}[a-z_-]{1,40}\s{0,9}=|<\/?dl>/i

const NAME = /[a-z][a-z0-9]*/iy
const SPACE = /[\s/]*/y
const ATTRIBUTE = /[^\s=<>/"']+|["']/y
const EQUALS = /\s*=\s*/y
const UNQUOTED = /[^\s<>]*/y

/**
 * The tokens of Netscape bookmark files, and of no web page: no element has text of another kind than others,
 * so that the word `<script>` or `<!--` in a title swallows nothing. Reading never goes back, and each search
 * costs its way once: work is linear in the text, whatever it holds.
 * @param wanted names of attributes whose values are read; all others are stepped over
 */
export function createTokens (text: string, wanted: ReadonlySet<string>, handler: TokenHandler): {
  readonly scanner: Scanner,
  /** Reads on, up to an offset at least. */
  readTo(offset: number): void
} {
  const scanner = createScanner(text)
  let inComment = false
  /** Up to here no title ends on its line. */
  let notPlain = 0

  /** What a pattern has from an offset on, its way counted. */
  function match (pattern: RegExp, from: number): string {
    pattern.lastIndex = from
    const [found = ''] = pattern.exec(text) ?? []
    scanner.steps += found.length + 1
    return found
  }

  function say (from: number, to: number): void {
    if (to > from && !inComment) handler.text(decodeHTML(text.slice(from, to)))
    scanner.steps += to - from
    scanner.at = to
  }

  function step (): void {
    if (inComment) return leaveComment()
    if (handler.field === 'title' && scanner.at >= notPlain && plainTitle()) return
    const next = scanner.find('<')
    if (next === -1) return say(scanner.at, text.length)
    say(scanner.at, next)
    markup(next)
  }

  function leaveComment (): void {
    const [end, next] = [scanner.find('-->'), scanner.find('<')]
    if (end === -1 && next === -1) scanner.at = text.length
    else if (end !== -1 && (next === -1 || end < next)) {
      inComment = false
      scanner.at = end + 3
    } else {
      // A comment that holds items is none: it was never closed, or somebody wrote "<!--".
      scanner.at = next
      if (NEXT_ITEM.exec(text.slice(next, next + 200))?.index === 0) inComment = false
      else scanner.at++
    }
  }

  /** A title that ends on its line is text up to there, whatever is in it but a further item. */
  function plainTitle (): boolean {
    const [small, large] = [scanner.find('</'), scanner.find('\n')]
    let close = small
    while (
      close !== -1 && (large === -1 || close < large) &&
      !/^<\/(?:a|h[1-6])\s*>/i.test(text.slice(close, close + 8))
    ) {
      close = scanner.find('</', close + 1)
    }
    if (close === -1 || (large !== -1 && close > large)) return false
    const title = text.slice(scanner.at, close)
    const further = NEXT_ITEM.exec(title)?.index
    scanner.steps += further ?? title.length
    if (further !== undefined) notPlain = scanner.at + further + 1
    if (title === '' || further !== undefined) return false
    // Inline markup goes; all else stays as it is written.
    const plain = title.replace(
      /<\/?([a-z]{1,6})(?:\s[^<>]*)?>/gi,
      (tag, name: string) => INLINE.has(name.toLowerCase()) ? '' : tag
    ).replace(/<br ?\/?>/gi, ' ')
    handler.text(decodeHTML(plain))
    scanner.at = close
    return true
  }

  /** What begins with an angle bracket: a tag that is known, a comment or a declaration between items, or text. */
  function markup (at: number): void {
    const { field } = handler
    const isClosing = text[at + 1] === '/'
    if (field === undefined && text.startsWith('<!--', at)) {
      inComment = true
      scanner.at = at + 4
      return
    }
    if (field === undefined && (text[at + 1] === '!' || text[at + 1] === '?')) {
      const end = scanner.find('>', at)
      if (end === -1 || end - at > 1000) return say(at, at + 1)
      handler.declaration(text.slice(at + 1, end))
      scanner.at = end + 1
      return
    }
    const nameAt = at + (isClosing ? 2 : 1)
    const name = match(NAME, nameAt).toLowerCase()
    const after = text[nameAt + name.length]
    const isTag = name.length <= MAX_NAME && (after === undefined || /[\s/><]/.test(after)) &&
      (ALWAYS.has(name) || (field === undefined && PAGE.has(name)) || (isClosing && OUTERMOST.has(name)))
    if (!isTag) return say(at, at + 1)
    const { attributes, isCut } = attributesOf(nameAt + name.length)
    if (isClosing) handler.close(name)
    else if (!INLINE.has(name)) handler.open({ name, attributes, at, isCut })
  }

  /** Leaves reading behind the tag. An angle bracket that opens ends one that was not closed. */
  function attributesOf (from: number): Pick<Tag, 'attributes' | 'isCut'> {
    const attributes = new Map<string, string>()
    scanner.at = from
    for (;;) {
      scanner.at += match(SPACE, scanner.at).length
      const unit = text[scanner.at]
      if (unit === undefined) return { attributes, isCut: true }
      if (unit === '>') scanner.at++
      if (unit === '>' || unit === '<') return { attributes, isCut: false }
      const name = match(ATTRIBUTE, scanner.at)
      scanner.at += Math.max(1, name.length)
      const equals = match(EQUALS, scanner.at)
      scanner.at += equals.length
      const given = equals === '' ? { value: '', isCut: false } : value(wanted.has(name.toLowerCase()))
      if (!attributes.has(name.toLowerCase())) attributes.set(name.toLowerCase(), given.value)
      if (given.isCut) return { attributes, isCut: true }
    }
  }

  function value (isWanted: boolean): { value: string, isCut: boolean } {
    const quote = text[scanner.at]
    if (quote !== '"' && quote !== "'") {
      const plain = match(UNQUOTED, scanner.at)
      scanner.at += plain.length
      return { value: decodeHTMLAttribute(plain), isCut: false }
    }
    const from = scanner.at + 1
    let end = scanner.find(quote, from)
    const isOpen = end === -1 || isUnclosed(text.slice(from, end))
    if (isOpen) end = scanner.find('>', from)
    scanner.at = end === -1 ? text.length : isOpen ? end : end + 1
    const given = isWanted ? decodeHTMLAttribute(text.slice(from, end === -1 ? undefined : end)) : ''
    scanner.steps += given.length
    return { value: given, isCut: end === -1 }
  }

  return {
    scanner,
    readTo (offset) {
      const end = Math.min(offset, text.length)
      while (scanner.at < end) step()
    }
  }
}

/** A value whose quote is missing goes on up to the quote of an attribute of the next item. */
const isUnclosed = (value: string) => value.trimEnd().endsWith('=') && /<\/(?:a|h3)>/i.test(value)
