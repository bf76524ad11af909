import type { Content, Resource } from './kinds.ts'

export interface Op {
  readonly type: Resource
  readonly id: string
  readonly act: 'put' | 'delete' | 'join' | 'leave'
  readonly rev: number
  readonly record?: Content
}

export interface ChangeSet {
  readonly space: string
  /** Its number in the space; not in a snapshot. */
  readonly n?: number
  readonly at?: string
  readonly sessionId?: string
  /** It is one part of several that belong together. */
  readonly batch?: { readonly id: string, readonly part: number, readonly parts: number }
  readonly ops: readonly Op[]
}

/** The answer to a pull. */
export interface Page {
  readonly reset?: true
  readonly changes: readonly ChangeSet[]
  readonly cursor: string
  readonly more: boolean
}

/** The answer to a push. */
export interface Pushed {
  readonly n?: number
  readonly results: readonly {
    readonly type: Resource,
    readonly id: string,
    readonly status: number,
    readonly rev?: number
  }[]
}

/** What stands in the way of one change of a push: nothing (424), or the record as it is, if it is. */
export interface Standing {
  readonly status: number
  readonly current?: Content & { readonly rev: number }
  readonly deleted?: boolean
}

/** problem+json, as far as a client acts on it. */
export interface ProblemBody {
  readonly detail?: string
  readonly errorType?: string
  readonly errors?: readonly { readonly pointer: string, readonly detail: string }[]
  readonly results?: readonly Standing[]
  readonly limit?: { readonly name: string, readonly value: number, readonly sent?: number }
}
