import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { PlainId } from '../../entities/fields.ts'
import type { PushedChange } from '../services/sync/changes.ts'
import { noQuery, problems } from './schemas.ts'
import { BatchBody, Changes } from './sync.ts'

type OfOne = { Params: { id: string } }

/**
 * Changes that are too many for one push: staged piece by piece, invisible until they are committed. POST
 * /v1/sync?batch=true begins one.
 */
export default async function batches (app: FastifyInstance): Promise<void> {
  const path = '/v1/sync/batches/:id'
  const one = {
    tags: ['sync'],
    params: Type.Object({ id: PlainId }),
    querystring: noQuery,
    response: { 200: BatchBody, ...problems }
  }

  app.get<OfOne>(
    path,
    { schema: { ...one, operationId: 'getBatch', summary: 'Get the state of a staged batch' } },
    ({ params, services }) => services.sync.batches.status(params.id)
  )

  app.post<OfOne & { Body: { offset: number, changes: PushedChange[] } }>(path, {
    schema: {
      ...one,
      operationId: 'appendToBatch',
      summary: 'Add changes to a staged batch',
      body: Type.Object({
        offset: Type.Integer({
          minimum: 0,
          description:
            'How many changes are staged before these. Changes that are sent again are not added twice'
        }),
        changes: Changes
      }, {
        title: 'BatchAppend',
        description: 'More changes, and how many are staged already',
        examples: [{
          offset: 1,
          changes: [{
            type: 'bookmark',
            id: 'another',
            act: 'put',
            record: { url: 'https://example.org/', title: 'Another' }
          }]
        }],
        additionalProperties: false
      })
    }
  }, ({ params, body, services }) => services.sync.batches.append(params.id, body.offset, body.changes))

  app.post<OfOne & { Body: { confirm?: boolean } }>(`${path}/commit`, {
    // Nothing needs to be said.
    preValidation: async (request) => {
      request.body ??= {}
    },
    schema: {
      ...one,
      'x-request-body': { required: false },
      operationId: 'commitBatch',
      summary: 'Commit a staged batch',
      description:
        'Takes about 50 ms for each 96 changes. If the answer is lost, send the request again: the commit continues where it stopped. During the commit, a read of single records may show part of the batch; a pull shows it only once it is complete.',
      body: Type.Object({
        confirm: Type.Optional(
          Type.Boolean({ description: 'Allows the batch to delete more than half of a space' })
        )
      }, {
        title: 'BatchCommit',
        description: 'Empty, or a permission to delete more than half of a space',
        examples: [{ confirm: true }],
        additionalProperties: false
      })
    }
  }, ({ params, body, services }) => services.sync.batches.commit(params.id, body.confirm ?? false))

  app.delete<OfOne>(path, {
    schema: {
      ...one,
      operationId: 'deleteBatch',
      summary: 'Abandon a staged batch',
      response: { 204: Type.Null(), ...problems }
    }
  }, async ({ params, services }, reply) => {
    await services.sync.batches.abandon(params.id)
    return reply.code(204).send()
  })
}
