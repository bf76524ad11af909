import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { registry } from '../../entities/index.ts'
import type { Definition } from '../../entities/definition.ts'
import { spaceKey, type SpaceKey } from '../../entities/fields.ts'
import { LogEntry } from '../../entities/space.ts'
import { loadConfig } from '../../src/config.ts'
import { openClient } from '../../src/store/client.ts'
import type { Row } from '../../src/engine/change.ts'
import type { Store } from '../../src/store/store.ts'
import { createFaults, seeded, type Faults, type Rates } from './faults.ts'
import { pastTheHub, person, startApp, startHub, type Hub, type Person } from './hub.ts'
import { watchLog } from './watched-log.ts'

/** Several hubs on one store, behind one layer of faults: what devices have to live with. */
export interface World {
  readonly faults: Faults
  /** Hubs whose clocks disagree: by pairs in the order of ERAS, where a test does not say otherwise. */
  readonly hubs: readonly FastifyInstance[]
  /** The store as it is. */
  readonly store: Store
  readonly hub: Hub
  /** A person at each of the hubs. */
  people(tenant: string, user: string): Promise<Person[]>
}

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
/**
 * Milliseconds from now: today, a day on which nothing may have expired yet, and one on which all that is
 * written today may have.
 */
export const ERAS = [0, 30 * DAY, 100 * DAY] as const
/** What a store that fails, or that many write to, makes of a request. */
export const UNLUCKY = /"errorType":"(?:STORE_UNAVAILABLE|CONTENTION)"/
const KINDS = Object.values(registry) as unknown as Definition[]

/** @param clocks of the hubs, in milliseconds from now */
export async function startWorld (
  t: Test,
  seed: number,
  rates: Partial<Rates>,
  clocks = ERAS.flatMap((era) => [era + 10 * MINUTE, era - 10 * MINUTE])
): Promise<World> {
  const faults = createFaults({ random: seeded(seed), ...rates })
  const hub = await startHub(t, {
    commitLeaseSeconds: 0.3,
    limits: { ...loadConfig({}).limits, spaceRecords: 1_000_000, spaceBytes: 1e12 }
  })
  const log = watchLog(t)
  // What the faults do to requests. Nothing else may go wrong.
  log.mayLog(UNLUCKY)
  const hubs = await Promise.all(
    clocks.map((clock) => startApp(t, hub.config, { open: faults.open, now: () => Date.now() + clock, log }))
  )
  const store = { client: openClient(pastTheHub(hub.config)), table: hub.config.table }
  t.teardown(() => {
    store.client.destroy()
  })
  return {
    faults,
    hubs,
    store,
    hub,
    async people (tenant, user) {
      const { token } = await hub.as({ tenant, user })
      return hubs.map((app) => person(app, token))
    }
  }
}

/** `fetch` that asks one of the hubs, as `which` says at the time. */
export const fetchFrom =
  (which: () => FastifyInstance): typeof fetch => async (input, { method, headers, body } = {}) => {
    const { pathname, search } = new URL(input)
    const answer = await which().inject({
      method: (method ?? 'GET') as 'GET',
      url: pathname + search,
      headers: Object.fromEntries(new Headers(headers)),
      ...typeof body === 'string' && { payload: body }
    })
    return new Response(answer.statusCode === 204 ? null : answer.rawPayload, {
      status: answer.statusCode,
      headers: Object.entries(answer.headers).map(([name, value]) => [name, String(value)])
    })
  }

/** A request that is sent until it is neither lost nor refused for the moment: what a patient client does. */
export async function patiently<T extends { status: number }> (
  request: () => Promise<T>,
  tries = 60
): Promise<T> {
  for (let attempt = 1;; attempt++) {
    const answer = await request()
    if (![409, 429, 500, 503].includes(answer.status) || attempt === tries) return answer
    await new Promise((resolve) => {
      setTimeout(resolve, 5 * Math.min(attempt, 10))
    })
  }
}

/** Everything that a user may see, read row by row past the hubs: `space type id` -> the record. */
export async function truth (store: Store, tenant: string, user: string): Promise<Map<string, unknown>> {
  const me = await recordsOf(store, spaceKey(tenant, 'USER', user))
  const found = new Map([...me].map(([name, record]) => [`me ${name}`, record]))
  for (const name of me.keys()) {
    if (!name.startsWith('membership ')) continue
    const group = name.slice('membership '.length)
    for (const [name, record] of await recordsOf(store, spaceKey(tenant, 'GROUP', group))) {
      found.set(`group:${group} ${name}`, record)
    }
  }
  return found
}

/** The live records of a space, by `type id`. */
export async function recordsOf (store: Store, space: SpaceKey): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>()
  for (const definition of KINDS) {
    const { data } = await (definition.entity.query as any).byId(space).go({
      ...store,
      consistent: true,
      pages: 'all'
    })
    for (const row of data) {
      if (row.deletedAt === undefined) {
        found.set(`${definition.resource} ${row.id}`, JSON.parse(JSON.stringify(definition.present(row))))
      }
    }
  }
  return found
}

/**
 * What TTL may do at any time after expiry: takes some of a space's expired entries and tombstones, in any
 * order, and leaves others.
 * @param era how much later than now, in milliseconds
 */
export async function sweep (
  store: Store,
  space: SpaceKey,
  random: () => number,
  era: number
): Promise<number> {
  let swept = 0
  const before = (Date.now() + era) / 1000
  const { data: entries } = await LogEntry.query.byNumber(space).go({ ...store, pages: 'all' })
  for (const { n, expiresAt } of entries) {
    if (expiresAt > before || random() < 0.3) continue
    await LogEntry.delete({ ...space, n }).go(store)
    swept++
  }
  for (const definition of KINDS) {
    const { data } = await (definition.entity.query as any).byId(space).go({ ...store, pages: 'all' }) as {
      data: Row[]
    }
    for (const { id, purgeAt } of data) {
      if (purgeAt === undefined || purgeAt > before || random() < 0.3) continue
      await definition.entity.delete({ ...space, id }).go(store)
      swept++
    }
  }
  return swept
}
