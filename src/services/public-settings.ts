import type { Static } from 'typebox'
import { PUBLIC_SHARDS, SettingEntity, type PublicSetting } from '../../entities/setting.ts'
import type { Store } from '../store/store.ts'
import { notFound } from './collection.ts'
import type { Sealer } from '../engine/cursor.ts'
import { MAX_PAGE_BYTES, type Page } from '../engine/list.ts'
import { shardOf } from './settings.ts'

/** 22 characters of base64url: 132 bits of an HMAC. */
export const PUBLIC_ID = /^[A-Za-z0-9_-]{22}$/

type Public = Static<typeof PublicSetting>
/**
 * Where a page ends: the row's shard and place in the table. Sealed, because it names a tenant and a user.
 */
interface Position {
  shard: number
  cursor: string | null
}

/**
 * What anyone may read. One index is all this can touch, and of its rows only what the index holds; the rows'
 * own keys, which an index always projects, are stripped by naming what goes out.
 */
export function publicSettings (store: Store, sealer: Sealer) {
  const query = (shard: string) => SettingEntity.query.byPublic({ publicShard: shard })
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
    /** A page over all tenants, shard after shard. @throws Problem INVALID_CURSOR */
    async list ({ limit, cursor }: { limit: number, cursor?: string | undefined }): Promise<Page<Public>> {
      const from = cursor === undefined
        ? { shard: 0, cursor: null }
        : sealer.open('public settings', cursor) as Position
      const items: Public[] = []
      let bytes = 0
      for (let { shard, cursor: place } = from; shard < PUBLIC_SHARDS; shard++, place = null) {
        do {
          const page = await query(String(shard)).go({
            ...store,
            cursor: place,
            pages: 1,
            limit: limit - items.length,
            ignoreOwnership: true
          })
          items.push(...page.data.map(strip))
          bytes += page.data.reduce((sum, { value }) => sum + Buffer.byteLength(value), 0)
          place = page.cursor
          if (items.length === limit || bytes > MAX_PAGE_BYTES) {
            const next: Position = place === null
              ? { shard: shard + 1, cursor: null }
              : { shard, cursor: place }
            return next.shard < PUBLIC_SHARDS
              ? { items, cursor: sealer.seal('public settings', next) }
              : { items }
          }
        } while (place !== null)
      }
      return { items }
    }
  }
}

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
