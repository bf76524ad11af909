import { bookmark } from './bookmark.ts'
import { membership } from './membership.ts'
import { setting } from './setting.ts'

/** Every synchronised kind of record. Sync, export, purge, backup and the isolation tests iterate this. */
export const registry = { bookmark, setting, membership } as const

/** `bookmark`, `setting`, ... */
export type Resource = keyof typeof registry
