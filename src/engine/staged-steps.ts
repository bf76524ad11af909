import { setTimeout as pause } from 'node:timers/promises'
import { knownOf, type Change, type Known, type Row, type SpaceHead } from './change.ts'
import type { Job } from './index.ts'
import { plan, type Planned, type SpaceRules } from './plan.ts'
import { nameOf, readNamed } from './rows.ts'
import { putBatch, readBatch, readBatchPart, type BatchRow } from './batch-rows.ts'
import { absence, toChange, type StagedChange } from './staged-change.ts'

/** How often, and how far apart, is looked whether another's last step is visible. */
const MAX_LOOKS = 4
const LOOK_PAUSE_MS = 50

/**
 * What one transaction of a commit writes: changes of one part. A part is a step where what it writes fits a
 * transaction; deletes are staged in few bytes and written as tombstones with all they held.
 */
export interface Step {
  readonly part: number
  readonly from: number
  readonly count: number
}

/** Staged changes, and the records that they are about as they are. */
export interface Loaded {
  readonly staged: readonly StagedChange[]
  readonly rows: ReadonlyMap<string, Row>
}

/** A part of a batch, or all of it, is no longer there. */
export class PartGone extends Error {
  override readonly name = 'PartGone'
}

/** The steps of a batch, in order. */
export function stepsOf ({ sizes, steps = sizes }: Pick<BatchRow, 'sizes' | 'steps'>): Step[] {
  let [part, from] = [1, 0]
  return steps.map((count) => {
    const step = { part, from, count }
    from += count
    if (from >= sizes[part - 1]!) [part, from] = [part + 1, 0]
    return step
  })
}

/** @throws PartGone */
export async function readPart ({ store, owner, batch }: Job, part: number): Promise<StagedChange[]> {
  const text = await readBatchPart(store, owner, batch.id, part)
  if (text === undefined) throw new PartGone()
  return JSON.parse(text) as StagedChange[]
}

/** @throws PartGone */
export async function loadStep (job: Job, { part, from, count }: Step): Promise<Loaded> {
  const staged = (await readPart(job, part)).slice(from, from + count)
  return { staged, rows: await readNamed(job.store, job.space, staged) }
}

/** Staged changes as the write path takes them, each once, whatever is there. @throws Superseded */
export function changesOf (
  staged: readonly StagedChange[],
  rowOf: (name: string) => Row | undefined
): Change[] {
  return staged.flatMap((change) => {
    const row = rowOf(nameOf(change))
    return toChange(change, row) ?? absence(change, row)
  })
}

/** What a step becomes after `head`. */
export function planStep (
  { store, space, batch: { id } }: Job,
  changes: readonly Change[],
  { rowOf, head, number, of, now, rules }: {
    readonly rowOf: (name: string) => Row | undefined,
    readonly head: SpaceHead,
    /** The number of the step, from 1, and how many there are. */
    readonly number: number,
    readonly of: number,
    readonly now: number,
    readonly rules: SpaceRules
  }
): Planned {
  // Checks stand behind all others.
  const inOrder = [...changes.filter(({ act }) => act !== 'check'),
    ...changes.filter(({ act }) => act === 'check')]
  const known = inOrder.map(({ definition, id }): Known | undefined => {
    const row = rowOf(nameOf({ type: definition.resource, id }))
    return row && knownOf(definition, row)
  })
  const write = {
    store,
    space,
    changes: inOrder,
    sessionId: undefined,
    batch: { id, part: number, parts: of }
  }
  return plan(write, head, known, now, rules)
}

/**
 * The row of the batch, where a step moves it. The first step is where it can no longer be changed, or given up:
 * whoever did either meanwhile has moved its row.
 */
export function moveBatch (job: Job, number: number, last: number, n: number): object[] {
  const { owner, batch } = job
  const before: BatchRow = { ...batch, state: number === 1 ? 'committing' : 'writing' }
  if (number === last) {
    return [putBatch(owner, before, committedOf(job, n))]
  }
  return number === 1 ? [putBatch(owner, before, { ...batch, state: 'writing' })] : []
}

/** The batch once its last step is change-set `n`. */
export const committedOf = ({ batch }: Job, n: number): BatchRow => ({
  ...batch,
  state: 'committed',
  first: n - stepsOf(batch).length + 1,
  last: n
})

/** The job with its batch as it is: where steps were written it says which. @throws PartGone */
export async function renewed (job: Job): Promise<Job> {
  const batch = await readBatch(job.store, job.owner, job.batch.id)
  if (batch === undefined) throw new PartGone()
  return { ...job, batch }
}

/** The batch as it is when nobody writes it any more: that another has ended it may not be visible yet. */
export async function lastSeen ({ store, owner, batch: { id } }: Job): Promise<BatchRow | undefined> {
  for (let tries = 1;; tries++) {
    const batch = await readBatch(store, owner, id)
    if (!['committing', 'writing'].includes(batch?.state ?? '') || tries === MAX_LOOKS) return batch
    await pause(LOOK_PAUSE_MS)
  }
}
