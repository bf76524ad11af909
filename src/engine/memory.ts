import type { Refusal } from '../store/transact.ts'
import { knownOf, type Change, type Known, type SpaceHead, type Write } from './change.ts'
import { parseHead, readHead, readRows } from './rows.ts'

/** Records of one space that are remembered, at most. */
const MAX_KNOWN = 500

/**
 * What a process remembers of a space. It spares reads and decides nothing: every transaction states what it
 * was built on.
 */
export interface Memory {
  /** 'unread' until HEAD was seen; undefined where the space does not exist. */
  head: SpaceHead | undefined | 'unread'
  readonly known: Map<string, Known | undefined>
}

/** Reads what a batch of writes needs and is not remembered: HEAD and records, all at once. */
export async function load (
  state: Memory,
  batch: readonly { readonly write: Write, readonly verify: boolean }[]
): Promise<void> {
  // Also refused writes are remembered, and they are many where someone means harm.
  if (state.known.size >= MAX_KNOWN) state.known.clear()
  const { store, space } = batch[0]!.write
  const readsHead = state.head === 'unread' || batch.some(({ verify }) => verify)
  const unknown = new Map<string, Change>()
  for (const { write, verify } of batch) {
    for (const change of write.changes) {
      const key = recordKey(change)
      // What the caller read serves unless the memory is newer, which then shows that it is out of date.
      if (change.basedOn !== undefined && !verify && change.basedOn.rev >= (state.known.get(key)?.rev ?? 0)) {
        state.known.set(key, change.basedOn)
      } else if (
        verify || (!state.known.has(key) && (readsHead || change.precondition?.ifMatch !== undefined))
      ) unknown.set(key, change)
      // Otherwise it is taken to be new, which is what a PUT of an unknown id mostly is; the transaction
      // checks it.
    }
  }
  const kinds = new Set([...unknown.values()].map(({ definition }) => definition))
  await Promise.all([readsHead && readHead(store, space).then((head) => {
    state.head = head
  }), ...[...kinds].map(async (definition) => {
    const changes = [...unknown.values()].filter((change) => change.definition === definition)
    const rows = await readRows(store, definition, space, changes.map(({ id }) => id))
    for (const change of changes) state.known.set(recordKey(change), undefined)
    for (const row of rows) state.known.set(`${definition.resource} ${row.id}`, knownOf(definition, row))
  })])
}

/** Corrects the memory of HEAD from a refusal. */
export function learnHead (state: Memory, { code, row }: Refusal): void {
  if (code !== 'ConditionalCheckFailed') return
  state.head = row === undefined ? undefined : parseHead(row) ?? 'unread'
}

export function remember (state: Memory, change: Change, known: Known | undefined): void {
  state.known.set(recordKey(change), known)
}

export function forget (state: Memory): void {
  state.head = 'unread'
  state.known.clear()
}

export const recordKey = ({ definition, id }: Change) => `${definition.resource} ${id}`
