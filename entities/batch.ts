import { Entity } from 'electrodb'
import { expiresAt, model, plainId, spaceAttributes, spacePartition } from './fields.ts'

/** BATCH#id: a staged batch of changes, in the space of the user who stages it. */
export const Batch = new Entity({
  model: model('batch'),
  attributes: {
    ...spaceAttributes,
    id: plainId,
    state: {
      type: ['open', 'committing', 'writing', 'committed', 'stopped', 'abandoned'] as const,
      required: true
    },
    /** The space that it is for: `me` or `group:{id}`. */
    target: { type: 'string', required: true },
    /** How many changes each part has. A part is what one transaction takes. */
    sizes: { type: 'list', items: { type: 'number' }, required: true },
    bytes: { type: 'number', required: true },
    /**
     * Once the commit has begun: how many changes each of its transactions writes, where some parts take several.
     */
    steps: { type: 'list', items: { type: 'number' } },
    createdAt: { type: 'string', required: true },
    /** Once committed: the change-sets of its first and last part. */
    first: { type: 'number' },
    last: { type: 'number' },
    /**
     * The sweep comes days after the batch can no longer be committed, so that a commit under way is never
     * left without its parts.
     */
    expiresAt
  },
  indexes: {
    /** "How far is this batch?" */
    byBatch: {
      pk: spacePartition,
      sk: { field: 'sk', composite: ['id'], template: 'BATCH#${id}', casing: 'none' }
    }
  }
})

/** BATCH#id#part: changes of a staged batch, as JSON text of what the write path takes. */
export const BatchPart = new Entity({
  model: model('batch-part'),
  attributes: {
    ...spaceAttributes,
    id: plainId,
    part: { type: 'number', required: true, padding: { length: 5, char: '0' } },
    changes: { type: 'string', required: true },
    expiresAt
  },
  indexes: {
    /** "What is in this batch?" */
    byPart: {
      pk: spacePartition,
      sk: { field: 'sk', composite: ['id', 'part'], template: 'BATCH#${id}#${part}', casing: 'none' }
    }
  }
})

/**
 * STAGED: the batches that a user has staged and not yet committed or abandoned, so that they can be counted. It is
 * written in the transactions that stage, each on condition of the version before it.
 */
export const StagedBatches = new Entity({
  model: model('staged-batches'),
  attributes: {
    ...spaceAttributes,
    version: { type: 'number', required: true },
    batches: {
      type: 'list',
      required: true,
      items: {
        type: 'map',
        properties: {
          id: { type: 'string', required: true },
          parts: { type: 'number', required: true },
          bytes: { type: 'number', required: true },
          /** Epoch seconds: from then on it can no longer be committed. */
          ends: { type: 'number', required: true }
        }
      }
    },
    expiresAt
  },
  indexes: {
    /** "What has this user staged?" */
    only: { pk: spacePartition, sk: { field: 'sk', composite: [], template: 'STAGED', casing: 'none' } }
  }
})
