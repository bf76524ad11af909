import { setImmediate as turn } from 'node:timers/promises'
import { transact } from '../store/transact.ts'
import { GUARDED_RECORDS, type Result, type Row, type SpaceHead } from './change.ts'
import { tooManyDeletes, type SpaceRules } from './plan.ts'
import { nameOf, putHead, readHead, readNamed } from './rows.ts'
import type { Job } from './index.ts'
import { changesOf, planStep, readPart, type Loaded } from './staged-steps.ts'
import { portionsByWeight } from './weight.ts'

/** A rehearsal shows a sign of life so often in each lease. */
const BEATS = 4

/** What a rehearsal found: the batch can be written so. */
export interface Rehearsed {
  /** HEAD, whose lock may have gone on. */
  readonly locked: SpaceHead
  /** How many changes each transaction writes, in order. */
  readonly steps: readonly number[]
  /** What the batch does, without contents: nobody else writes before it is written. */
  readonly results: readonly Result[]
  /** The records as they will be, by `nameOf`. */
  readonly ahead: ReadonlyMap<string, Row>
  /**
   * By the number of the step, what was read. None in which a record stands that a step before it touches: what
   * was read of that one is out of date once the step before is written.
   */
  readonly loaded: Map<number, Loaded>
}

/**
 * Plans all of a batch and writes nothing.
 * @returns undefined where another request commits the same batch, or the lock was taken for dead
 * @throws what stands in the way
 */
export async function rehearse (
  job: Job,
  given: SpaceHead,
  guarded: boolean,
  { rules, now }: { readonly rules: SpaceRules, readonly now: () => number }
): Promise<Rehearsed | undefined> {
  const { store, space, batch } = job
  const ahead = new Map<string, Row>()
  const loaded = new Map<number, Loaded>()
  const steps: number[] = []
  const results: Result[] = []
  /** What the batch touches of what was there before it. */
  const stood = new Set<string>()
  let [locked, head, beatAt] = [given, given, performance.now()]
  for (let part = 1; part <= batch.sizes.length; part++) {
    const staged = await readPart(job, part)
    const rows = await readNamed(store, space, staged)
    const again = staged.some((change) => ahead.has(nameOf(change)))
    for (const name of staged.map(nameOf)) if (!ahead.has(name) && isLive(rows.get(name))) stood.add(name)
    const rowOf = (name: string) => ahead.get(name) ?? rows.get(name)
    const changes = changesOf(staged, rowOf)
    let from = 0
    for (const count of portionsByWeight(changes)) {
      const number = steps.push(count)
      const planned = planStep(job, changes.slice(from, from + count), {
        rowOf,
        head,
        number,
        of: number,
        now: now(),
        rules
      })
      if (!again) loaded.set(number, { staged: staged.slice(from, from + count), rows })
      for (const { resource, row, created } of planned.outcome.results) {
        ahead.set(nameOf({ type: resource, id: row.id }), row)
        results.push({ resource, row: briefOf(row), created })
      }
      head = planned.head
      from += count
      await turn()
    }
    if (performance.now() - beatAt < rules.commitLeaseSeconds * 1000 / BEATS) continue
    const alive: SpaceHead = { ...locked, lock: { ...locked.lock!, beat: locked.lock!.beat + 1 } }
    if (await transact(store, [putHead(space, locked, alive)]) !== undefined) return undefined
    ;[locked, beatAt] = [alive, performance.now()]
  }
  if (guarded) assertFew([...stood].filter((name) => !isLive(ahead.get(name))).length, given.count)
  return { locked, steps, results, ahead, loaded }
}

const isLive = (row: Row | undefined) => row !== undefined && row.deletedAt === undefined

function assertFew (deleted: number, count: number): void {
  if (count > GUARDED_RECORDS && deleted * 2 > count) throw tooManyDeletes(deleted, count)
}

function briefOf ({ tenantId, spaceKind, spaceId, id, rev, createdAt, updatedAt, deletedAt }: Row): Row {
  return {
    tenantId,
    spaceKind,
    spaceId,
    id,
    rev,
    createdAt,
    updatedAt,
    ...deletedAt !== undefined && { deletedAt }
  }
}

/** HEAD as it is. */
export const headOfJob = async ({ store, space }: Job): Promise<SpaceHead> => (await readHead(store, space))!
