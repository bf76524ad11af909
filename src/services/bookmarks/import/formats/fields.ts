import { paragraphs, TO_READ, type Collector, type Entry } from '../entry.ts'
import { setTime } from '../times.ts'

/** Members of a record of someone else's JSON, by name: of whatever type. */
export type Fields = Readonly<Record<string, unknown>>

/** Text, also where a number stands for it; undefined where there is none. */
export function textOf (value: unknown): string | undefined {
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** Elements of a list of objects; none where it is anything else. */
export const objectsOf = (value: unknown): Fields[] =>
  Array.isArray(value) ? value.filter((one): one is Fields => typeof one === 'object' && one !== null) : []

/** A flag, as JSON and those who write it have it. */
export const isSet = (value: unknown) =>
  value === true || value === 1 || /^(?:1|true|yes)$/i.test(textOf(value) ?? '')

/** Names: of texts, or of objects that have a `name` or `label`. Each once. */
export function namesOf (value: unknown): string[] {
  const all = Array.isArray(value) ? value as unknown[] : []
  const names = all.map((one) => {
    const { name, label } = typeof one === 'object' && one !== null ? one as Fields : { name: one }
    return textOf(name)?.trim() ?? textOf(label)?.trim() ?? ''
  })
  return [...new Set(names)].filter((name) => name !== '')
}

/** What services have in common, and the hub has a place for. */
export interface Filling {
  readonly url?: string | undefined
  readonly title?: string | undefined
  /** Texts that become the description, below each other. */
  readonly texts?: readonly (string | undefined)[]
  /** Passages that were marked: each is quoted in the description. */
  readonly highlights?: readonly (string | undefined)[]
  readonly tags?: readonly string[]
  readonly time?: string | undefined
  readonly isFavorite?: boolean
  /** It is still to be read, which is a tag. */
  readonly isUnread?: boolean
}

/** Puts what a record of a service holds into an entry. */
export function fill (entry: Entry, filling: Filling, now: number): void {
  const { url, title, texts = [], highlights = [], tags = [], time, isFavorite = false, isUnread = false } =
    filling
  entry.title = title?.trim() ?? ''
  if (entry.kind !== 'folder') entry.url = url?.trim()
  entry.description = paragraphs(
    ...texts,
    ...highlights.map((text) => text === undefined ? undefined : `> ${text.trim().replaceAll('\n', '\n> ')}`)
  )
  entry.tags = [...new Set([...tags, ...isUnread ? [TO_READ] : []])]
  if (isFavorite) entry.favorite = true
  setTime(entry, time, now)
}

/** Counts members that are neither known nor empty. */
export function ignoreRest (collector: Collector, fields: Fields, known: ReadonlySet<string>): void {
  for (const [name, value] of Object.entries(fields)) {
    const isEmpty = value === null || value === '' || value === false ||
      (Array.isArray(value) && value.length === 0)
    if (!known.has(name) && !isEmpty) collector.ignore(name)
  }
}
