import { bookmark, FOLDER_LIMITS } from '../../../entities/bookmark.ts'
import type { Definition } from '../../../entities/definition.ts'
import { Problem } from '../../errors.ts'
import type { CommitRules } from '../../engine/index.ts'
import type { Change, Known } from '../../engine/change.ts'
import { createPace, type Pace } from '../../turns.ts'
import type { ReadModel, ReadModels } from './read-model.ts'

const definition = bookmark as unknown as Definition

/** What of a record decides where folders are: undefined where there is none. */
interface Place {
  readonly isFolder: boolean
  readonly folderId: string | undefined
}
/** Those above it, and those below. */
const STEPS_A_FOLDER = 100
type Places = ReadonlyMap<string, Place | undefined>
type Folders = ReadonlyMap<string | undefined, readonly string[]>

/**
 * Keeps folders a tree. `conditionsOf`: every folder above one that is put is as it was looked at. Each move of a
 * race then depends on what the other writes, so that one of them is redone and sees the circle. Costs nothing
 * where no folder is put; otherwise a look at the read model, and 2 WCU for each folder above.
 * @returns rules that throw Problem FOLDER_CYCLE, VALIDATION_FAILED naming folderDepth or subfolders, and
 *   CONTENTION where the space can't be seen entirely
 */
export function createPlacementRules (readModels: ReadModels): CommitRules {
  return {
    async conditionsOf (context, changes, pointerOf) {
      const folders = changes.filter(({ definition, act, content }) =>
        definition.resource === bookmark.resource && act === 'put' && content.kind === 'folder'
      )
      if (folders.length === 0) return []
      const model = await readModels.open(context)
      const places: Places = new Map(
        changes.filter(({ definition }) => definition.resource === bookmark.resource)
          .map(({ id, act, content }) => [id, act === 'put' ? placeOf(content) : undefined])
      )
      const pace = createPace()
      const below = await childrenOf(model, places, pace)
      const above = new Set<string>()
      for (const change of folders) {
        for (const id of assertPlace(model, { places, below }, change.id, pointerOf(change))) above.add(id)
        if (pace.due(STEPS_A_FOLDER)) await pace.turn()
      }
      return [...above].map((id): Change => {
        const basedOn = knownOn(model, id)
        return { definition, id, act: 'check', content: {}, ...basedOn && { basedOn } }
      })
    },
    async assertBatch (context, rows, n) {
      const written = [...rows].filter(([name]) => name.startsWith(`${bookmark.resource} `)).map(([, row]) =>
        row
      )
      const folders = written.filter(({ kind, deletedAt }) => kind === 'folder' && deletedAt === undefined)
      if (folders.length === 0) return
      const model = await readModels.open(context)
      if (model.position.n < n) {
        throw new Problem('CONTENTION', "What was written last can't be seen yet. Try again.", {
          retryAfter: 1
        })
      }
      const places: Places = new Map(
        written.map((row) => [row.id, row.deletedAt === undefined ? placeOf(row) : undefined])
      )
      const pace = createPace()
      const below = await childrenOf(model, places, pace)
      for (const { id } of folders) {
        assertPlace(model, { places, below }, id, '')
        if (pace.due(STEPS_A_FOLDER)) await pace.turn()
      }
    }
  }
}

const placeOf = ({ kind, folderId }: Readonly<Record<string, unknown>>): Place => ({
  isFolder: kind === 'folder',
  folderId: folderId as string | undefined
})

function knownOn ({ records }: ReadModel, id: string): Known | undefined {
  const record = records.get(id)
  return record &&
    {
      rev: record.rev,
      createdAt: record.createdAt,
      deleted: false,
      bytes: Buffer.byteLength(JSON.stringify(record))
    }
}

/**
 * @returns the ids above a folder that are not written together with it; the last may be of no folder, or of
 * nothing
 */
function assertPlace (
  model: ReadModel,
  { places, below }: { readonly places: Places, readonly below: Folders },
  id: string,
  pointer: string
): Set<string> {
  const at = (id: string): Place | undefined =>
    places.has(id) ? places.get(id) : model.records.has(id) ? placeOf(model.records.get(id)!) : undefined
  const seen = new Set<string>()
  let depth = 1
  for (let above = at(id)?.folderId; above !== undefined; depth++) {
    if (above === id || seen.has(above)) {
      throw refused('FOLDER_CYCLE', pointer, 'would put the folder into itself')
    }
    seen.add(above)
    const place = at(above)
    // What is in no folder is at the root.
    if (place?.isFolder !== true) break
    above = place.folderId
  }
  const { depth: most, subfolders } = FOLDER_LIMITS
  const deepest = depth + heightOf(below, id, most)
  if (deepest > most) {
    throw refused('VALIDATION_FAILED', pointer, `would nest folders ${deepest} deep; ${most} are kept`, {
      name: 'folderDepth',
      value: most,
      sent: deepest
    })
  }
  const [into, before] = [at(id)?.folderId, model.records.get(id)]
  const beside = below.get(into)?.length ?? 0
  if (beside > subfolders && (before?.kind !== 'folder' || before.folderId !== into)) {
    throw refused(
      'VALIDATION_FAILED',
      pointer,
      `would be the folder's subfolder number ${beside}; ${subfolders} are kept`,
      { name: 'subfolders', value: subfolders, sent: beside }
    )
  }
  return new Set([...seen].filter((above) => !places.has(above)))
}

/** Ids of folders by the folder they are in, as they will be. */
async function childrenOf (model: ReadModel, places: Places, pace: Pace): Promise<Folders> {
  const children = new Map<string | undefined, string[]>()
  const add = (id: string, folderId: string | undefined) => {
    const beside = children.get(folderId)
    if (beside === undefined) children.set(folderId, [id])
    else beside.push(id)
  }
  for (const id of [...model.folders]) {
    // Others may change what is not looked at yet: their write is what the transaction then finds.
    const record = places.has(id) ? undefined : model.records.get(id)
    if (record !== undefined) add(id, record.folderId)
    if (pace.due()) await pace.turn()
  }
  for (const [id, place] of places) if (place?.isFolder === true) add(id, place.folderId)
  return children
}

/** Levels of folders below one, counted no further than one beyond `most`. */
function heightOf (below: Folders, id: string, most: number): number {
  let level: readonly string[] = [id]
  for (let height = 0;; height++) {
    level = level.flatMap((id) => below.get(id) ?? [])
    if (level.length === 0 || height > most) return height
  }
}

function refused (
  errorType: 'FOLDER_CYCLE' | 'VALIDATION_FAILED',
  pointer: string,
  detail: string,
  limit?: { name: string, value: number, sent: number }
): Problem {
  return new Problem(errorType, `${pointer}/folderId ${detail}.`, {
    errors: [{ pointer: `${pointer}/folderId`, detail }],
    ...limit && { limit }
  })
}
