import { SaxesParser, type SaxesTagPlain } from 'saxes'
import type { Problem } from '../../../../errors.ts'
import { malformed } from '../not-bookmarks.ts'

/** Elements in elements. A folder in a folder is one level. */
const MAX_DEPTH = 16_384
/** A bare ampersand, as in URLs that nobody escaped: text, as it is meant. */
const TOLERATED = /disallowed character in entity name|empty entity name/

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
  write(piece: string): void
  end(): void
}

/**
 * A SAX parser that knows no entities but XML's own: what a document type declares is neither read nor
 * fetched. Depth is bounded.
 */
export function createXml (handler: XmlHandler): XmlReader {
  const parser = new SaxesParser<{ xmlns: false }>({ xmlns: false })
  let depth = 0
  const wrong = (detail: string) => malformed(detail, `line ${parser.line}, column ${parser.column + 1}`)
  parser.on('error', (error) => {
    const detail = error.message.replace(/^\d+:\d+: /, '').replace(/\.$/, '')
    if (!TOLERATED.test(detail)) throw wrong(detail)
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
      parser.write(piece)
    },
    end () {
      parser.close()
    }
  }
}
