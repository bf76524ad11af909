import { setImmediate as turn } from 'node:timers/promises'
import { Problem } from '../errors.ts'
import { commit } from './commit.ts'
import type { Commits, SpaceContext } from './index.ts'
import { GROUP, ME } from './change-set.ts'
import { MAX_CHANGES, type Outcome, type Write } from './change.ts'
import { PART_CHANGES, partsOf, type Part } from './batch-parts.ts'
import { nameOf, readNamed } from './rows.ts'
import { readBatch, type BatchRow } from './batch-rows.ts'
import { stagedOf, toChange, type StagedChange } from './staged-change.ts'
import { abandon, newBatch, ownerOf, stage } from './staging.ts'
import { fitTogether } from './weight.ts'

/**
 * Folders above those that are put are conditions of the same transaction: there are few, and room for them.
 */
const FEW = MAX_CHANGES - 33
/** What one request to the store takes while a batch is staged. */
const STAGED_BYTES = 1_000_000
const STAGED_PARTS = 90
/** From its first part to its commit: a batch that is older has lost its process. */
const HELD_SECONDS = 15 * 60
/** Changes, in whole parts, that are made ready between two turns of the event loop. */
const PORTION = 5 * PART_CHANGES

/**
 * Writes changes that the hub itself has made of what it read: as one change-set where they fit, and
 * otherwise as a staged batch, whose parts follow each other in the log and are told of once all are there.
 * @param changes at most as many and as large as a staged batch may be; `basedOn` each record that is not new
 * @param guarded refuse it where it would delete most of the space
 * @param brief what is kept under an Idempotency-Key
 * @returns what it did, without contents; of a staged batch the number of its last change-set
 * @throws Superseded where a record has moved on; Problem QUOTA_EXCEEDED, CONFIRMATION_REQUIRED,
 *   CONTENTION, and with an
 *   Idempotency-Key VALIDATION_FAILED where more than one transaction is needed. Nothing happened then
 */
export async function writeAll (
  context: SpaceContext,
  changes: readonly StagedChange[],
  guarded: boolean,
  brief: NonNullable<Write['brief']> = true
): Promise<Outcome> {
  const parts: Part[] = []
  for (let from = 0; from < changes.length; from += PORTION) {
    parts.push(...partsOf(changes.slice(from, from + PORTION)))
    await turn()
  }
  if (changes.length <= FEW && parts.length === 1) {
    // What it is made of may have taken long to read.
    await context.assertAllowed()
    const rows = await readNamed(
      context.store,
      context.space,
      changes.filter(({ act, basedOn }) => act === 'delete' || basedOn !== undefined)
    )
    const made = changes.flatMap((change) => toChange(change, rows.get(nameOf(change))) ?? [])
    if (fitTogether(made)) return commit(context, { changes: made, guarded, brief })
  }
  return stageAll(context, parts, changes.length, guarded)
}

/**
 * Commits changes as one change-set where they fit a transaction by what they write, and otherwise as a staged
 * batch, which is told of as a whole: deletes are few bytes in a request, and tombstones keep what was there.
 * @throws as `commit` and `writeAll`
 */
export const commitAll: Commits['commitAll'] = async (
  context,
  { changes, guarded = false },
  pointerOf
) => {
  if (fitTogether(changes)) return commit(context, { changes, guarded, brief: true }, pointerOf)
  return stageAll(context, partsOf(changes.map(stagedOf)), changes.length, guarded)
}

async function stageAll (
  context: SpaceContext,
  parts: readonly Part[],
  count: number,
  guarded: boolean
): Promise<Outcome> {
  if (context.idempotency !== undefined) {
    const detail =
      `takes no key: ${count} changes are more than one transaction. Without one, repeating the request is harmless`
    throw new Problem('VALIDATION_FAILED', `Idempotency-Key ${detail}.`, {
      errors: [{ pointer: 'headers/idempotency-key', detail }]
    })
  }
  return commitStaged(context, parts, guarded)
}

async function commitStaged (
  context: SpaceContext,
  parts: readonly Part[],
  guarded: boolean
): Promise<Outcome> {
  const { store, space, writer, now } = context
  const target = space.spaceKind === 'USER' ? ME : GROUP + space.spaceId
  const fresh = newBatch(target, now(), HELD_SECONDS)
  let staged: BatchRow | undefined
  try {
    for (const portion of portionsOf(parts)) {
      staged = await stage(context, staged, staged ?? fresh, { parts: portion })
    }
    const { batch: { last }, results } = await writer.staged.commit(
      { store, space, owner: ownerOf(context), batch: staged!, assertAllowed: context.assertAllowed },
      guarded,
      (rows, n) => context.rules.assertBatch(context, rows, n)
    )
    return { n: last!, at: '', results }
  } catch (error) {
    // Nobody knows its name: it would only lie there until it is swept.
    if (staged !== undefined) await abandonQuietly(context, staged)
    throw error
  }
}

async function abandonQuietly (context: SpaceContext, { id }: BatchRow): Promise<void> {
  const batch = await readBatch(context.store, ownerOf(context), id).catch(() => undefined)
  if (batch?.state === 'open') await abandon(context, batch).catch(() => {})
}

function portionsOf (parts: readonly Part[]): Part[][] {
  const portions: Part[][] = []
  let bytes = Infinity
  for (const part of parts) {
    bytes += Buffer.byteLength(part.text)
    if (bytes > STAGED_BYTES || portions.at(-1)!.length === STAGED_PARTS) {
      portions.push([])
      bytes = Buffer.byteLength(part.text)
    }
    portions.at(-1)!.push(part)
  }
  return portions
}
