import { createHash, randomUUID } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { generateNKeysBetween } from 'fractional-indexing'
import {
  bookmark,
  BOOKMARK_LIMITS,
  FOLDER_LIMITS,
  type BookmarkRecord
} from '../../../../entities/bookmark.ts'
import type { StagedChange } from '../../../engine/staged-change.ts'
import type { ReadModel } from '../read-model.ts'
import { spelled } from '../url.ts'
import type { Entry } from './entry.ts'
import { fit } from './limits.ts'

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

/** A record as it is to be, and the one that it is made of. `ordered`: the order of the file is its place. */
interface Draft {
  content: Omit<BookmarkRecord, 'id' | 'rev' | 'createdAt' | 'updatedAt'>
  createdAt: string | undefined
  readonly before: BookmarkRecord | undefined
  touched: boolean
  readonly ordered: boolean
}

/**
 * What an import does to a space. The same URL in the same folder is one bookmark, and the same title in the
 * same folder one folder; what is there is added to and never replaced. New ids follow from folder and URL,
 * so that the same file makes the same records, also when it is imported twice at once or again after a
 * crash.
 * @param root the folder that the file goes into
 */
export async function planImport (
  model: ReadModel,
  entries: readonly Entry[],
  root: string | undefined
): Promise<ImportPlan> {
  const known = new Map<string, string>()
  const used = new Set<string>()
  let portion = 0
  const breathe = async () => {
    if (++portion % PORTION === 0) await turn()
  }
  for (const record of model.records.values()) {
    if (record.folderId !== undefined) used.add(record.folderId)
    if (!known.has(nameOf(record))) known.set(nameOf(record), record.id)
    await breathe()
  }
  const drafts = new Map<string, Draft>()
  const targets = new Map<Entry, { id: string | undefined, depth: number }>()
  const subfolders = new Map<string | undefined, number>()
  for (const id of model.folders) count(subfolders, model.records.get(id)!.folderId)
  const depthOf = (id: string | undefined) => {
    let depth = 0
    for (let at = id; at !== undefined && depth <= FOLDER_LIMITS.depth && model.folders.has(at); depth++) {
      at = model.records.get(at)!.folderId
    }
    return depth
  }
  const base = { id: root, depth: depthOf(root) }

  function place (entry: Entry): Fate {
    const into = entry.parent !== undefined
      ? targets.get(entry.parent)!
      : {
        id: entry.folderId ?? base.id,
        depth: entry.folderId === undefined ? base.depth : depthOf(entry.folderId)
      }
    const { kind } = entry
    const name = nameOf({ kind, folderId: into.id, url: entry.url, title: entry.title })
    const same = entry.id !== undefined ? model.records.get(entry.id) : undefined
    const existing = same !== undefined && (same.kind ?? 'bookmark') === kind &&
        (kind === 'folder' ? same.title === entry.title : spelled(same.url!) === spelled(entry.url!))
      ? same.id
      : known.get(name)
    if (existing !== undefined) {
      if (kind === 'folder') {
        targets.set(entry, { id: existing, depth: Math.max(into.depth + 1, depthOf(existing)) })
      }
      return merge(entry, existing)
    }
    if (kind === 'folder') {
      if (into.depth >= FOLDER_LIMITS.depth) {
        return refuse(
          entry,
          into,
          `folders are nested at most ${FOLDER_LIMITS.depth} deep: what is in it is put into the folder above`
        )
      }
      if ((subfolders.get(into.id) ?? 0) >= FOLDER_LIMITS.subfolders) {
        return refuse(
          entry,
          into,
          `a folder has at most ${FOLDER_LIMITS.subfolders} folders in it: what is in it is put into the folder above`
        )
      }
      count(subfolders, into.id)
    }
    const isFree = (id: string) => !model.records.has(id) && !drafts.has(id)
    const id =
      [entry.id, derivedId(name)].find((id) =>
        id !== undefined && isFree(id) && (kind === 'bookmark' || id === entry.id || !used.has(id))
      ) ?? randomUUID()
    const { url, title, description, tags, position, favorite, createdAt } = entry
    drafts.set(id, {
      content: {
        ...kind === 'folder' && { kind },
        ...url !== undefined && { url },
        title,
        ...description !== undefined && { description },
        tags,
        ...into.id !== undefined && { folderId: into.id },
        ...position !== undefined && { position },
        ...favorite !== undefined && { favorite }
      },
      createdAt,
      before: undefined,
      touched: true,
      ordered: entry.line !== undefined
    })
    known.set(name, id)
    if (kind === 'folder') targets.set(entry, { id, depth: into.depth + 1 })
    return { entry, fate: 'created', id }
  }

  function refuse (entry: Entry, into: { id: string | undefined, depth: number }, reason: string): Fate {
    targets.set(entry, into)
    return { entry, fate: 'refused', reason }
  }

  /** Adds to a record what an entry has beyond it. The older date is when it was made. */
  function merge (entry: Entry, id: string): Fate {
    const before = model.records.get(id)
    const draft = drafts.get(id) ?? draftOf(before!)
    drafts.set(id, draft)
    const { content } = draft
    const tags = [...new Set([...content.tags, ...entry.tags])]
    const remark = `with its tags there would be ${tags.length}: the first ${BOOKMARK_LIMITS.tags} are kept`
    if (tags.length > BOOKMARK_LIMITS.tags && !entry.remarks.includes(remark)) entry.remarks.push(remark)
    const merged = {
      ...content,
      title: content.title === '' ? entry.title : content.title,
      tags: tags.slice(0, BOOKMARK_LIMITS.tags),
      ...content.description === undefined && entry.description !== undefined &&
        { description: entry.description },
      ...content.favorite !== true && entry.favorite === true && { favorite: true }
    }
    const isOlder = entry.createdAt !== undefined &&
      (draft.createdAt === undefined || entry.createdAt < draft.createdAt)
    const isNew = isOlder || JSON.stringify(merged) !== JSON.stringify(content)
    draft.content = merged
    if (isOlder) draft.createdAt = entry.createdAt
    draft.touched ||= isNew
    return { entry, fate: before === undefined ? 'again' : isNew ? 'merged' : 'unchanged', id }
  }

  const fates: Fate[] = []
  for (const entry of entries) {
    const reason = fit(entry)
    fates.push(
      reason === undefined
        ? place(entry)
        : refuse(entry, entry.parent === undefined ? base : targets.get(entry.parent)!, reason)
    )
    await breathe()
  }
  setPositions(model, drafts)
  const changes = [...drafts].filter(([, { touched }]) => touched).map((
    [id, { content, createdAt, before }]
  ): StagedChange => ({
    type: bookmark.resource,
    id,
    act: 'put',
    content: bookmark.store(content),
    ...createdAt !== undefined && { createdAt },
    ...before === undefined ? { precondition: { ifNoneMatch: true } } : { basedOn: before.rev }
  }))
  return { fates, changes }
}

/** What makes a bookmark or folder the same as another. Ids hold no line breaks. */
const nameOf = (
  { kind = 'bookmark', folderId = '', url, title }: Pick<
    BookmarkRecord,
    'kind' | 'folderId' | 'url' | 'title'
  >
) => `${kind}\n${folderId}\n${kind === 'folder' ? title : spelled(url!)}`

const derivedId = (name: string) => `i${createHash('sha256').update(name).digest('base64url').slice(0, 21)}`

function draftOf (before: BookmarkRecord): Draft {
  const { id: _, rev: __, updatedAt: ___, createdAt, ...content } = before
  return { content, createdAt, before, touched: false, ordered: false }
}

/** New records stand behind what has a position in their folder, in the order of the file. */
function setPositions (model: ReadModel, drafts: ReadonlyMap<string, Draft>): void {
  const created = new Map<string | undefined, Draft[]>()
  for (const draft of drafts.values()) {
    if (!draft.ordered || draft.content.position !== undefined) continue
    const beside = created.get(draft.content.folderId)
    if (beside === undefined) created.set(draft.content.folderId, [draft])
    else beside.push(draft)
  }
  const last = new Map<string | undefined, string>()
  const see = ({ folderId, position }: { folderId?: string, position?: string }) => {
    if (position !== undefined && created.has(folderId) && position > (last.get(folderId) ?? '')) {
      last.set(folderId, position)
    }
  }
  for (const record of model.records.values()) see(record)
  for (const { content } of drafts.values()) see(content)
  for (const [folderId, beside] of created) {
    const keys = keysAfter(last.get(folderId), beside.length)
    beside.forEach(({ content }, index) => {
      content.position = keys[index]!
    })
  }
}

/**
 * Fractional indexes behind one that a client may have made in a way of its own, which the library then does
 * not take.
 */
function keysAfter (last: string | undefined, count: number): string[] {
  try {
    return generateNKeysBetween(last, null, count)
  } catch {
    return generateNKeysBetween(null, null, count)
  }
}

function count<K> (counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
