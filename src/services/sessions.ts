import { randomUUID, timingSafeEqual } from 'node:crypto'
import type { Static } from 'typebox'
import { session, type Session, type SessionInput } from '../../entities/session.ts'
import type { Definition } from '../../entities/definition.ts'
import { Problem } from '../errors.ts'
import { inputOf, notFound, preconditionFailed } from './collection.ts'
import type { Context } from './context.ts'
import { hashOf, sealDeviceToken, type DeviceToken } from './device-token.ts'
import { once } from '../engine/idempotency.ts'
import { everyRecord } from '../engine/list.ts'
import { mergePatch } from './merge-patch.ts'
import {
  contentOf,
  knownOf,
  PreconditionFailed,
  removal,
  type Change,
  type Precondition,
  type Row
} from '../engine/change.ts'
import { readRow, readRows } from '../engine/rows.ts'
import { readSeen, writeSeen } from './last-seen.ts'
import { retryOnConflict } from '../engine/retry.ts'

/** Written this often at most: a device that is busy all day costs 288 writes. */
const SEEN_EVERY_MS = 5 * 60_000
const DAY_MS = 86_400_000
/** Sessions that one transaction takes away. */
const AT_ONCE = 90
const KIND = session as unknown as Definition

/** A session as its user is shown it. */
export type SessionView = Static<typeof Session> & { readonly lastSeenAt?: string }
type Record = Static<typeof Session>
type SessionRow = Row & {
  readonly expiresAt: string,
  readonly tokenHash: string,
  readonly kind: 'device' | 'app'
}

/**
 * The devices that a user is signed in on by tokens of their own. `context` is that of the user's own space.
 */
export function sessions (context: Context) {
  const { store, space, sealer, userId, sessionId, now, writer, config: { limits } } = context
  const isOver = (row: SessionRow | undefined) =>
    row === undefined || row.deletedAt !== undefined || Date.parse(row.expiresAt) <= now()
  const commit = (changes: readonly Change[]) =>
    writer.commit({ store, space, sessionId, idempotency: context.idempotency, changes })
  const read = async (id: string) => await readRow(store, KIND, space, id) as SessionRow | undefined

  /** All of them, those that have expired too. */
  async function all (): Promise<SessionRow[]> {
    const rows: SessionRow[] = []
    for await (const row of everyRecord(context, KIND)) rows.push(row as SessionRow)
    return rows
  }

  const take = (row: Row): Change => ({ ...removal(KIND, row), basedOn: knownOf(KIND, row) })

  return {
    /** Those that have not expired, with when each was last used: two queries. */
    async list (): Promise<SessionView[]> {
      const [rows, seen] = await Promise.all([all(), readSeen(store, space)])
      return rows.filter((row) => !isOver(row)).map((row) => view(row, seen.get(row.id)))
    },
    /** @throws Problem NOT_FOUND */
    async get (id: string): Promise<SessionView> {
      const [row, seen] = await Promise.all([read(id), readSeen(store, space, id)])
      if (row === undefined || isOver(row)) throw notFound('session')
      return view(row, seen.get(id))
    },
    /**
     * Signs a device in. The token is in the answer and nowhere else.
     * @throws Problem LIMIT_REACHED; UNAUTHENTICATED where the device that asks was signed out meanwhile
     */
    register: (input: Static<typeof SessionInput>): Promise<{ session: SessionView, deviceToken: string }> =>
      writer.withSpacesLocked([space], () =>
        retryOnConflict(async () => {
          const [rows, maker] = await Promise.all([all(),
            sessionId === undefined ? undefined : read(sessionId)])
          // Who was signed out meanwhile signs nobody in.
          if (sessionId !== undefined && isOver(maker)) throw signedOut()
          // Those that have expired make room.
          const over = rows.filter(isOver)
          const active = rows.length - over.length + 1
          if (active > limits.userSessions) {
            throw new Problem(
              'LIMIT_REACHED',
              `You have ${limits.userSessions} sessions, the most that a user may have. Delete one first.`,
              { limit: { name: 'userSessions', value: limits.userSessions, sent: active } }
            )
          }
          const [id, endsAt] = [randomUUID(), now() + limits.sessionDays * DAY_MS]
          const deviceToken = sealDeviceToken(sealer, {
            tenantId: space.tenantId,
            userId,
            sessionId: id,
            expiresAt: endsAt,
            kind: input.kind ?? 'device'
          })
          const content = {
            ...session.store(input),
            expiresAt: new Date(endsAt).toISOString(),
            tokenHash: hashOf(deviceToken)
          }
          const { results } = await writer.commitAcross([{
            store,
            space,
            sessionId,
            changes: [{ definition: KIND, id, act: 'put', content, precondition: { ifNoneMatch: true } },
              ...over.slice(0, AT_ONCE).map(take), ...maker === undefined
              ? []
              : [{
                definition: KIND,
                id: maker.id,
                act: 'check' as const,
                content: {},
                basedOn: knownOf(KIND, maker)
              }]]
          }])
          return { session: view(results[0]!.row), deviceToken }
        })),
    /** Renames one. @throws Problem NOT_FOUND, PRECONDITION_FAILED */
    async patch (id: string, patch: object, precondition?: Precondition): Promise<SessionView> {
      const { results } = await once(context, () =>
        retryOnConflict(async () => {
          const row = await read(id)
          if (row === undefined || isOver(row)) throw notFound('session')
          const { name, platform } = mergePatch(
            inputOf(session, session.present(row as never)),
            patch
          ) as Record
          const change = {
            definition: KIND,
            id,
            act: 'put' as const,
            content: { ...contentOf(row), name, platform },
            basedOn: knownOf(KIND, row),
            ...precondition && { precondition }
          }
          return commit([change]).catch((error: unknown) => {
            throw error instanceof PreconditionFailed ? preconditionFailed(KIND, row) : error
          })
        }))
      return view(results[0]!.row, (await readSeen(store, space, id)).get(id))
    },
    /** Signs a device out; its token ends at once. @throws Problem NOT_FOUND */
    async remove (id: string): Promise<void> {
      await once(context, () =>
        retryOnConflict(async () => {
          const row = await read(id)
          if (row === undefined || row.deletedAt !== undefined) throw notFound('session')
          return commit([take(row)])
        }))
    },
    /**
     * Signs all devices out, until there are none. Tokens of an issuer end when they end: the hub did not
     * make them.
     */
    removeAll: (): Promise<void> =>
      writer.withSpacesLocked([space], async () => {
        for (let rows = await all(); rows.length > 0; rows = await all()) {
          const some = rows.slice(0, AT_ONCE)
          await retryOnConflict(async () => {
            const still = (await readRows(store, KIND, space, some.map(({ id }) => id))).filter((
              { deletedAt }
            ) => deletedAt === undefined)
            if (still.length > 0) {
              await writer.commitAcross([{ store, space, sessionId, changes: still.map(take) }])
            }
          })
        }
      }),
    /**
     * Holds a device token against its session. 1 RCU, and a write every five minutes that says when it was
     * used.
     * @throws Problem UNAUTHENTICATED where the session was deleted, or has expired
     */
    async verify ({ sessionId: id, hash }: DeviceToken): Promise<void> {
      const row = await read(id)
      // Of one length, and compared in constant time.
      if (
        row === undefined || isOver(row) || !timingSafeEqual(Buffer.from(row.tokenHash), Buffer.from(hash))
      ) throw signedOut()
      await see(id)
    }
  }

  async function see (id: string): Promise<void> {
    const name = `${space.tenantId} ${userId} ${id}`
    const at = now()
    if (at - (context.seen.get(name) ?? 0) < SEEN_EVERY_MS) return
    context.seen.set(name, at)
    // Another process may have said so. And what is only a courtesy is never a failure.
    await writeSeen(store, space, id, at, SEEN_EVERY_MS, limits.sessionDays * DAY_MS).catch(() => {})
  }
}

const signedOut = () =>
  new Problem('UNAUTHENTICATED', 'The device was signed out.', {
    headers: { 'www-authenticate': 'Bearer realm="sync-hub", error="invalid_token"' }
  })

function view (row: Row, lastSeenAt?: string): SessionView {
  return { ...session.present(row as never), ...lastSeenAt !== undefined && { lastSeenAt } }
}
