import { createHash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../errors.ts'
import type { Context, Shared } from '../services/context.ts'
import { createServices, type Services } from '../services/index.ts'
import { publicSettings, type PublicSettings } from '../services/public-settings.ts'
import type { Operations } from '../operations/index.ts'
import type { Scope, Store, Stores } from '../store/store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** True when the store answers. */
    storeReady(): Promise<boolean>
    /** The tenant world of a scope. @throws Problem STORE_UNAVAILABLE */
    servicesOf(
      scope: Scope,
      asked?: Pick<Context, 'idempotency' | 'assertAllowed'>
    ): Promise<Services>
  }
  interface FastifyRequest {
    /**
     * Takes room for a body in memory until the request has ended; called before the body is read.
     * @throws Problem OVERLOADED
     */
    admitUpload(reply: FastifyReply, mostBytes: number): void
    /**
     * For what goes on after the first answer. @throws Problem UNAUTHENTICATED where the device was signed
     * out since
     */
    assertSignedIn(): Promise<void>
    /**
     * The tenant world of this request: bound to its scope by construction. Reading it on a public route
     * throws.
     */
    services: Services
    /** What anyone may read. */
    publicSettings: PublicSettings
  }
}

const WRITES = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/

/** Opens the tenant's store once everything else has passed, so that a bad request costs no STS call. */
export default fp<{ stores: Stores, shared: Shared, operations: Operations }>(
  async (app, { stores, shared, operations }) => {
    const publicOf = (store: Store) =>
      publicSettings(store, shared.sealer, async (id) => await operations.statusOf(id) === 'active')

    app.decorateRequest('services', null as unknown as Services)
    app.decorateRequest('publicSettings', null as unknown as PublicSettings)
    app.addHook('preHandler', async (request) => {
      if (request.scope !== null) {
        request.services = await app.servicesOf(request.scope, {
          idempotency: idempotencyOf(request),
          assertAllowed: async () => {
            await Promise.all([request.assertActive(), request.assertSignedIn()])
          }
        })
        await request.assertSignedIn()
        assertDevice(request)
      } else if (request.routeOptions.url?.startsWith('/v1/public/')) {
        request.publicSettings = publicOf(await stores.anonymous())
      }
    })
    app.decorate(
      'servicesOf',
      async (scope: Scope, asked = { idempotency: undefined, assertAllowed: async () => {} }) =>
        createServices(shared, scope, await stores.of(scope.tenantId), asked)
    )
    app.decorateRequest('admitUpload', function (this: FastifyRequest, reply, mostBytes) {
      const length = this.headers['content-length']
      const bytes = length === undefined ? mostBytes : Math.min(Number(length), mostBytes)
      const release = shared.heavy.admit(this.scope!.tenantId, bytes)
      // Whichever comes: an answer that was sent, or a client that is gone.
      reply.raw.once('finish', release).once('close', release)
    })
    app.decorateRequest('assertSignedIn', async function (this: FastifyRequest) {
      if (this.identity !== null && 'device' in this.identity) {
        await this.services.sessions.verify(this.identity.device)
      }
    })
    app.decorate(
      'storeReady',
      () =>
        stores.anonymous().then((store) => publicOf(store).ping()).then(
          () => true,
          () => false
        )
    )
    app.addHook('onClose', async () => stores.close())
  },
  { name: 'services', dependencies: ['tenant', 'operations'] }
)

/** What an app password may change: records, and nothing about people and devices. */
const OF_APPS = /^\/v1\/(?:groups\/:groupId\/)?(?:bookmarks|settings|trash|changes|sync)\b/

/** @throws Problem UNAUTHORIZED_ACCESS */
function assertDevice ({ identity, method, routeOptions: { url = '' } }: FastifyRequest): void {
  const isApp = identity !== null && 'device' in identity && identity.device.kind === 'app'
  if (isApp && WRITES.has(method) && !OF_APPS.test(url)) {
    throw new Problem(
      'UNAUTHORIZED_ACCESS',
      'An app password can only read, and write records. To change people or devices, use a device that is signed in.'
    )
  }
}

/**
 * The Idempotency-Key of a write with the hash of what it stands for.
 * @throws Problem VALIDATION_FAILED
 */
function idempotencyOf (request: FastifyRequest): { key: string, requestHash: string } | undefined {
  const key = request.headers['idempotency-key']
  if (key === undefined || !WRITES.has(request.method)) return undefined
  if (typeof key !== 'string' || !IDEMPOTENCY_KEY.test(key)) {
    const detail = 'is 1 to 255 visible ASCII characters'
    throw new Problem('VALIDATION_FAILED', `Idempotency-Key ${detail}.`, {
      errors: [{ pointer: 'headers/idempotency-key', detail }]
    })
  }
  const { 'if-match': ifMatch = null, 'if-none-match': ifNoneMatch = null } = request.headers
  const body = Buffer.isBuffer(request.body) ? hashOf(request.body) : request.body ?? null
  const requestHash = hashOf(JSON.stringify([request.method, request.url, ifMatch, ifNoneMatch, body]))
  return { key, requestHash }
}

const hashOf = (data: string | Buffer) => createHash('sha256').update(data).digest('base64url')
