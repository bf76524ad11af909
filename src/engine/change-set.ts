import type { Resource } from '../../entities/index.ts'

/** The names of spaces on the wire: a user's own one, and `group:{id}`. */
export const ME = 'me'
export const GROUP = 'group:'

/** What happened to one record, on the wire: a device applies it and is done. */
export interface Op {
  readonly type: Resource
  readonly id: string
  /** `join` and `leave` tell of a whole space: `group:{id}` begins, or is to be dropped. */
  readonly act: 'put' | 'delete' | 'join' | 'leave'
  readonly rev: number
  /** Present with put and join. */
  readonly record?: unknown
}

/** What one write did. Pages of a snapshot have neither a number nor a time. */
export interface ChangeSet {
  /** `me`, or `group:{groupId}`. */
  readonly space: string
  readonly n?: number
  readonly at?: string
  /** The device that made the change, where it is known. */
  readonly sessionId?: string
  /**
   * Of a staged batch: its parts follow each other, and are told of once all are there. Who keeps them
   * together shows all or nothing of it.
   */
  readonly batch?: { readonly id: string, readonly part: number, readonly parts: number }
  readonly ops: readonly Op[]
}
