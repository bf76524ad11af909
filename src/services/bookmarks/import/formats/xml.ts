import { SaxesParser, type SaxesTagPlain } from 'saxes'
import type { Problem } from '../../../../errors.ts'
import { malformed } from '../not-bookmarks.ts'

/** Elements in elements. A folder in a folder is one level. */
const MAX_DEPTH = 16_384
/** An ampersand that begins no reference, and where text begins and ends in which none does. */
const AMPERSAND = /&(?!#?[\w:.-]{1,40};)|<!\[CDATA\[|\]\]>/g
/** Longer than a reference. */
const HELD = 48

export interface XmlHandler {
  /** @param depth of the element: the root is 1 */
  open(tag: SaxesTagPlain, depth: number): void
  close(name: string, depth: number): void
  text(text: string): void
}

export interface XmlReader {
  readonly line: number
  /** @returns what is thrown where something is wrong, naming the line */
  wrong(detail: string): Problem
  readonly write: (piece: string) => void
  readonly end: () => void
}

/**
 * A SAX parser that knows no entities but XML's own: what a document type declares is neither read nor
 * fetched. Depth is bounded.
 */
export function createXml (handler: XmlHandler): XmlReader {
  const parser = new SaxesParser<{ xmlns: false }>({ xmlns: false })
  const ampersands = createAmpersands()
  let depth = 0
  const wrong = (detail: string) => malformed(detail, `line ${parser.line}, column ${parser.column + 1}`)
  parser.on('error', (error) => {
    const detail = error.message.replace(/^\d+:\d+: /, '').replace(/\.$/, '')
    throw wrong(detail)
  })
  parser.on('opentag', (tag) => {
    if (++depth > MAX_DEPTH) throw wrong(`Elements are nested more than ${MAX_DEPTH} deep`)
    handler.open(tag, depth)
  })
  parser.on('closetag', ({ name }) => {
    handler.close(name, depth--)
  })
  parser.on('text', (text) => {
    handler.text(text)
  })
  parser.on('cdata', (text) => {
    handler.text(text)
  })
  return {
    get line () {
      return parser.line
    },
    wrong,
    write (piece) {
      parser.write(ampersands.write(piece))
    },
    end () {
      parser.write(ampersands.end()).close()
    }
  }
}

/** Takes a bare ampersand, as in URLs that nobody escaped, for the text that it is meant as. */
function createAmpersands (): { write(piece: string): string, end(): string } {
  let held = ''
  let isCdata = false
  const escape = (text: string) =>
    text.replace(AMPERSAND, (found) => {
      if (found !== '&') isCdata = found !== ']]>'
      return found === '&' && !isCdata ? '&amp;' : found
    })
  return {
    write (piece) {
      const text = held + piece
      // What may begin something that ends in the next piece waits for it.
      const from = Math.max(0, text.length - HELD)
      const cut = /[&<\]]/.exec(text.slice(from))
      const until = cut === null ? text.length : from + cut.index
      held = text.slice(until)
      return escape(text.slice(0, until))
    },
    end: () => escape(held)
  }
}
