import { JSONParser } from '@streamparser/json'
import { RESERVED_IDS } from '../../../../entities/bookmark.ts'
import { PLAIN_ID } from '../../../../entities/fields.ts'
import { Problem } from '../../../errors.ts'
import { timeOf, type Collector, type Entry, type Parser } from './entry.ts'

/** What the hub's own files say that they are. */
export const JSON_FORMAT = 'sync-hub-bookmarks'
export const JSON_VERSION = 1

const KNOWN = new Set(['id', 'kind', 'url', 'title', 'description', 'tags', 'folderId', 'position',
  'favorite', 'createdAt', 'updatedAt', 'rev'])

/**
 * The hub's own JSON, as the export writes it: records as they travel. Order is of no matter.
 * @param now milliseconds
 */
export function jsonParser (collector: Collector, now: number): Parser {
  const parser = new JSONParser({
    paths: ['$.format', '$.version', '$.bookmarks', '$.bookmarks.*'],
    keepStack: false
  })
  const folderIds = new Map<Entry, string>()
  let [format, version, isList]: unknown[] = []
  parser.onValue = ({ value, key, stack }) => {
    if (stack.length === 2) {
      if (collector.entries.length === 0) isList ??= Array.isArray(stack[1]?.value)
      read(value)
    } else if (key === 'format') format = value
    else if (key === 'version') version = value
    else isList = Array.isArray(value)
  }
  parser.onError = (error) => {
    throw malformed(error.message.slice(0, 200))
  }

  function read (value: unknown): void {
    const entry: Entry = { kind: 'bookmark', parent: undefined, title: '', tags: [], remarks: [] }
    collector.add(entry)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      entry.refused = 'it is not an object'
      return
    }
    const given = value as Record<string, unknown>
    for (const name of Object.keys(given)) if (!KNOWN.has(name)) collector.ignore(name)
    const wrong =
      ['id', 'kind', 'url', 'title', 'description', 'folderId', 'position', 'createdAt'].find((name) =>
        given[name] !== undefined && typeof given[name] !== 'string'
      ) ??
        (given.favorite !== undefined && typeof given.favorite !== 'boolean' ? 'favorite' : undefined) ??
        (given.tags !== undefined &&
            !(Array.isArray(given.tags) && given.tags.every((tag) => typeof tag === 'string'))
          ? 'tags'
          : undefined)
    const { id, kind, url, title = '', description, tags = [], folderId, position, favorite, createdAt } =
      given as { [name: string]: string | undefined } & { tags?: string[], favorite?: boolean }
    entry.title = typeof title === 'string' ? title : ''
    if (typeof url === 'string') entry.url = url
    if (wrong !== undefined) entry.refused = `its "${wrong}" is of a wrong type`
    else if (kind !== undefined && kind !== 'bookmark' && kind !== 'folder') {
      entry.refused = `its kind "${kind.slice(0, 40)}" is not known`
    }
    if (entry.refused !== undefined) return
    Object.assign(entry, {
      kind: kind ?? 'bookmark',
      description,
      tags: [...new Set(tags)],
      position,
      favorite
    })
    const time = timeOf(createdAt, now)
    if (time === null) entry.remarks.push("its createdAt can't be read: it counts as made now")
    else entry.createdAt = time
    if (id !== undefined && PLAIN_ID.test(id) && !RESERVED_IDS.has(id)) entry.id = id
    else if (id !== undefined) entry.remarks.push('its id is not one that the hub takes: it gets another')
    if (folderId !== undefined && PLAIN_ID.test(folderId)) folderIds.set(entry, folderId)
    else if (folderId !== undefined) {
      entry.remarks.push('its folderId is not one that the hub takes: it is put at the root')
    }
  }

  return {
    write (piece) {
      if (parser.isEnded) {
        if (piece.trim() !== '') throw malformed('Something follows the end of the JSON.')
      } else parser.write(piece)
    },
    end () {
      if (!parser.isEnded) parser.end()
      if (format !== JSON_FORMAT || version !== JSON_VERSION || isList !== true) {
        throw malformed(
          `It is not what the export writes: {"format":"${JSON_FORMAT}","version":${JSON_VERSION},"bookmarks":[...]}.`
        )
      }
      return { ...collector, entries: nested(collector.entries, folderIds) }
    }
  }
}

/** Links entries to the folders of the file that they are in, and puts each folder before what is in it. */
function nested (entries: readonly Entry[], folderIds: ReadonlyMap<Entry, string>): Entry[] {
  const folders = new Map(
    entries.filter(({ kind, id }) => kind === 'folder' && id !== undefined).map((entry) => [entry.id!, entry])
  )
  for (const [entry, folderId] of folderIds) {
    const parent = folders.get(folderId)
    if (parent === undefined) entry.folderId = folderId
    else entry.parent = parent
  }
  const sorted: Entry[] = []
  const state = new Map<Entry, 'open' | 'done'>()
  for (const start of entries) {
    // From the entry up to what is sorted already, then down again: no recursion, however deep it is.
    const path: Entry[] = []
    for (
      let entry: Entry | undefined = start;
      entry !== undefined && state.get(entry) !== 'done';
      entry = entry.parent
    ) {
      if (state.get(entry) === 'open') {
        for (const circular of path.slice(path.indexOf(entry))) {
          circular.refused = 'the folders of the file are in each other, in a circle'
        }
        entry.parent = undefined
        break
      }
      state.set(entry, 'open')
      path.push(entry)
    }
    for (const entry of path.reverse()) {
      if (state.get(entry) !== 'done') sorted.push(entry)
      state.set(entry, 'done')
    }
  }
  return sorted
}

const malformed = (detail: string) =>
  new Problem('MALFORMED_BODY', detail, { errors: [{ pointer: '', detail }] })
