import { bookmark } from './bookmark.ts'
import { setting } from './setting.ts'

/** Every synchronised kind of record. Sync, export, purge, backup and the isolation tests iterate this. */
export const registry = { bookmark, setting } as const

/** `bookmark`, `setting`, ... */
export type Resource = keyof typeof registry
