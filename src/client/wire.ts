import type { Static } from 'typebox'
import type { Bookmark, BookmarkInput } from '../../entities/bookmark.ts'
import type { Resource } from '../../entities/index.ts'
import type { Group } from '../../entities/group.ts'
import type { Member } from '../../entities/group-member.ts'
import type { Invitation } from '../../entities/invitation.ts'
import type { Membership } from '../../entities/membership.ts'
import type { Session } from '../../entities/session.ts'
import type { Setting, SettingInput } from '../../entities/setting.ts'

/** What an app writes and reads, by kind: the hub's own schemas. */
export interface Kinds {
  readonly bookmark: {
    readonly record: Static<typeof Bookmark>,
    readonly input: Static<typeof BookmarkInput>
  }
  readonly setting: { readonly record: Static<typeof Setting>, readonly input: Static<typeof SettingInput> }
}
export type Kind = keyof Kinds
/** What the hub keeps about people and devices, and an app reads. */
export interface Kept {
  readonly membership: Static<typeof Membership>
  readonly invitation: Static<typeof Invitation>
  readonly session: Static<typeof Session>
  readonly group: Static<typeof Group>
  readonly member: Static<typeof Member>
}

/** What the hub alone sets. */
type HubSet = Exclude<NamesOf<Kinds[Kind]['record']>, NamesOf<Kinds[Kind]['input']>>
type NamesOf<T> = T extends unknown ? keyof T : never
const HUB_SET: Readonly<Record<HubSet, true>> = {
  id: true,
  rev: true,
  createdAt: true,
  updatedAt: true,
  publicId: true
}

/** What the hub fills in where it is left out: two devices then compare like with like. */
export const DEFAULTS: { readonly [K in Kind]: Partial<Kinds[K]['input']> } = {
  bookmark: { tags: [] },
  setting: { isPublic: false }
}

/** The part of a record that apps write: the body of a PUT. */
export type Content = Readonly<Record<string, unknown>>

/** What apps write of a record. */
export const contentOf = (record: Content): Content =>
  Object.fromEntries(Object.entries(record).filter(([name]) => !Object.hasOwn(HUB_SET, name)))
/** What the hub sets of it. */
export const stampsOf = (record: Content = {}): Content =>
  Object.fromEntries(Object.entries(record).filter(([name]) => Object.hasOwn(HUB_SET, name)))

/** Names one record. `space` is `me` or `group:{groupId}`. */
export interface Target {
  readonly space: string
  readonly type: Resource
  readonly id: string
}

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
}

/** The hub said no, or nothing. */
export class HubProblem extends Error {
  override readonly name = 'HubProblem'
  /**
   * The HTTP status; 0 where there was no answer, or none that can be read. What was sent may then have
   * happened.
   */
  readonly status: number
  /** The hub's stable code; UNREACHABLE where there was no answer. */
  readonly errorType: string
  /** Milliseconds that the hub asks to wait. */
  readonly retryAfter: number
  readonly body: ProblemBody

  constructor (status: number, body: ProblemBody, retryAfter = 0, options?: ErrorOptions) {
    super(body.detail ?? body.errorType ?? `The hub answered ${status}.`, options)
    this.status = status
    this.errorType = body.errorType ?? ''
    this.retryAfter = retryAfter
    this.body = body
  }
}

/** Whether the same request may do better later. */
export function isTransient (error: unknown): error is HubProblem {
  if (!(error instanceof HubProblem)) return false
  const { status, errorType } = error
  return status === 0 || status === 408 || status === 429 || (status >= 500 && status !== 507) ||
    errorType === 'IDEMPOTENCY_IN_PROGRESS'
}

/** Whether a cursor leads nowhere any more: pull without one. */
export const isCursorLost = (error: unknown) =>
  error instanceof HubProblem && (error.status === 410 || error.errorType === 'INVALID_CURSOR')
