import { randomUUID } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { bookmark, FOLDER_LIMITS, type BookmarkRecord } from '../../../../entities/bookmark.ts'
import type { StagedChange } from '../../../engine/staged-change.ts'
import type { ReadModel } from '../read-model.ts'
import { spelled } from '../url.ts'
import type { Entry } from './entry.ts'
import { fit } from './limits.ts'
import { addTo, draftOf, newDraft, setPositions, type Draft } from './plan-draft.ts'
import { createNames, derivedId, nameOf } from './plan-names.ts'

/** Entries between two turns of the event loop. */
const PORTION = 500

/** What becomes of one entry. */
export interface Fate {
  readonly entry: Entry
  /** `again`: the same URL in the same folder came before it in the file. */
  readonly fate: 'created' | 'merged' | 'unchanged' | 'refused' | 'again'
  /** Why it is refused. */
  readonly reason?: string
  readonly id?: string
}

export interface ImportPlan {
  readonly fates: readonly Fate[]
  readonly changes: readonly StagedChange[]
}

/** Where entries go. */
interface Target {
  readonly id: string | undefined
  /** Of what is in it; that of the root is 0. */
  readonly depth: number
}

/** What is there, as it was at one moment: the copy that it is of goes on while others have their turn. */
type Still = Pick<ReadModel, 'records' | 'folders'>

/**
 * What an import does to a space. The same URL in the same folder is one bookmark; the nth folder of a title
 * in a folder of the file is the nth of that title there. What is there is added to and never replaced. New
 * ids follow from folder and URL, so that the same file makes the same records, also when it is imported
 * twice at once or again after a crash.
 * @param options root: the folder that the file goes into; keepInert: a URL that is not kept becomes a note
 */
export async function planImport (
  model: Still,
  entries: readonly Entry[],
  { root, keepInert }: { root: string | undefined, keepInert: boolean }
): Promise<ImportPlan> {
  const still: Still = { records: new Map(model.records), folders: new Set(model.folders) }
  let portion = 0
  const breathe = async () => {
    if (++portion % PORTION === 0) await turn()
  }
  const names = await createNames(still, breathe)
  const used = new Set([...still.records.values()].map(({ folderId }) => folderId))
  const drafts = new Map<string, Draft>()
  const targets = targetsOf(still, root)
  for (const entry of entries) {
    const same = sameById(still, entry)
    if (same?.kind === 'folder') names.claim(same.id)
  }

  function place (entry: Entry): Fate {
    const into = targets.of(entry)
    const name = nameOf({ ...entry, folderId: into.id })
    const existing = sameById(still, entry)?.id ?? names.find(name, entry.kind)
    if (existing !== undefined) {
      if (entry.kind === 'folder') {
        targets.put(entry, existing, Math.max(into.depth + 1, targets.depthOf(existing)))
      }
      return merge(entry, existing)
    }
    const refusal = entry.kind === 'folder' ? targets.refusalOf(into) : undefined
    if (refusal !== undefined) return refuse(entry, refusal)
    const id = idOf(entry, name)
    drafts.set(id, newDraft(entry, into.id))
    names.add(name, id)
    if (entry.kind === 'folder') targets.put(entry, id, into.depth + 1)
    return { entry, fate: 'created', id }
  }

  function idOf ({ id: own, kind }: Entry, name: string): string {
    const derived = derivedId(name, kind === 'folder' ? names.countOf(name) : 0)
    return [own, derived].find((id) =>
      id !== undefined && !still.records.has(id) && !drafts.has(id) &&
      (kind !== 'folder' || id === own || !used.has(id))
    ) ?? randomUUID()
  }

  function refuse (entry: Entry, reason: string): Fate {
    targets.passThrough(entry)
    return { entry, fate: 'refused', reason }
  }

  function merge (entry: Entry, id: string): Fate {
    const before = still.records.get(id)
    const draft = drafts.get(id) ?? draftOf(before!)
    drafts.set(id, draft)
    const isNew = addTo(draft, entry)
    return { entry, fate: before === undefined ? 'again' : isNew ? 'merged' : 'unchanged', id }
  }

  const fates: Fate[] = []
  for (const entry of entries) {
    const reason = fit(entry, keepInert)
    fates.push(reason === undefined ? place(entry) : refuse(entry, reason))
    await breathe()
  }
  setPositions(still, drafts)
  return { fates, changes: [...drafts].filter(([, { touched }]) => touched).map(changeOf) }
}

const changeOf = ([id, { content, createdAt, before }]: [string, Draft]): StagedChange => ({
  type: bookmark.resource,
  id,
  act: 'put',
  content: bookmark.store(content),
  ...createdAt !== undefined && { createdAt },
  ...before === undefined ? { precondition: { ifNoneMatch: true } } : { basedOn: before.rev }
})

/** The record whose id an entry names, where it is of the same. */
function sameById ({ records }: Still, { id, kind, title, url, address }: Entry): BookmarkRecord | undefined {
  const record = id === undefined ? undefined : records.get(id)
  if (record === undefined || (record.kind ?? 'bookmark') !== kind) return undefined
  const isSame = kind === 'folder'
    ? record.title === title
    : kind === 'note'
    ? record.address === address
    : url !== undefined && spelled(record.url!) === spelled(url)
  return isSame ? record : undefined
}

/** Which folders entries go into, how deep they are, and how many are in one. */
function targetsOf ({ records, folders }: Still, root: string | undefined): {
  of(entry: Entry): Target,
  put(entry: Entry, id: string, depth: number): void,
  /** What is in an entry that is refused goes into the folder above. */
  passThrough(entry: Entry): void,
  depthOf(id: string | undefined): number,
  /** Why there can be no further folder in one; where there can, it is counted. */
  refusalOf(into: Target): string | undefined
} {
  const targets = new Map<Entry, Target>()
  const subfolders = new Map<string | undefined, number>()
  const count = (id: string | undefined) => subfolders.set(id, (subfolders.get(id) ?? 0) + 1)
  for (const id of folders) count(records.get(id)!.folderId)

  function depthOf (id: string | undefined): number {
    let depth = 0
    for (let at = id; at !== undefined && depth <= FOLDER_LIMITS.depth && folders.has(at); depth++) {
      at = records.get(at)!.folderId
    }
    return depth
  }

  const base: Target = { id: root, depth: depthOf(root) }
  const of = ({ parent, folderId }: Entry): Target =>
    parent !== undefined
      ? targets.get(parent) ?? base
      : folderId === undefined
      ? base
      : { id: folderId, depth: depthOf(folderId) }
  return {
    of,
    depthOf,
    put (entry, id, depth) {
      targets.set(entry, { id, depth })
    },
    passThrough (entry) {
      targets.set(entry, of(entry))
    },
    refusalOf ({ id, depth }) {
      const { depth: deepest, subfolders: most } = FOLDER_LIMITS
      const above = 'what is in it is put into the folder above'
      if (depth >= deepest) return `folders are nested at most ${deepest} deep: ${above}`
      if ((subfolders.get(id) ?? 0) >= most) return `a folder has at most ${most} folders in it: ${above}`
      count(id)
      return undefined
    }
  }
}
