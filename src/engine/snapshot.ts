import { setTimeout as pause } from 'node:timers/promises'
import type { Definition } from '../../entities/definition.ts'
import type { SpaceKey } from '../../entities/fields.ts'
import { registry } from '../../entities/index.ts'
import type { Store } from '../store/store.ts'
import { recordsAfter } from './list.ts'
import type { SpaceHead } from './change.ts'
import { readHead, readLogBackwards } from './rows.ts'
import type { Op } from './change-set.ts'
import type { Reads } from './index.ts'
import { isCredible } from './time.ts'
import { opOf } from './read-changes.ts'

const KINDS = Object.values<Definition>(registry as unknown as Record<string, Definition>)

/**
 * Changes older than this are visible in every read, also where two clocks are ten minutes off, each to its
 * side.
 */
const SETTLED_MS = 30 * 60_000
/**
 * The newest changes that are told again after a snapshot, at most. They can be no more on their way than a
 * few transactions hold.
 */
const RETOLD = 200
/**
 * What is missing below the young ones of those is waited for so often, with a pause that doubles: then it
 * was swept.
 */
const TRIES = 5
const PAUSE_MS = 15

/**
 * Where the log goes on after a snapshot that begins now. Not at HEAD: of a change that HEAD already counts,
 * a page of the snapshot may show the record as it was, and its entry may not be visible either. So the
 * newest changes are told again, through the walk, which waits for what lags behind: from the newest that has
 * surely settled, or, where entries behind that one were swept before it, from there: the walk would take the
 * hole for the end of the log each time. 1 RCU for a space that rested, else that and what a look at 200
 * entries costs (10 or so).
 */
export const beginSnapshot: Reads['beginSnapshot'] = async (store, space, now) => {
  const head = await readHead(store, space)
  if (head === undefined) return { epoch: 0, n: 0 }
  const resting = now - Date.parse(head.at) > SETTLED_MS
  return {
    epoch: head.epoch,
    n: resting ? head.n : await lastSettled(store, space, head, now),
    snapshot: { kind: 0 }
  }
}

async function lastSettled (store: Store, space: SpaceKey, head: SpaceHead, now: number): Promise<number> {
  const from = Math.max(head.floor, head.n - RETOLD) + 1
  if (from > head.n) return head.n
  const reference = Math.min(Date.parse(head.at), now)
  const isSettled = ({ at }: { at: string }) => reference - Date.parse(at) > SETTLED_MS
  for (let attempt = 1;; attempt++) {
    // One that a wrong clock has stamped says nothing of when it was written, nor of what was swept around it.
    const entries = (await readLogBackwards(store, space, from, head.n, RETOLD)).filter(({ at }) =>
      isCredible(at, now)
    )
    const settled = entries.find(isSettled)
    // HEAD's own entry is as young as HEAD: it can't have been swept.
    const lowest = entries.findLast((entry) => !isSettled(entry))?.n ?? head.n
    if (lowest - 1 === (settled?.n ?? from - 1)) return lowest - 1
    // What is missing between the two is on its way; it may be swept only where the older one has expired as
    // well.
    if (settled !== undefined && settled.expiresAt * 1000 > now + SETTLED_MS) return settled.n
    if (attempt === TRIES) return lowest - 1
    await pause(PAUSE_MS * 2 ** attempt)
  }
}

/**
 * Rows that are looked at together, also where fewer are wanted: tombstones lie between records. And how
 * often for one answer.
 */
const LOOK = 100
const MAX_LOOKS = 20

/**
 * The next records of a snapshot, in the order of kinds and ids.
 * @param reach records, at least 1; bytes of their JSON, and up to 1 MB more, which is a page of the store
 * @returns `position` without a snapshot where that was all
 */
export const snapshotPage: Reads['snapshotPage'] = async (
  { store, space },
  position,
  { limit, maxBytes }
) => {
  const { snapshot, ...reached } = position
  let { kind, after } = snapshot!
  const ops: Op[] = []
  let bytes = 0
  for (
    let looks = 0;
    kind < KINDS.length && ops.length < limit && bytes < maxBytes && looks < MAX_LOOKS;
    looks++
  ) {
    const definition = KINDS[kind]!
    if (definition.only !== undefined && definition.only !== space.spaceKind) {
      kind++
      continue
    }
    const wanted = limit - ops.length
    const { rows, last } = await recordsAfter({ store, space }, definition, after, Math.max(wanted, LOOK))
    const told = rows.slice(0, wanted).map((row) => opOf(definition.resource, row))
    ops.push(...told)
    bytes += Buffer.byteLength(JSON.stringify(told))
    if (told.length < rows.length) after = told.at(-1)!.id
    else {
      if (last === undefined) kind++
      after = last
    }
  }
  return { ops, position: kind < KINDS.length ? { ...reached, snapshot: { kind, after } } : reached }
}
