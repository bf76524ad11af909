import type { SpaceKey } from '../../entities/fields.ts'
import { SessionSeen } from '../../entities/session.ts'
import type { Store } from '../store/store.ts'

/** When the sessions of a user, or one of them, were last used: RFC 3339, by id. */
export async function readSeen (store: Store, space: SpaceKey, id?: string): Promise<Map<string, string>> {
  const { data } = id === undefined
    ? await SessionSeen.query.bySession(space).go({ ...store, pages: 'all' })
    : { data: [(await SessionSeen.get({ ...space, id }).go(store)).data].filter((row) => row !== null) }
  return new Map(data.map(({ id, at }) => [id, at]))
}

/** Notes that a session is used, unless someone did so less than `every` milliseconds ago. 1 WCU. */
export async function writeSeen (
  store: Store,
  space: SpaceKey,
  id: string,
  now: number,
  every: number,
  kept: number
): Promise<void> {
  await SessionSeen.put({
    ...space,
    id,
    at: new Date(now).toISOString(),
    expiresAt: Math.floor((now + kept) / 1000)
  })
    .where(({ at }, { notExists, lt }) =>
      `${notExists(at)} OR ${lt(at, new Date(now - every).toISOString())}`
    ).go(store)
}
