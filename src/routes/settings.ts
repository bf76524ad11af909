import type { FastifyInstance } from 'fastify'
import { DottedId } from '../../entities/fields.ts'
import { setting } from '../../entities/setting.ts'
import type { Limits } from '../limits.ts'
import { recordRoutes } from './records.ts'

export default async function settings (app: FastifyInstance, { limits }: { limits: Limits }): Promise<void> {
  recordRoutes(app, {
    path: '/settings',
    definition: setting,
    id: DottedId,
    pageItems: limits.pageItems,
    service: ({ space }) => space.settings,
    add: false
  })
}
