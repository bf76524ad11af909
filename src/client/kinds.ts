import type { Inputs, Records } from './records.ts'

/** The kinds that apps write, by the name of their collection. A new one is a line here. */
export const COLLECTIONS = { bookmarks: 'bookmark', settings: 'setting' } as const
export type Collections = typeof COLLECTIONS
export type Kind = Collections[keyof Collections]
export type Resource = keyof Records
/** What the hub keeps about people and devices, and an app reads. */
export type Kept = Omit<Records, Kind>

/** What the hub alone sets. */
type HubSet = Exclude<NamesOf<Records[Kind]>, NamesOf<Inputs[Kind]>>
type NamesOf<T> = T extends unknown ? keyof T : never
const HUB_SET: Readonly<Record<HubSet, true>> = {
  id: true,
  rev: true,
  createdAt: true,
  updatedAt: true,
  publicId: true
}

/** What the hub fills in where it is left out: two devices then compare like with like. */
export const DEFAULTS: { readonly [K in Kind]: Partial<Inputs[K]> } = {
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

const WRITTEN: ReadonlySet<string> = new Set(Object.values(COLLECTIONS))
/** Whether apps write records of this kind; they are what the hub counts. */
export const isKind = (type: string): type is Kind => WRITTEN.has(type)
