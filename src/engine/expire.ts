import { setTimeout as pause } from 'node:timers/promises'
import type { Definition } from '../../entities/definition.ts'
import { registry } from '../../entities/index.ts'
import type { Row } from './change.ts'
import type { InSpace } from './index.ts'
import { everyRecord } from './list.ts'
import { readHead } from './rows.ts'

/** Rows that are written at a time. */
const AT_ONCE = 25
/**
 * A record of the last write before a space was closed may become visible after its HEAD: walks until as many
 * were seen as HEAD counts, this often at most.
 */
const WALKS = 5
const PAUSE_MS = 100

/** As much of a record as a row's end needs to know. */
interface Patchable {
  patch(key: object): { set(values: object): { go(options: object): Promise<unknown> } }
}

/**
 * Gives every record of a closed space an end, from which on the table's TTL sweeps it. Tombstones, log
 * entries and outcomes have theirs already, and what comes to the space afterwards as well. It may be
 * broken off and done again: what has an end by then is only read. 1 WCU per KB, 1 RCU per 4 KB.
 * @param expiresAt epoch seconds @param stays what goes later, by a write of its own
 */
export async function expireRecords (
  context: InSpace,
  expiresAt: number,
  stays: (resource: string, id: string) => boolean
): Promise<void> {
  const kinds = (Object.values(registry) as unknown as Definition[]).filter(({ only }) =>
    only === undefined || only === context.space.spaceKind
  )
  const count = (await readHead(context.store, context.space))?.count ?? 0
  for (let walk = 1, seen = 0; walk <= WALKS; walk++, seen = 0) {
    for (const definition of kinds) {
      let some: Row[] = []
      for await (const row of everyRecord(context, definition)) {
        if (definition.pushable) seen++
        if (row.purgeAt !== undefined || stays(definition.resource, row.id)) continue
        some.push(row)
        if (some.length < AT_ONCE) continue
        await Promise.all(some.map((one) => expire(context, definition, one, expiresAt)))
        some = []
      }
      await Promise.all(some.map((one) => expire(context, definition, one, expiresAt)))
    }
    if (seen >= count) return
    await pause(PAUSE_MS)
  }
}

async function expire (
  { store, space }: InSpace,
  { entity }: Definition,
  { id }: Row,
  purgeAt: number
): Promise<void> {
  // On condition that it is there: what is gone already does not come back by this.
  await (entity as unknown as Patchable).patch({ ...space, id }).set({ purgeAt }).go(store).catch(
    (error: unknown) => {
      if ((error as { cause?: Error }).cause?.name !== 'ConditionalCheckFailedException') throw error
    }
  )
}
