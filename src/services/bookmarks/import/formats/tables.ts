import { blank, type Collector, type Entry, type Parser } from '../entry.ts'
import { malformed } from '../not-bookmarks.ts'
import { createRows, separatorOf } from './csv.ts'
import { createFolders } from './folders.ts'

/** The cells of a row by the name of their column, in lower case; empty ones are left out. */
export type Cells = Readonly<Record<string, string | undefined>>

/** How a service's table is read. */
export interface Table {
  /** Columns that come along; all others are counted where they hold something. */
  readonly known: ReadonlySet<string>
  /** Names of the folders that a row is in, the outermost first. */
  readonly pathOf?: (cells: Cells) => readonly string[]
  readonly fill: (entry: Entry, cells: Cells) => void
}

/** A table with a first line of names and a row for each bookmark. */
export function tableParser (
  text: string,
  collector: Collector,
  { known, pathOf, fill }: Table
): Parser & { steps(): number } {
  const rows = createRows(text, separatorOf(headOf(text)))
  const folderAt = createFolders(collector)
  let names: readonly string[] | undefined
  let told = 0

  function read (): void {
    const row = rows.next()
    if (row === undefined) return
    const { cells, line, isOdd } = row
    if (names === undefined) {
      names = namesOf(cells)
      return
    }
    const named = Object.create(null) as Record<string, string | undefined>
    for (const [index, name] of names.entries()) {
      if (cells[index] !== undefined && cells[index] !== '') named[name] = cells[index]
    }
    const entry = blank('bookmark', folderAt(pathOf?.(named) ?? []), line)
    fill(entry, named)
    if (isOdd) entry.remarks.push("its quotes don't match: it may hold a part of another row")
    if (cells.length > names.length) {
      entry.remarks.push(
        `its row has ${cells.length} cells for ${names.length} columns: the last are left out`
      )
    }
    for (const name of Object.keys(named)) if (!known.has(name)) collector.ignore(name)
    collector.add(entry)
  }

  function readTo (offset: number): void {
    while (rows.scanner.at < Math.min(offset, text.length)) read()
  }

  return {
    steps: () => rows.scanner.steps,
    write (piece) {
      readTo(told += piece.length)
    },
    end () {
      readTo(text.length)
      if (names === undefined) throw malformed('The table has no line of names')
      return collector
    }
  }
}

/** The first line of a text. */
export const headOf = (text: string) => /^[^\n]{0,2000}/.exec(text.trimStart())![0].trim()

/** Names of columns, as they are compared. */
export const namesOf = (cells: readonly string[]) => cells.map((name) => name.trim().toLowerCase())

/** The columns of a table by its first line. */
export function columnsOf (text: string): readonly string[] {
  const head = headOf(text)
  return namesOf(createRows(head, separatorOf(head)).next()?.cells ?? [])
}
