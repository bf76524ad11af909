import { CustomAttributeType, Entity } from 'electrodb'
import { expiresAt, model, spaceAttributes, spacePartition } from './fields.ts'

/**
 * A space and its log (one user's, or one group's). Every change of a space is one transaction that moves
 * HEAD from n to n+1, appends LOG n+1, and writes the records. Nothing here expires by itself but log entries
 * and idempotency rows, and all of a group that has ended.
 */

/**
 * HEAD: the last change number, and what the space holds. No TTL while the space is somebody's: an idle user
 * must not restart at 1.
 */
export const Head = new Entity({
  model: model('head'),
  attributes: {
    ...spaceAttributes,
    n: { type: 'number', required: true },
    at: { type: 'string', required: true },
    /**
     * Raised by restore and purge, so that every cursor from before is refused. Milliseconds of the space's
     * first write.
     */
    epoch: { type: 'number', required: true },
    /** The change number up to which the log may have been swept. */
    floor: { type: 'number', required: true },
    bytes: { type: 'number', required: true },
    count: { type: 'number', required: true },
    /** Since when nothing is put into the space any more: its group is being ended. */
    closedAt: { type: 'string' },
    /** Set with the last write of a group that has ended: then nothing of the space is left. */
    expiresAt: { type: 'number', field: 'ttl' },
    /**
     * While a staged batch is being committed: nobody else writes to the space, and who finds that it stands
     * still takes it on.
     */
    lock: {
      type: 'map',
      properties: {
        batch: { type: 'string', required: true },
        /** The user in whose space the batch is staged. */
        owner: { type: 'string', required: true },
        /** Parts that are committed. */
        part: { type: 'number', required: true },
        /** Goes on while no part does, so that others see that the process lives. */
        beat: { type: 'number', required: true }
      }
    }
  },
  indexes: {
    /** "Where does this space stand?" */
    only: { pk: spacePartition, sk: { field: 'sk', composite: [], template: 'HEAD', casing: 'none' } }
  }
})

/** What one operation of a change-set did to one record. */
export interface LogOp {
  readonly type: string
  readonly id: string
  readonly act: 'create' | 'put' | 'delete'
}

/**
 * Operations as text: runs of ids that had the same done to them,
 * `[["put","bookmark","a","b"],["delete","setting","x"]]`. As a list of maps 98 operations take 3 KB and
 * more, so that a full push would cost 4 to 6 write units beyond its records.
 */
function packOps (ops: readonly LogOp[]): string {
  const runs: string[][] = []
  for (const { act, type, id } of ops) {
    const run = runs.at(-1)
    if (run?.[0] === act && run[1] === type) run.push(id)
    else runs.push([act, type, id])
  }
  return JSON.stringify(runs)
}

function unpackOps (text: string): LogOp[] {
  return (JSON.parse(text) as [LogOp['act'], string, ...string[]][]).flatMap(([act, type, ...ids]) =>
    ids.map((id) => ({ type, id, act }))
  )
}

/**
 * LOG#n: one change-set. Numbers are contiguous: a reader that sees a hole knows that something is still to
 * come.
 */
export const LogEntry = new Entity({
  model: model('log'),
  attributes: {
    ...spaceAttributes,
    n: { type: 'number', required: true, padding: { length: 12, char: '0' } },
    at: { type: 'string', required: true },
    sessionId: { type: 'string' },
    ops: {
      type: CustomAttributeType<LogOp[]>('any'),
      required: true,
      set: (ops?: LogOp[]) => ops && packOps(ops) as unknown as LogOp[],
      get: (text?: LogOp[]) => text && unpackOps(text as unknown as string)
    },
    /** On each entry of a staged batch: which part of how many it is. */
    batch: {
      type: 'map',
      properties: {
        id: { type: 'string', required: true },
        part: { type: 'number', required: true },
        parts: { type: 'number', required: true }
      }
    },
    expiresAt
  },
  indexes: {
    /** "What changed after n?" */
    byNumber: {
      pk: spacePartition,
      sk: { field: 'sk', composite: ['n'], template: 'LOG#${n}', casing: 'none' }
    }
  }
})

/**
 * IDEM#key: the outcome of a write that carried an Idempotency-Key, written in the transaction of its effect.
 */
export const IdempotencyRow = new Entity({
  model: model('idempotency'),
  attributes: {
    ...spaceAttributes,
    key: { type: 'string', required: true },
    /** SHA-256 of method, route and body: the same key with another request is refused. */
    requestHash: { type: 'string', required: true },
    /** The outcome as JSON text. Routes make the same bytes of the same outcome. */
    outcome: { type: 'string', required: true },
    expiresAt
  },
  indexes: {
    /** "Was this request answered before?" */
    byKey: {
      pk: spacePartition,
      sk: { field: 'sk', composite: ['key'], template: 'IDEM#${key}', casing: 'none' }
    }
  }
})

/** The tenant's directory: one row a space, written once, in the transaction that first uses the space. */
export const DirectoryEntry = new Entity({
  model: model('directory'),
  attributes: {
    ...spaceAttributes,
    createdAt: { type: 'string', required: true },
    /** Of a group that has ended: with all else of its space. */
    expiresAt: { type: 'number', field: 'ttl' }
  },
  indexes: {
    /** "Which spaces has this tenant?" */
    bySpace: {
      pk: { field: 'pk', composite: ['tenantId'], template: 'TENANT#${tenantId}', casing: 'none' },
      sk: {
        field: 'sk',
        composite: ['spaceKind', 'spaceId'],
        template: 'SPACE#${spaceKind}#${spaceId}',
        casing: 'none'
      }
    }
  }
})
