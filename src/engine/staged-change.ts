import { knownOf, removal, Superseded, type Change, type Precondition, type Row } from './change.ts'
import { definitionOf } from './rows.ts'

/** One change of a batch as it is staged. */
export interface StagedChange {
  readonly type: string
  readonly id: string
  readonly act: 'put' | 'delete'
  /** Of a put. */
  readonly content?: Record<string, unknown>
  readonly precondition?: Precondition
  /** The revision, also of a tombstone, that the change was made from and holds only for. */
  readonly basedOn?: number
  /** Where it is not the time of the write. */
  readonly createdAt?: string
}

/** A change as it is staged: a delete without the content, which its record still has. */
export function stagedOf (
  { definition, id, act, content, createdAt, basedOn, precondition }: Change
): StagedChange {
  return {
    type: definition.resource,
    id,
    ...act === 'delete' ? { act } : { act: 'put', content },
    ...createdAt !== undefined && { createdAt },
    ...basedOn !== undefined && { basedOn: basedOn.rev },
    ...precondition && { precondition }
  }
}

/** A staged change as the write path takes it: none where there is nothing to delete. @throws Superseded */
export function toChange (
  { type, id, act, content, precondition, basedOn, createdAt }: StagedChange,
  row: Row | undefined
): Change | undefined {
  const definition = definitionOf(type)
  const required = {
    ...precondition && { precondition },
    ...basedOn !== undefined && row !== undefined && { basedOn: knownOf(definition, row) }
  }
  if (basedOn !== undefined && row?.rev !== basedOn) throw new Superseded()
  if (act === 'put') {
    return {
      definition,
      id,
      act,
      content: content!,
      ...createdAt !== undefined && { createdAt },
      ...required
    }
  }
  if (row !== undefined && row.deletedAt === undefined) return { ...removal(definition, row), ...required }
  return precondition?.ifMatch === undefined ? undefined : { definition, id, act, content: {}, ...required }
}

/**
 * What stands for a delete of what is not there. A record that a step before has just put may not be visible
 * yet: the transaction then refuses, and the step is read anew, where without it the delete would be lost.
 */
export function absence ({ type, id }: StagedChange, row: Row | undefined): Change {
  const definition = definitionOf(type)
  return {
    definition,
    id,
    act: 'check',
    content: {},
    ...row !== undefined && { basedOn: knownOf(definition, row) }
  }
}
