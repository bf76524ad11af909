import { createConversions } from 'electrodb'
import type { Definition } from '../../entities/definition.ts'
import type { List, InSpace } from './index.ts'
import type { Row } from './change.ts'
import { assertOwn, readRows } from './rows.ts'

/**
 * A page is cut short, with a cursor to go on, after this many rows were looked at: a filter that matches
 * little must not cost without limit.
 */
const MAX_LOOKED_AT = 1000
/** And after this many bytes of JSON: Lambda answers with at most 6 MB. */
export const MAX_PAGE_BYTES = 4_000_000

/** Rows in one of the queries that walk through all. */
const EVERY = 100

/**
 * The facets of a row's place in a list; its keys are built from them and the scope, so no cursor can lead
 * elsewhere.
 */
type Facets = { readonly id: string, readonly createdAt: string }

/**
 * The two access patterns that every record has (entities/fields.ts), which the type of "any entity" cannot
 * know.
 */
interface Listable {
  query: Record<
    'byId' | 'byTime',
    (space: object) => { go(options: object): Promise<{ data: unknown[], cursor: string | null }> }
  >
}

interface Conversions {
  byAccessPattern: Record<
    'byId' | 'byTime',
    {
      fromComposite: { toCursor(facets: object): string },
      fromKeys: { toComposite(keys: object): { id: string } }
    }
  >
}

/**
 * Records of one kind in a space in the order of their ids, from the one after `id`. Tombstones are left out
 * and counted: `looked` at most `limit`.
 */
export async function recordsAfter (
  { store, space }: InSpace,
  definition: Definition,
  id: string | undefined,
  limit: number
): Promise<{ rows: Row[], last: string | undefined }> {
  const { byAccessPattern } = createConversions(definition.entity) as unknown as Conversions
  const query = (definition.entity as unknown as Listable).query.byId(space)
  let page: { data: unknown[], cursor: string | null } = {
    data: [],
    cursor: id === undefined ? null : byAccessPattern.byId.fromComposite.toCursor({ ...space, id })
  }
  // A page without rows that is not the last would look like the last.
  do page = await query.go({ ...store, consistent: true, pages: 1, limit, cursor: page.cursor })
  while (page.data.length === 0 && page.cursor !== null)
  const { cursor } = page
  const rows = (page.data as Row[]).map((row) => assertOwn(space, row))
  return {
    rows: rows.filter(({ deletedAt }) => deletedAt === undefined),
    last: cursor === null ? undefined : rows.at(-1)?.id
  }
}

/**
 * All live records of one kind in a space, in the order of their ids. A query for each hundred, tombstones
 * counted.
 */
export async function* everyRecord (
  place: InSpace,
  definition: Definition
): AsyncGenerator<Row, void, void> {
  let after: string | undefined
  do {
    const { rows, last } = await recordsAfter(place, definition, after, EVERY)
    yield* rows
    after = last
  } while (after !== undefined)
}

/**
 * One page of the records of one kind in a space. One Query in one partition, and a batch read more for
 * `newestFirst`.
 * @throws Problem INVALID_CURSOR
 */
export const list: List = async (
  context,
  definition,
  { limit, cursor, newestFirst = false, filterName = '', matches = () => true }
) => {
  const { store, space, sealer, userId } = context
  const { resource } = definition
  const entity = definition.entity as unknown as Listable
  const pattern = newestFirst ? 'byTime' : 'byId'
  const binding = JSON.stringify([space, userId, resource, newestFirst, filterName])
  const options = newestFirst
    ? { order: 'desc', data: 'includeKeys', ignoreOwnership: true }
    : { consistent: true }
  const { byAccessPattern } = createConversions(definition.entity) as unknown as Conversions
  const place = ({ id, createdAt }: Facets) =>
    byAccessPattern[pattern].fromComposite.toCursor({ ...space, id, createdAt })

  async function inOrder (ids: string[]): Promise<Row[]> {
    const rows = new Map((await readRows(store, definition, space, ids)).map((row) => [row.id, row]))
    return ids.flatMap((id) => rows.get(id) ?? [])
  }

  let from = cursor === undefined ? null : place(sealer.open(binding, cursor) as Facets)
  const items: unknown[] = []
  let bytes = 0
  let last: Row | undefined
  for (let lookedAt = 0; lookedAt < MAX_LOOKED_AT || last === undefined;) {
    // One more than is wanted: whether there is a next page is then known without a further read.
    const wanted = limit + 1 - items.length
    const { data, cursor: next } = await entity.query[pattern](space).go({
      ...store,
      ...options,
      cursor: from,
      pages: 1,
      limit: wanted
    })
    // The index by time holds keys only: the records come from the table, and none is left out where the
    // store puts reads off.
    const rows = newestFirst
      ? await inOrder(
        (data as { pk: string, sk: string }[]).map(({ pk, sk }) =>
          byAccessPattern.byId.fromKeys.toComposite({ pk, sk }).id
        )
      )
      : data as Row[]
    for (const row of rows) {
      if (items.length === limit || bytes > MAX_PAGE_BYTES) {
        return { items, cursor: sealer.seal(binding, { id: last!.id, createdAt: last!.createdAt }) }
      }
      last = assertOwn(space, row)
      const record = row.deletedAt === undefined ? definition.present(row) : undefined
      if (record === undefined || !matches(record)) continue
      items.push(record)
      bytes += Buffer.byteLength(JSON.stringify(record))
    }
    if (next === null) return { items }
    lookedAt += wanted
    from = next
  }
  return { items, cursor: sealer.seal(binding, { id: last.id, createdAt: last.createdAt }) }
}
