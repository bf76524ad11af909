import { membership } from '../../../entities/membership.ts'
import { Problem } from '../../errors.ts'
import type { Context } from '../context.ts'
import { MAX_PAGE_BYTES } from '../../engine/list.ts'
import { GROUP, ME } from '../../engine/change-set.ts'
import { memberships } from '../memberships.ts'
import type { ChangeSet } from '../../engine/change-set.ts'
import { pack, unpack, type Packed, type Position, type Positions } from '../../engine/position.ts'
import { beginSnapshot, snapshotPage } from '../../engine/snapshot.ts'
import { Expired } from '../../engine/read-changes.ts'

/**
 * An answer to a pull: apply the changes in order, keep the cursor, come again at once where there is more.
 */
export interface Pulled {
  /** Present on the first page of a snapshot: what the device holds is to be dropped. */
  readonly reset?: true
  readonly changes: readonly ChangeSet[]
  readonly cursor: string
  readonly more: boolean
}

/**
 * What a device does not have yet, from all spaces that the user may read.
 * @param cursor of the last answer; without one a snapshot begins
 * @param limit operations in an answer; a change-set is never cut, so the first may be longer
 * @param isFollowing what this process has heard of will do: its caller was told the rest, and waits for more
 * @throws Problem INVALID_CURSOR, CURSOR_EXPIRED
 */
export async function pull (
  context: Context,
  cursor: string | undefined,
  limit: number,
  isFollowing = false
): Promise<Pulled> {
  const given = cursor === undefined ? undefined : positionsOf(context, cursor)
  const before = JSON.stringify(given && pack(given))
  const { positions, ...pulled } = await advance(context, given, limit, isFollowing)
  // A device that has nothing new has nothing to keep either.
  const same = cursor !== undefined && JSON.stringify(pack(positions)) === before
  return { ...pulled, cursor: same ? cursor : context.sealer.seal(bindingOf(context), pack(positions)) }
}

/** The positions in a cursor. @throws Problem INVALID_CURSOR */
export function positionsOf (context: Context, cursor: string): Positions {
  return unpack(context.sealer.open(bindingOf(context), cursor) as Packed[])
}

const bindingOf = ({ space, userId }: Context) => JSON.stringify(['sync', space.tenantId, userId])

async function advance (
  context: Context,
  given: Positions | undefined,
  limit: number,
  isFollowing: boolean
): Promise<Omit<Pulled, 'cursor'> & { positions: Positions }> {
  const { store, space, now } = context
  const groups = memberships(context)
  const positions: Positions = given ?? new Map([[ME, await beginSnapshot(store, space, now())]])
  const changes: ChangeSet[] = []
  let [ops, bytes, more] = [0, 0, false]
  const spaceOf = (name: string) => name === ME ? space : groups.spaceOf(name.slice(GROUP.length))

  /** Snapshot pages, then the log, of one space: as far as the answer has room. */
  async function advanceSpace (name: string, from: Position): Promise<void> {
    let position = from
    if (position.snapshot !== undefined) {
      const page = await snapshotPage({ store, space: spaceOf(name) }, position, {
        limit: limit - ops,
        maxBytes: MAX_PAGE_BYTES - bytes
      })
      add({ space: name, ops: page.ops })
      positions.set(name, position = page.position)
    }
    if (position.snapshot !== undefined || ops >= limit || bytes > MAX_PAGE_BYTES) {
      more = true
      return
    }
    const walked = await context.reads.changes(context, {
      space: spaceOf(name),
      name,
      position,
      reach: { limit: limit - ops, maxBytes: MAX_PAGE_BYTES - bytes },
      known: isFollowing ? context.watchers.known(spaceOf(name)) : undefined
    })
    for (const change of walked.changes) add(change)
    positions.set(name, walked.position)
    more ||= walked.more
  }

  function add (change: ChangeSet): void {
    // The last part of a batch is told of also where all that it did was done anew: who waits for it has to
    // see it.
    if (change.ops.length === 0 && change.batch === undefined) return
    changes.push(change)
    ops += change.ops.length
    bytes += Buffer.byteLength(JSON.stringify(change.ops))
  }

  try {
    await advanceSpace(ME, positions.get(ME)!)
    for (
      const { id, act } of changes.flatMap(({ ops }) => ops).filter(({ type }) =>
        type === membership.resource
      )
    ) {
      const name = GROUP + id
      if (act === 'leave') positions.delete(name)
      // Who left and came back between two pulls goes on where it was: the log has no hole.
      else if (!positions.has(name)) positions.set(name, await beginSnapshot(store, spaceOf(name), now()))
    }
    const names = [...positions.keys()].filter((name) => name !== ME)
    const members = await groups.among(names.map((name) => name.slice(GROUP.length)), isFollowing)
    for (const name of names) {
      // A group that was left is no longer served; its position goes when the log tells of the leave.
      if (!members.has(name.slice(GROUP.length))) continue
      if (ops >= limit || bytes > MAX_PAGE_BYTES) {
        more = true
        break
      }
      await advanceSpace(name, positions.get(name)!)
    }
  } catch (error) {
    if (error instanceof Expired) {
      throw new Problem(
        'CURSOR_EXPIRED',
        'The log does not reach back that far. Pull without a cursor: the answer begins a snapshot.',
        { snapshot: '/v1/sync', headers: { link: '</v1/sync>; rel="alternate"' } }
      )
    }
    throw error
  }
  return { ...given === undefined && { reset: true }, changes, positions, more }
}
