/**
 * Where a device stands: in each space the last change that it has seen whole, and how far a snapshot got. On
 * the wire it is an opaque cursor (engine/cursor.ts), bound to tenant and user.
 */
export type Positions = Map<string, Position>

export interface Position {
  /** The space's epoch; 0 where nothing had been written to the space yet. */
  readonly epoch: number
  /** Never HEAD's number, a clock or the highest revision seen: only what was delivered. */
  readonly n: number
  /**
   * While a snapshot is under way: the kind that it is at, and the last id of that kind that was delivered.
   */
  readonly snapshot?: { readonly kind: number, readonly after?: string | undefined }
}

export type Packed = [name: string, epoch: number, n: number, kind?: number, after?: string]

/** As short as it gets: a cursor names up to 100 groups and travels in a URL. */
export function pack (positions: Positions): Packed[] {
  return [...positions].map(([name, { epoch, n, snapshot }]): Packed => {
    if (snapshot === undefined) return [name, epoch, n]
    return snapshot.after === undefined
      ? [name, epoch, n, snapshot.kind]
      : [name, epoch, n, snapshot.kind, snapshot.after]
  })
}

export function unpack (packed: readonly Packed[]): Positions {
  return new Map(
    packed.map((
      [name, epoch, n, kind, after]
    ) => [name, { epoch, n, ...kind !== undefined && { snapshot: { kind, after } } }])
  )
}
