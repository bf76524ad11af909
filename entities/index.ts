import { bookmark } from './bookmark.ts'
import { group } from './group.ts'
import { invitation } from './invitation.ts'
import { member } from './group-member.ts'
import { membership } from './membership.ts'
import { session } from './session.ts'
import { setting } from './setting.ts'

/** Every synchronised kind of record. Sync, export, purge, backup and the isolation tests iterate this. */
export const registry = { bookmark, setting, membership, group, member, invitation, session } as const

/** `bookmark`, `setting`, ... */
export type Resource = keyof typeof registry
