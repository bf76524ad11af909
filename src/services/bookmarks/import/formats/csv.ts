import { createScanner, type Scanner } from './scanner.ts'

/** One line of a table: its cells, and where it begins. */
export interface Row {
  readonly cells: readonly string[]
  readonly line: number
  /** Text follows a quoted cell: quotes don't match, and the row may hold parts of others. */
  readonly isOdd: boolean
}

/** Cells of one row that are kept. */
const MAX_CELLS = 200

/**
 * Comma-separated values (RFC 4180) with any separator. A quote within a cell that is not quoted is text, and
 * so is what follows the end of a quoted one. No library, because none tells lines, yields between pieces and
 * is linear where quotes don't match.
 */
export function createRows (text: string, separator: string): {
  readonly scanner: Scanner,
  /** The next row, or undefined at the end; rows without any text are stepped over. */
  next(): Row | undefined
} {
  const scanner = createScanner(text)
  let isOdd = false

  /** Reads one cell, and leaves reading at what ends it. */
  function cell (): string {
    if (text[scanner.at] !== '"') return plain()
    const parts: string[] = []
    let from = scanner.at + 1
    for (;;) {
      const quote = scanner.find('"', from)
      if (quote === -1) {
        // It is never closed: the quote is text.
        return parts.length === 0 ? plain() : parts.join('') + rest(from)
      }
      parts.push(text.slice(from, quote))
      if (text[quote + 1] !== '"') {
        const after = rest(quote + 1)
        isOdd ||= after.trim() !== ''
        return parts.join('') + after
      }
      parts.push('"')
      from = quote + 2
    }
  }

  function rest (from: number): string {
    scanner.at = from
    return plain()
  }

  function plain (): string {
    const ends = [scanner.find(separator), scanner.find('\n')].filter((at) => at !== -1)
    const end = ends.length === 0 ? text.length : ends.reduce((a, b) => a < b ? a : b)
    const found = text.slice(
      scanner.at,
      text[end] === '\n' && text[end - 1] === '\r' ? Math.max(scanner.at, end - 1) : end
    )
    scanner.steps += found.length
    scanner.at = end
    return found
  }

  function row (): Row {
    const line = scanner.lineAt(scanner.at)
    const cells: string[] = []
    isOdd = false
    for (;;) {
      const one = cell()
      if (cells.length < MAX_CELLS) cells.push(one)
      const ended = scanner.at >= text.length || text[scanner.at] === '\n'
      scanner.at++
      if (ended) return { cells, line, isOdd }
    }
  }

  return {
    scanner,
    next () {
      while (scanner.at < text.length) {
        const found = row()
        if (found.cells.some((one) => one.trim() !== '')) return found
      }
      return undefined
    }
  }
}

/** What separates the cells of a first line. */
export const separatorOf = (line: string) =>
  [',', ';', '\t'].map((separator) => ({ separator, count: line.split(separator).length }))
    .reduce((best, one) => one.count > best.count ? one : best).separator
