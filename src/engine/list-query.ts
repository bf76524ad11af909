/** What a page of a list is asked for by. */
export interface ListQuery<T = unknown> {
  /** Records a page, 1 to 100. */
  readonly limit: number
  readonly cursor?: string | undefined
  /** By creation time, eventually consistent, instead of by id, strongly consistent. */
  readonly newestFirst?: boolean
  /** Names the filter: a cursor goes on with the filter it was made for, and with no other. */
  readonly filterName?: string
  readonly matches?: (record: T) => boolean
  /** A search, and a URL whose page is wanted, for kinds that know of them. */
  readonly q?: string | undefined
  readonly url?: string | undefined
}

/** `cursor`: where there is more. */
export interface Page<T> {
  readonly items: T[]
  readonly cursor?: string
}
