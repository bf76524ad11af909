import { mock } from 'node:test'
import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { spaceKey } from '../entities/fields.ts'
import { STATUS_KNOWN_FOR_MS } from '../src/operations/index.ts'
import { tenants } from '../src/operations/tenants.ts'
import { loadConfig } from '../src/config.ts'
import { startTracedHub } from './harness/client.ts'
import { found, join, type Named } from './harness/groups.ts'
import { person, startApp, type Answer, type Person } from './harness/hub.ts'
import { recordsOf } from './harness/world.ts'

/** What takes long takes several batches of these, and each of them three transactions. */
const BATCH = 250
const { hub, traced, store } = await startTracedHub(t, {
  limits: { ...loadConfig({}).limits, batchChanges: BATCH }
})
const other = await startApp(t, hub.config, { open: traced.open })
const desk = tenants(store, Date.now)
const tick = performance.now.bind(performance)
let ahead = 0
mock.method(performance, 'now', () => tick() + ahead)
t.teardown(() => mock.restoreAll())

interface Scene {
  readonly tenant: string
  readonly id: string
  readonly path: string
  readonly owner: Named
  readonly editor: Named
  /** The editor, on a device of theirs. */
  readonly device: Person
  readonly session: string
}
let scenes = 0
async function scene (): Promise<Scene> {
  const tenant = `tenant-${++scenes}`
  const named = async (user: string) => ({ user, person: await hub.as({ tenant, user }) })
  const [owner, editor] = [await named('owner'), await named('editor')]
  const id = await found(owner.person)
  await join(owner.person, id, editor)
  const { body } = await editor.person.post('/v1/sessions', { name: 'x', platform: 'y' })
  const device = person(hub.app, body.deviceToken)
  return { tenant, id, path: `/v1/groups/${id}`, owner, editor, device, session: body.session.id }
}

const links = (count: number) => ({
  format: 'sync-hub-bookmarks',
  version: 1,
  bookmarks: Array.from({ length: count }, (_, n) => ({
    id: `b${n}`,
    url: `https://example.com/${n}`,
    title: 'x',
    tags: ['old'],
    folderId: 'f'
  }))
})
const folder = { kind: 'folder', title: 'F' }
const bring = (who: Person, path: string, count: number) => who.post(`${path}/bookmarks/import`, links(count))
const filled = async ({ owner, path }: Scene) => {
  await owner.person.put(`${path}/bookmarks/f`, folder)
  const changes = Array.from({ length: 200 }, (_, n) => ({
    space: `group:${path.slice('/v1/groups/'.length)}`,
    type: 'bookmark',
    id: `b${n}`,
    act: 'put',
    record: { url: `https://example.com/${n}`, title: 'x', tags: ['old'], folderId: 'f' }
  }))
  const { body: { id } } = await owner.person.post('/v1/sync?batch=true', { changes })
  return (await owner.person.post(`/v1/sync/batches/${id}/commit`, undefined)).body.last as number
}

/** What takes long: made ready by those who may, and then done by the editor's device. */
const WORK: Record<string, (of: Scene) => Promise<() => Promise<Answer>>> = {
  'an import': async ({ device, path }) => () => bring(device, path, 450),
  'a staged batch': async ({ device, id }) => {
    const changes = Array.from({ length: 200 }, (_, n) => ({
      space: `group:${id}`,
      type: 'setting',
      id: `s${n}`,
      act: 'put',
      record: { value: n }
    }))
    const { body } = await device.post('/v1/sync?batch=true', { changes })
    return () => device.post(`/v1/sync/batches/${body.id}/commit`, undefined)
  },
  'a tag that is renamed': async (of) => {
    await filled(of)
    return () => of.device.patch(`${of.path}/bookmarks/tags`, { tag: 'old', to: 'new' })
  },
  'a folder that is deleted': async (of) => {
    await filled(of)
    return () => of.device.delete(`${of.path}/bookmarks/f?confirm=true`)
  },
  'a revert': async (of) => {
    const n = await filled(of)
    return () => of.device.post(`${of.path}/changes/${n}/revert`, undefined)
  }
}

/** How a right ends, through another process; what it is answered with means that it has ended. */
const ENDS: Record<string, { readonly end: (of: Scene) => Promise<unknown>, told: object }> = {
  removed: {
    end: ({ owner, path, editor }) =>
      person(other, owner.person.token).delete(`${path}/members/${editor.user}`),
    told: { status: 404, errorType: 'NOT_FOUND' }
  },
  demoted: {
    end: ({ owner, path, editor }) =>
      person(other, owner.person.token).put(`${path}/members/${editor.user}`, { role: 'viewer' }),
    told: { status: 403, errorType: 'UNAUTHORIZED_ACCESS' }
  },
  'in a group that ended': {
    end: ({ owner, path }) => person(other, owner.person.token).delete(path),
    told: { status: 404, errorType: 'NOT_FOUND' }
  },
  'of a tenant that is suspended': {
    end: async ({ tenant }) => {
      await desk.setStatus(tenant, 'suspended')
      ahead += STATUS_KNOWN_FOR_MS
    },
    told: { status: 403, errorType: 'TENANT_SUSPENDED' }
  },
  'on a device that was signed out': {
    end: ({ editor, session }) => person(other, editor.person.token).delete(`/v1/sessions/${session}`),
    told: { status: 401, errorType: 'UNAUTHENTICATED' }
  }
}
/** A member's right ends with a change of the group's space, which waits for the batch that has it. */
const WAITS = ['removed', 'demoted', 'in a group that ended']

/** How many records are in the group, and a hash of them with their revisions. */
async function content ({ tenant, id }: Scene): Promise<string> {
  const held = [...await recordsOf(store, spaceKey(tenant, 'GROUP', id))].filter(([name]) =>
    /^(?:bookmark|setting) /.test(name)
  )
  return `${held.length} ${createHash('sha256').update(JSON.stringify(held)).digest('hex')}`
}

/** Does the work; the right ends once `after` of its transactions are done. */
async function run (
  of: Scene,
  work: () => Promise<Answer>,
  end: (of: Scene) => Promise<unknown>,
  { after, waits }: { after: number, waits: boolean }
) {
  let [done, then]: [number, Promise<string> | undefined] = [0, undefined]
  let isEnding = false
  traced.fault = async (name, next) => {
    const isOurs = name.startsWith('TransactWrite') && !isEnding
    if (isOurs && ++done === after + 1) {
      isEnding = true
      const ended = end(of)
      // One that waits for the work can't be waited for.
      const isOver = await (waits
        ? Promise.race([ended.then(() => true), pause(30, false)])
        : ended.then(() => true))
      if (!isOver) then = ended.then(() => content(of))
      const answer = await next()
      // What was in flight when the right ended.
      then ??= content(of)
      return answer
    }
    return next()
  }
  const answer = await work()
  const atEnd = await then
  traced.fault = undefined
  return { answer, atEnd }
}

for (const [doing, prepare] of Object.entries(WORK)) {
  for (const [ending, { end, told }] of Object.entries(ENDS)) {
    t.test(`${doing} of someone ${ending} meanwhile writes nothing more`, async (t: Test) => {
      for (const after of WAITS.includes(ending) ? [2] : [1, 2]) {
        const of = await scene()
        const { answer, atEnd } = await run(of, await prepare(of), end, {
          after,
          waits: WAITS.includes(ending)
        })
        if (ending !== 'in a group that ended') {
          t.equal(await content(of), atEnd, `nothing after it (${after})`)
        }
        // What had begun its only batch before was done before the right ended.
        if (WAITS.includes(ending) && answer.status < 300) continue
        t.match(answer.body, told)
        const { written = [] } = answer.body
        if (written.length === 0) continue
        t.match(answer.body.detail, /It ended early: \d+ changes were written before/)
        if (ending === 'of a tenant that is suspended') {
          await desk.setStatus(of.tenant, 'active')
          ahead += STATUS_KNOWN_FOR_MS
        }
        if (ending === 'in a group that ended') continue
        for (const { n } of written.toReversed()) {
          const undone = await of.owner.person.post(`${of.path}/changes/${n}/revert`, undefined)
          t.ok([200, 409].includes(undone.status), 'its owner may undo it')
          if (doing === 'an import') t.equal(undone.status, 200)
        }
        if (doing === 'an import') t.match(await content(of), /^0 /, 'all of it')
      }
    })
  }
}
