import { Problem } from '../../errors.ts'
import { notFound } from '../collection.ts'
import type { Context } from '../context.ts'
import { ME } from '../../engine/change-set.ts'
import { once } from '../../engine/idempotency.ts'
import { outcomeUnderKey } from '../../engine/plan.ts'
import { memberships } from '../memberships.ts'
import { PreconditionFailed } from '../../engine/change.ts'
import { OPEN_SECONDS, partsOf } from '../../engine/batch-parts.ts'
import { readHead } from '../../engine/rows.ts'
import { readBatch, type BatchFields, type BatchRow } from '../../engine/batch-rows.ts'
import type { StagedChange } from '../../engine/staged-change.ts'
import { abandon, newBatch, ownerOf, stage } from '../../engine/staging.ts'
import { assertFit, inSpaceOf, preconditionOf, prepare, type PushedChange } from './changes.ts'
import { begun, endOf, type BatchStatus } from './new-batch.ts'
import { refused } from './push.ts'

/** Batches of changes that are too many for one push: staged, invisible, and then committed. */
export function batches (context: Context) {
  const { store, writer, rules, now, config: { limits } } = context
  const owner = ownerOf(context)

  /** @throws Problem NOT_FOUND, also for one that was abandoned */
  async function find (id: string): Promise<BatchRow> {
    const batch = await readBatch(store, owner, id)
    if (
      batch === undefined || batch.state === 'abandoned' ||
      (!['committed', 'stopped'].includes(batch.state) && endOf(batch) <= now() && !await isCommitting(batch))
    ) throw notFound('batch')
    return batch
  }

  const spaceOf = async ({ target }: BatchRow) => (await memberships(context).enter(target, 'read')).space
  const lockOf = async (batch: BatchRow) => {
    const lock = (await readHead(store, await spaceOf(batch)))?.lock
    return lock?.batch === batch.id ? lock : undefined
  }
  const assertOpen = async (batch: BatchRow) => {
    if (['committed', 'stopped', 'writing'].includes(batch.state) || await isCommitting(batch)) {
      throw committing()
    }
  }
  const isCommitting = async (batch: BatchRow) => (await lockOf(batch)) !== undefined

  async function status (batch: BatchRow): Promise<BatchStatus> {
    const { id, target, sizes, steps = sizes, bytes, createdAt, first, last, state } = batch
    const lock = state === 'committing' || state === 'writing' ? await lockOf(batch) : undefined
    const done = state === 'stopped' ? last! - first! + 1 : lock?.part ?? 0
    const committed = state === 'committed' ? sizes : steps.slice(0, done)
    return {
      id,
      state: state === 'committed' || state === 'stopped'
        ? state
        : lock === undefined && state !== 'writing'
        ? 'open'
        : 'committing',
      space: target,
      changes: sum(sizes),
      bytes,
      committed: sum(committed),
      createdAt,
      expiresAt: new Date(endOf(batch)).toISOString(),
      ...first !== undefined && last !== undefined && { first, last }
    }
  }

  /** Stages changes behind those of the batch. @throws Problem as `stage`, and where they can't be kept */
  async function add (
    before: BatchRow | undefined,
    batch: BatchFields,
    changes: readonly PushedChange[],
    further: (after: BatchFields) => object[] = () => []
  ): Promise<BatchRow> {
    assertFit(changes)
    // Their parts, and the batch, are written in one transaction.
    if (changes.length > limits.appendedChanges) {
      throw overLimit(
        'appendedChanges',
        limits.appendedChanges,
        changes.length,
        `a request stages at most ${limits.appendedChanges} changes`
      )
    }
    if ((changes[0]!.space ?? ME) !== batch.target) {
      throw invalid('/changes/0/space', `the batch is for the space ${batch.target}`)
    }
    const prepared = prepare(await inSpaceOf(context, changes), changes)
    const parts = partsOf(changes.map((change): StagedChange => {
      const { type, id, act } = change
      const precondition = preconditionOf(change)
      return {
        type,
        id,
        act,
        ...act === 'put' && { content: prepared.get(change)!.content },
        ...precondition && { precondition }
      }
    }))
    const count = sum(batch.sizes) + changes.length
    if (count > limits.batchChanges) {
      throw overLimit(
        'batchChanges',
        limits.batchChanges,
        count,
        `a batch holds at most ${limits.batchChanges} changes`
      )
    }
    const bytes = parts.reduce((total, { text }) => total + Buffer.byteLength(text), batch.bytes)
    if (bytes > limits.batchBytes) {
      throw overLimit(
        'batchBytes',
        limits.batchBytes,
        bytes,
        `a batch holds at most ${limits.batchBytes} bytes`
      )
    }
    return stage(context, before, batch, { parts, further })
  }

  return {
    /** Begins a batch with its first changes. @throws as `push` does for changes that can't be kept */
    async create (changes: readonly PushedChange[]): Promise<BatchStatus> {
      const outcome = await once({ ...context, space: owner }, async () => {
        const batch = newBatch(changes[0]!.space ?? ME, now(), OPEN_SECONDS)
        return begun(
          await add(undefined, batch, changes, (after) =>
            context.idempotency === undefined
              ? []
              : [outcomeUnderKey(owner, context.idempotency, begun(after), now())])
        )
      })
      return outcome.results[0]!.row as unknown as BatchStatus
    },
    status: async (id: string): Promise<BatchStatus> => status(await find(id)),
    /**
     * Stages further changes behind the first `offset`, so that a request that is sent twice adds nothing
     * twice.
     * @throws Problem NOT_FOUND, BATCH_STATE with the number that is staged
     */
    async append (id: string, offset: number, changes: readonly PushedChange[]): Promise<BatchStatus> {
      const batch = await find(id)
      const staged = sum(batch.sizes)
      await assertOpen(batch)
      if (offset !== staged) {
        throw new Problem('BATCH_STATE', `The batch has ${staged} changes; continue from there.`, {
          current: await status(batch)
        })
      }
      const { tenantId: _, spaceKind: __, spaceId: ___, ...fields } = batch
      return status(await add(batch, { ...fields, state: 'open' }, changes))
    },
    /**
     * Commits all of it. Sent again it goes on where it stands, and answers the same.
     * @throws Problem NOT_FOUND, PRECONDITION_FAILED with `results` of what stands in the way,
     *   CONFIRMATION_REQUIRED, QUOTA_EXCEEDED, CONTENTION
     */
    async commit (id: string, confirm: boolean): Promise<BatchStatus> {
      const batch = await find(id)
      if (batch.state === 'committed') return status(batch)
      if (batch.state === 'stopped') throw committing()
      const { space, assertAllowed } = await inSpaceOf(context, [{ space: batch.target } as PushedChange])
      try {
        const committed = await writer.staged.commit(
          { store, space, owner, batch, assertAllowed },
          !confirm,
          (rows, n) => rules.assertBatch({ ...context, space }, rows, n)
        )
        return await status(committed.batch)
      } catch (error) {
        if (!(error instanceof PreconditionFailed)) throw error
        throw await refused(
          { ...context, space },
          error.failed.map(({ definition, id }) => ({
            type: definition.resource as PushedChange['type'],
            id
          })),
          error.failed
        )
      }
    },
    /** @throws Problem NOT_FOUND, BATCH_STATE once the commit has begun */
    async abandon (id: string): Promise<void> {
      const batch = await find(id)
      await assertOpen(batch)
      if (!await abandon(context, batch)) throw committing()
    }
  }
}

const committing = () =>
  new Problem('BATCH_STATE', 'The commit of the batch has begun; it can no longer be changed.')
const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)
const invalid = (pointer: string, detail: string) =>
  new Problem('VALIDATION_FAILED', `${pointer}: ${detail}.`, { errors: [{ pointer, detail }] })
const overLimit = (name: string, value: number, sent: number, detail: string) =>
  new Problem('VALIDATION_FAILED', `Too much: ${detail}.`, {
    errors: [{ pointer: '/changes', detail }],
    limit: { name, value, sent }
  })
