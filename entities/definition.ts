import type { CreateEntityItem, Entity, EntityItem } from 'electrodb'
import { Type, type Static, type TObject, type TSchema } from 'typebox'

/** Any ElectroDB entity; its four type parameters say nothing that callers of the registry could use. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyEntity = Entity<any, any, any, any>

/** Attributes that the hub sets itself on every record; `store` gives all the others. */
type HubSet =
  | 'tenantId'
  | 'spaceKind'
  | 'spaceId'
  | 'id'
  | 'rev'
  | 'createdAt'
  | 'updatedAt'
  | 'deletedAt'
  | 'purgeAt'

/** What of a stored record comes from the client. */
export type Content<E extends AnyEntity> = Omit<CreateEntityItem<E>, HubSet>

/** What of a stored record the hub sets: the same for every kind. */
export interface Stamps {
  tenantId: string
  spaceKind: 'USER' | 'GROUP'
  spaceId: string
  id: string
  rev: number
  createdAt: string
  updatedAt: string
  deletedAt?: string | undefined
  purgeAt?: number | undefined
}

/** A property of `A` that is missing in `B`, or `never`. */
type Missing<A, B> = Exclude<keyof A, keyof B>

/**
 * One kind of record, told once: what travels, what a client may send, and what is stored.
 * `record` is the wire shape, `input` the body of a PUT; `store` and `present` lead from one to the other.
 */
export interface Definition<
  R extends TObject = TObject,
  I extends TObject = TObject,
  E extends AnyEntity = AnyEntity
> {
  /** The kind's name in the log and on the wire, singular: `bookmark`. */
  readonly resource: string
  readonly record: R
  readonly input: I
  readonly entity: E
  /** What a device is told to do with it, where that is not `put` and `delete`. */
  readonly acts?: { readonly put: 'join', readonly delete: 'leave' }
  /** False for kinds that only the hub writes; they count towards no quota. */
  readonly pushable: boolean
  /** The kind of space that has such records, where not every space does. */
  readonly only?: 'USER' | 'GROUP'
  store(input: Static<I>): Content<E>
  present(row: EntityItem<E>): Static<R>
}

/**
 * Declares a kind of record. The compiler refuses it where wire, input and stored shape disagree: `store`
 * must give every required attribute, `present` every wire property, and what a client may send must come
 * back (every property of `input` stands in `record`; otherwise `definition` needs a property that nobody can
 * give).
 */
export function define<R extends TObject, I extends TObject, E extends AnyEntity> (
  definition:
    & Definition<R, I, E>
    & ([Missing<Static<I>, Static<R>>] extends [never] ? unknown
      : { readonly 'these properties never come back': Missing<Static<I>, Static<R>> })
): Definition<R, I, E> {
  return definition
}

/**
 * The body of a PATCH for a PUT body (RFC 7396): everything may be left out, and null removes what is
 * optional.
 */
export function mergePatchOf (input: TObject): TObject {
  const required = new Set(input.required)
  const { title, examples: [example] = [] } = input as {
    title?: string,
    examples?: Record<string, unknown>[]
  }
  const properties: Record<string, TSchema> = {}
  for (const [name, schema] of Object.entries<TSchema & { default?: unknown }>(input.properties)) {
    const { default: _, ...plain } = schema
    properties[name] = Type.Optional(required.has(name) ? plain : Type.Union([plain, Type.Null()]))
  }
  return Type.Object(properties, {
    additionalProperties: false,
    minProperties: 1,
    description: 'The changes (RFC 7396): null removes a field, and an absent field does not change',
    ...title !== undefined && { title: title.replace(/Input$/, 'Patch') },
    ...example !== undefined && { examples: [Object.fromEntries(Object.entries(example).slice(-1))] }
  })
}
