import { setImmediate as turn } from 'node:timers/promises'
import { Problem } from '../../../errors.ts'
import type { Context } from '../../context.ts'
import { writeAll } from '../../../engine/large-write.ts'
import { PreconditionFailed, Superseded } from '../../../engine/change.ts'
import { endedEarly } from '../../../engine/stopped.ts'
import { retryOnConflict } from '../../../engine/retry.ts'
import { readHead } from '../../../engine/rows.ts'
import type { StagedChange } from '../../../engine/staged-change.ts'
import { contentsOf } from './contents.ts'
import { FORMATS, type Format } from './formats/index.ts'
import { parseParts } from './parse.ts'
import { planImport, type Fate } from './plan.ts'

export { type Format, FORMATS }

/** Changes that are looked at between two turns. */
const PORTION = 1000
/** Bytes of changes in one staged batch, with room for how they are staged. */
const BATCH_SHARE = 0.9
/** What of a title or URL a report repeats. */
const MAX_TOLD = 500

export interface ImportRequest {
  readonly bytes: Buffer
  /** That the request names. */
  readonly charset?: string | undefined
  /** The folder that the file goes into; the root where it is left out. */
  readonly folderId?: string | undefined
  /** Nothing is written. */
  readonly dryRun: boolean
  /** A bookmark whose URL is not kept becomes a note, which has it as text; else it is refused. */
  readonly keepInert: boolean
}

/** One entry of which there is something to be said. */
export interface Told {
  readonly line?: number
  readonly title: string
  readonly url?: string
  readonly reason: string
}

/** What an import did, or would do. */
export interface ImportReport {
  readonly format: Format
  readonly encoding: string
  readonly dryRun: boolean
  /** Bookmarks that are new, that something was added to, and that were there as they are in the file. */
  readonly created: number
  readonly merged: number
  readonly unchanged: number
  /** Entries of the file with the URL of one before them in the same folder. */
  readonly again: number
  readonly folders: { readonly created: number, readonly existing: number }
  readonly refused: readonly Told[]
  /** Kept, but not entirely: too long, too many tags, a date that can't be read. */
  readonly adjusted: readonly Told[]
  /** What the hub has no place for, by its name in the file: how often it occurs. */
  readonly ignored: Readonly<Record<string, number>>
}

/** How far an import is: entries that are read, or changes that are committed and those there are. */
export type Progress = { readonly read: number } | { readonly written: number, readonly of: number }

/**
 * Brings bookmarks of a file into the space of `context`. Up to `batchChanges` changes are committed as one;
 * of a larger file whole batches, and an import that ends half way is gone on with by sending the file again.
 * @throws Problem MALFORMED_BODY, NOT_BOOKMARKS, BODY_TOO_LARGE, VALIDATION_FAILED naming importEntries,
 *   QUOTA_EXCEEDED, CONTENTION
 */
export async function importFile (
  context: Context,
  request: ImportRequest,
  progress: (done: Progress) => void = () => {}
): Promise<ImportReport> {
  const { bytes, charset, folderId: root, keepInert } = request
  const { importBytes, importEntries } = context.config.limits
  const contents = await contentsOf(bytes, importBytes)
  const { format, encoding, entries, ignored } = await parseParts(contents, charset, {
    most: importEntries,
    now: context.now(),
    progress: (read) => {
      progress({ read })
    }
  })
  const { batchChanges, spaceRecords } = context.config.limits
  /** What earlier batches of this import made of a record. */
  const done = new Map<string, Fate['fate']>()
  const written: { n: number, changes: number }[] = []
  const fates = await retryOnConflict(async () => {
    const plan = await planImport(await context.readModels.open(context), entries, { root, keepInert })
    const fresh = plan.changes.filter(({ basedOn }) => basedOn === undefined).length
    const count = fresh === 0 ? 0 : (await readHead(context.store, context.space))?.count ?? 0
    if (fresh > 0 && count + fresh > spaceRecords) {
      throw new Problem(
        'QUOTA_EXCEEDED',
        `The space would hold ${
          count + fresh
        } records; it may hold ${spaceRecords}. Nothing of the file was written.`,
        { limit: { name: 'spaceRecords', value: spaceRecords, sent: count + fresh } }
      )
    }
    const told = plan.fates.map((fate) =>
      fate.fate === 'unchanged' && done.has(fate.id!) ? { ...fate, fate: done.get(fate.id!)! } : fate
    )
    if (request.dryRun) return told
    const all = done.size + plan.changes.length
    for (
      const batch of await batchesOf(
        plan.changes,
        batchChanges,
        context.config.limits.batchBytes * BATCH_SHARE
      )
    ) {
      const { n } = await writeAll(context, batch, false).catch((error: unknown) => {
        if (error instanceof Problem) throw endedEarly(error, written)
        throw error instanceof PreconditionFailed ? new Superseded() : error
      })
      written.push({ n, changes: batch.length })
      for (const { id, basedOn } of batch) done.set(id, basedOn === undefined ? 'created' : 'merged')
      progress({ written: done.size, of: all })
    }
    return told
  })
  return { format, encoding, dryRun: request.dryRun, ...reportOf(fates), ignored }
}

async function batchesOf (
  changes: readonly StagedChange[],
  most: number,
  mostBytes: number
): Promise<StagedChange[][]> {
  const batches: StagedChange[][] = []
  let bytes = Infinity
  for (const [index, change] of changes.entries()) {
    if (index % PORTION === 0) await turn()
    const size = Buffer.byteLength(JSON.stringify(change))
    bytes += size
    if (bytes > mostBytes || batches.at(-1)!.length === most) {
      batches.push([])
      bytes = size
    }
    batches.at(-1)!.push(change)
  }
  return batches
}

function reportOf (fates: readonly Fate[]): Omit<ImportReport, 'format' | 'encoding' | 'dryRun' | 'ignored'> {
  const counts = { created: 0, merged: 0, unchanged: 0, again: 0 }
  const folders = { created: 0, existing: 0 }
  const [refused, adjusted]: Told[][] = [[], []]
  for (const { entry, fate, reason } of fates) {
    if (fate === 'refused') refused!.push(tell(entry, reason!))
    else {
      for (const remark of entry.remarks) adjusted!.push(tell(entry, remark))
      if (entry.kind !== 'folder') counts[fate]++
      else folders[fate === 'created' ? 'created' : 'existing']++
    }
  }
  return { ...counts, folders, refused: refused!, adjusted: adjusted! }
}

function tell ({ line, title, url }: Fate['entry'], reason: string): Told {
  return {
    ...line !== undefined && { line },
    title: cut(title),
    ...url !== undefined && { url: cut(url) },
    reason
  }
}

const cut = (text: string) =>
  text.length > MAX_TOLD ? `${text.slice(0, MAX_TOLD).toWellFormed()}...` : text.toWellFormed()
