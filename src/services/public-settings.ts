import type { Static } from 'typebox'
import { PUBLIC_SHARDS, SettingEntity, type PublicSetting } from '../../entities/setting.ts'
import type { Store } from '../store/store.ts'
import { notFound } from './collection.ts'
import type { Sealer } from '../engine/cursor.ts'
import type { Page } from '../engine/list.ts'
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

/**
 * What anyone may read. One index is all this can touch, and of its rows only what the index holds; the rows'
 * own keys, which an index always projects, are stripped by naming what goes out.
 */
export function publicSettings (store: Store, sealer: Sealer) {
  const query = (shard: string) => SettingEntity.query.byPublic({ publicShard: shard })
  const rowsAfter = (shard: number, after: string | undefined, limit: number) =>
    (after === undefined ? query(String(shard)) : query(String(shard)).gt({ publicId: after }))
      .go({ ...store, pages: 1, limit, ignoreOwnership: true })
  return {
    /** Asks the store for next to nothing. @throws a failure of the store */
    async ping (): Promise<void> {
      await query('0').go({ ...store, limit: 1, pages: 1, ignoreOwnership: true })
    },
    /** @throws Problem NOT_FOUND. 0.5 RCU per 4 KB, eventually consistent */
    async get (publicId: string): Promise<Public> {
      const { data: [row] } = await SettingEntity.query.byPublic({ publicShard: shardOf(publicId), publicId })
        .go({ ...store, limit: 1, ignoreOwnership: true })
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
      let bytes = 0
      const upTo = (next: Position): Page<Public> =>
        next.shard < PUBLIC_SHARDS ? { items, cursor: sealer.seal('public settings', next) } : { items }
      for (let { shard, after } = from; shard < PUBLIC_SHARDS; shard++, after = undefined) {
        for (let more = true; more;) {
          const { data, cursor: next } = await rowsAfter(shard, after, limit - items.length)
          more = next !== null
          for (const row of data) {
            bytes += Buffer.byteLength(row.value)
            if (bytes > PUBLIC_PAGE_BYTES && items.length > 0) return upTo(placeAfter(shard, after))
            items.push(strip(row))
            after = row.publicId
          }
          if (items.length === limit) return upTo(more ? placeAfter(shard, after) : { shard: shard + 1 })
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

function strip (
  { publicId, id, value, rev, updatedAt }: {
    publicId?: string | undefined,
    id: string,
    value: string,
    rev: number,
    updatedAt: string
  }
): Public {
  return { publicId: publicId!, id, value: JSON.parse(value) as unknown, rev, updatedAt }
}
