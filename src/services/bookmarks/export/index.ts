import type { BookmarkRecord } from '../../../../entities/bookmark.ts'
import { createPace } from '../../../turns.ts'
import type { Context } from '../../context.ts'
import { JSON_FORMAT, JSON_VERSION } from '../import/formats/hub-json.ts'
import type { Tree } from '../tree.ts'
import { CHARACTERS_A_STEP } from '../words.ts'
import { netscape, type Writing } from './netscape.ts'
import { xbel } from './xbel.ts'

/** Formats that are written; an import reads more. */
export const EXPORT_FORMATS = ['html', 'xbel', 'json'] as const
export type ExportFormat = (typeof EXPORT_FORMATS)[number]

/** Characters of one piece of a stream. */
const PIECE = 32_768
/** Whether the reader may still is asked so often. */
const ASK_EVERY_MS = 1000

/** A file, piece by piece. */
export interface Exported {
  readonly type: string
  readonly name: string
  /** Each is made when it is asked for: whoever reads slowly keeps one in memory, and the records. */
  readonly pieces: AsyncIterable<string>
  /** Ends what is kept for it: once it was read, or will not be. Once or more often. */
  readonly release: () => void
}

/**
 * All bookmarks and folders of the space as they are at one moment, as a file that an import takes. Records
 * don't change, a change makes a new one: what is kept for a reader is mostly what the read model has anyway.
 * @throws Problem OVERLOADED
 */
export async function exportFile (context: Context, format: ExportFormat): Promise<Exported> {
  const leave = await context.heavy.enter('export', context.space.tenantId)
  try {
    const { view, release } = await context.readModels.hold(context)
    const writing = { html: netscape, xbel, json: undefined }[format]
    return {
      type: writing?.type ?? 'application/json; charset=utf-8',
      name: `bookmarks.${writing?.extension ?? 'json'}`,
      pieces: inPieces(
        context,
        writing === undefined ? json(view.records) : nested(writing, await view.tree())
      ),
      release () {
        release()
        leave()
      }
    }
  } catch (error) {
    leave()
    throw error
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
function* nested (writing: Writing, tree: Tree): Generator<string> {
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
async function* inPieces (
  { assertAllowed, now }: Context,
  texts: Iterable<string>
): AsyncGenerator<string> {
  const pace = createPace()
  let piece: string[] = []
  let [size, askedAt] = [0, now()]
  for (const text of texts) {
    piece.push(text)
    size += text.length
    pace.due(text.length / CHARACTERS_A_STEP)
    if (size < PIECE) continue
    yield piece.join('')
    ;[piece, size] = [[], 0]
    await pace.turn()
    if (now() - askedAt < ASK_EVERY_MS) continue
    // Who reads slowly may be nobody any more: the file is then cut, for a status it is too late.
    await assertAllowed()
    askedAt = now()
  }
  yield piece.join('')
}
