import { AuditEvent } from './audit-event.ts'
import { block } from './block.ts'
import { bookmark } from './bookmark.ts'
import type { AnyEntity, Definition } from './definition.ts'
import { group } from './group.ts'
import { invitation } from './invitation.ts'
import { member } from './group-member.ts'
import { membership } from './membership.ts'
import { Pairing } from './pairing.ts'
import { session, SessionSeen } from './session.ts'
import { setting } from './setting.ts'
import { Batch, BatchPart, StagedBatches } from './batch.ts'
import { DirectoryEntry, Head, IdempotencyRow, LogEntry } from './space.ts'
import { Tenant } from './tenant.ts'

/** Every synchronised kind of record. Sync, export, purge, backup and the isolation tests iterate this. */
export const registry = { bookmark, setting, membership, group, member, invitation, session, block } as const

/** `bookmark`, `setting`, ... */
export type Resource = keyof typeof registry

/** One kind of row of the table: where it lies, whose it is, and how long it is kept. */
export interface RowKind {
  readonly entity: AnyEntity
  /** `space`: a user's or a group's; `directory`: the tenant's; `operator` and `pairing`: keys that begin with OPS#. */
  readonly partition: 'space' | 'directory' | 'operator' | 'pairing'
  /** Who may write it: the policies of template.yaml hold the two apart by the partition. */
  readonly owner: 'tenant' | 'operator'
  /**
   * `kept`: as long as its space or its tenant. `record`: as long as it is not deleted; its tombstone for the
   * retention time. `expiring`: until the time that it carries, from which it counts as gone.
   */
  readonly lifetime: 'kept' | 'record' | 'expiring'
}

const inSpace = (entity: AnyEntity, lifetime: RowKind['lifetime']): RowKind => ({
  entity,
  partition: 'space',
  owner: 'tenant',
  lifetime
})

/** Every kind of row of the table. A row of no kind that stands here fails the tests. */
export const ROWS: readonly RowKind[] = [
  ...Object.values<Pick<Definition, 'entity'>>(registry).map(({ entity }) => inSpace(entity, 'record')),
  inSpace(Head, 'kept'),
  inSpace(LogEntry, 'expiring'),
  inSpace(IdempotencyRow, 'expiring'),
  inSpace(Batch, 'expiring'),
  inSpace(BatchPart, 'expiring'),
  inSpace(StagedBatches, 'expiring'),
  inSpace(SessionSeen, 'expiring'),
  { entity: DirectoryEntry, partition: 'directory', owner: 'tenant', lifetime: 'kept' },
  { entity: Tenant, partition: 'operator', owner: 'operator', lifetime: 'kept' },
  { entity: AuditEvent, partition: 'operator', owner: 'operator', lifetime: 'expiring' },
  { entity: Pairing, partition: 'pairing', owner: 'operator', lifetime: 'expiring' }
]
