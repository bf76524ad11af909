import type { Static } from 'typebox'
import type { registry, Resource } from '../../entities/index.ts'

type Registry = typeof registry

/**
 * What the hub tells of each kind of record, and what an app may write of it: the hub's own schemas. This is
 * all that the client knows of them, and the one file whose types the build writes out in full.
 */
export type Records = { readonly [K in Resource]: Static<Registry[K]['record']> }
export type Inputs = { readonly [K in Resource]: Static<Registry[K]['input']> }
