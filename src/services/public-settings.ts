import { createConversions } from 'electrodb'
import type { Static } from 'typebox'
import { PUBLIC_SHARDS, SettingEntity, type PublicSetting } from '../../entities/setting.ts'
import type { Store } from '../store/store.ts'
import { notFound } from './collection.ts'
import type { Sealer } from '../engine/cursor.ts'
import type { Page } from '../engine/list-query.ts'
import { shardOf } from './settings.ts'

/** 22 characters of base64url: 132 bits of an HMAC. */
export const PUBLIC_ID = /^[A-Za-z0-9_-]{22}$/

type Public = Static<typeof PublicSetting>
/** Where a page ends: within a shard after a setting, or at the begin of a shard. Sealed, as every cursor. */
interface Position {
  readonly shard: number
  readonly after?: string
}

/** Bytes of values in a page: it is cut short, with a cursor to go on. One that is larger alone goes alone. */
export const PUBLIC_PAGE_BYTES = 262_144

/** Rows that a page looks at, at most: those of suspended tenants are passed over. */
const MAX_LOOKED_AT = 1000

/** A row of the index: what goes out of it, and the table's own keys, which an index always projects. */
interface Indexed {
  readonly pk: string
  readonly sk: string
  readonly publicId?: string | undefined
  readonly id: string
  readonly value: string
  readonly rev: number
  readonly updatedAt: string
}

const { byAccessPattern: { byId } } = createConversions(SettingEntity)
const tenantOf = ({ pk, sk }: Indexed) => String(byId.fromKeys.toComposite({ pk, sk }).tenantId)

/**
 * What anyone may read. One index is all this can touch, and of its rows only what the index holds; the rows'
 * own keys are stripped by naming what goes out. A group takes its settings back where it ends; what is not
 * in the rows, whether their tenant is active, is asked for each tenant on a page.
 * @param isActive a tenant's status, known for seconds by the process
 */
export function publicSettings (
  store: Store,
  sealer: Sealer,
  isActive: (tenantId: string) => Promise<boolean>
) {
  const query = (shard: string, publicId?: string) =>
    SettingEntity.query.byPublic({ publicShard: shard, ...publicId !== undefined && { publicId } })
  const options = { ...store, ignoreOwnership: true, data: 'includeKeys' } as const

  /** Without those of suspended tenants. @throws Problem STORE_UNAVAILABLE where it can't be known */
  async function shown (rows: readonly Indexed[]): Promise<Indexed[]> {
    const tenants = new Map(rows.map((row) => [row, tenantOf(row)]))
    const active = new Map(
      await Promise.all([...new Set(tenants.values())].map(async (id) => [id, await isActive(id)] as const))
    )
    return rows.filter((row) => active.get(tenants.get(row)!))
  }

  const rowsAfter = async (shard: number, after: string | undefined, limit: number) => {
    const all = query(String(shard))
    const { data, cursor } = await (after === undefined ? all : all.gt({ publicId: after }))
      .go({ ...options, pages: 1, limit })
    const rows = data as unknown as Indexed[]
    return { rows, visible: new Set(await shown(rows)), more: cursor !== null }
  }

  return {
    /** Asks the store for next to nothing. @throws a failure of the store */
    async ping (): Promise<void> {
      await query('0').go({ ...options, limit: 1, pages: 1 })
    },
    /** @throws Problem NOT_FOUND. 0.5 RCU per 4 KB, eventually consistent */
    async get (publicId: string): Promise<Public> {
      const { data } = await query(shardOf(publicId), publicId).go({ ...options, limit: 1 })
      const [row] = await shown(data as unknown as Indexed[])
      if (row === undefined) throw notFound('public setting')
      return strip(row)
    },
    /**
     * A page over all tenants, shard after shard: a query for each, which reads 1 MB at most.
     * @throws Problem INVALID_CURSOR
     */
    async list ({ limit, cursor }: { limit: number, cursor?: string | undefined }): Promise<Page<Public>> {
      const from = cursor === undefined ? { shard: 0 } : sealer.open('public settings', cursor) as Position
      const items: Public[] = []
      let [bytes, lookedAt] = [0, 0]
      const upTo = (next: Position): Page<Public> =>
        next.shard < PUBLIC_SHARDS ? { items, cursor: sealer.seal('public settings', next) } : { items }
      for (let { shard, after } = from; shard < PUBLIC_SHARDS; shard++, after = undefined) {
        for (let more = true; more;) {
          const found = await rowsAfter(shard, after, limit - items.length)
          more = found.more
          for (const row of found.rows) {
            if (found.visible.has(row)) {
              bytes += Buffer.byteLength(row.value)
              if (bytes > PUBLIC_PAGE_BYTES && items.length > 0) return upTo(placeAfter(shard, after))
              items.push(strip(row))
            }
            after = row.publicId
          }
          lookedAt += found.rows.length
          if (items.length === limit || lookedAt >= MAX_LOOKED_AT) {
            return upTo(more ? placeAfter(shard, after) : { shard: shard + 1 })
          }
        }
      }
      return { items }
    }
  }
}

const placeAfter = (shard: number, after: string | undefined): Position => ({
  shard,
  ...after !== undefined && { after }
})

export type PublicSettings = ReturnType<typeof publicSettings>

function strip ({ publicId, id, value, rev, updatedAt }: Indexed): Public {
  return { publicId: publicId!, id, value: JSON.parse(value) as unknown, rev, updatedAt }
}
