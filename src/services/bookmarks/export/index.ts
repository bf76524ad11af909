import { setImmediate as turn } from 'node:timers/promises'
import type { BookmarkRecord } from '../../../../entities/bookmark.ts'
import type { Context } from '../../context.ts'
import { JSON_FORMAT, JSON_VERSION } from '../import/json.ts'
import type { Format } from '../import/decoding.ts'
import { treeOf } from '../tree.ts'
import { netscape, type Writing } from './netscape.ts'
import { xbel } from './xbel.ts'

/** Characters of one piece of a stream. */
const PIECE = 32_768

/** A file, piece by piece. */
export interface Exported {
  readonly type: string
  readonly name: string
  readonly pieces: AsyncIterable<string>
}

/** All bookmarks and folders of the space as they are at one moment, as a file that an import takes. */
export async function exportFile (context: Context, format: Format): Promise<Exported> {
  const model = await context.readModels.open(context)
  if (format === 'json') {
    return {
      type: 'application/json; charset=utf-8',
      name: 'bookmarks.json',
      pieces: inPieces(json([...model.records.values()]))
    }
  }
  const writing = format === 'html' ? netscape : xbel
  return {
    type: writing.type,
    name: `bookmarks.${writing.extension}`,
    pieces: inPieces(nested(writing, treeOf(model)))
  }
}

function* json (records: readonly BookmarkRecord[]): Generator<string> {
  yield `{"format":"${JSON_FORMAT}","version":${JSON_VERSION},"bookmarks":[`
  for (const [index, record] of records.entries()) {
    yield `${index === 0 ? '' : ','}\n${JSON.stringify(record)}`
  }
  yield '\n]}\n'
}

/** The tree, a folder and then what is in it. Without recursion: it is as deep as it is. */
function* nested (writing: Writing, tree: ReturnType<typeof treeOf>): Generator<string> {
  yield writing.head
  const open = [tree.children(undefined).values()]
  while (open.length > 0) {
    const { value: record, done } = open.at(-1)!.next()
    if (done === true) {
      open.pop()
      if (open.length > 0) yield writing.closeFolder(open.length - 1)
    } else if (record.kind === 'folder') {
      yield writing.openFolder(record, open.length - 1)
      open.push(tree.children(record.id).values())
    } else yield writing.bookmark(record, open.length - 1)
  }
  yield writing.tail
}

/** Joins texts to pieces of some size; between two of them others get their turn. */
async function* inPieces (texts: Iterable<string>): AsyncGenerator<string> {
  let piece: string[] = []
  let size = 0
  for (const text of texts) {
    piece.push(text)
    size += text.length
    if (size < PIECE) continue
    yield piece.join('')
    ;[piece, size] = [[], 0]
    await turn()
  }
  yield piece.join('')
}
