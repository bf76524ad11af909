import t from 'tap'
import { loadConfig } from '../../src/config.ts'
import { traceClient } from '../harness/client.ts'
import { createDevice } from '../harness/device.ts'
import { figure } from '../harness/figures.ts'
import { type Person, person, startApp, startHub } from '../harness/hub.ts'
import { watchLog } from '../harness/watched-log.ts'

/** Small batches, so that a small file is several. */
const BATCH = 120
const hub = await startHub(t, {
  commitLeaseSeconds: 0.3,
  limits: { ...loadConfig({}).limits, batchChanges: BATCH }
})
const FOLDERS = 10
const LINKS = 250
const TOTAL = FOLDERS + LINKS
const file = Array.from(
  { length: FOLDERS },
  (_, folder) =>
    `<DT><H3>Folder ${folder}</H3><DL><p>${
      Array.from(
        { length: LINKS / FOLDERS },
        (_, link) =>
          `<DT><A HREF="https://example.com/${folder}/${link}" ADD_DATE="1600000000">Link ${folder} ${link}</A>`
      ).join('\n')
    }</DL><p>`
).join('\n')
const importing = (by: Person) => by.post('/v1/bookmarks/import', file, { 'content-type': 'text/html' })

t.test('wherever a process dies during an import, whole batches stay, and the file that is sent again brings the rest', async (t) => {
  const kept = new Map<number, number>()
  let deaths = 0
  for (const when of ['before', 'after'] as const) {
    for (let at = 1;; at++) {
      const { token } = await hub.as({ tenant: 'acme', user: `${when}-${at}` })
      const traced = traceClient(hub.config)
      const log = watchLog(t)
      log.mayLog(/"errorType":"STORE_UNAVAILABLE"/)
      const dying = await startApp(t, hub.config, { open: traced.open, log })
      let writes = 0
      traced.fault = async (name, next) => {
        if (/Write|Put|Update/.test(name)) writes++
        if (writes > at || (writes === at && when === 'before')) {
          throw Object.assign(new Error('dead'), { name: 'TimeoutError' })
        }
        const result: unknown = await next()
        if (writes === at) throw Object.assign(new Error('dead'), { name: 'TimeoutError' })
        return result
      }
      const { status } = await importing(person(dying, token))
      traced.fault = undefined
      await dying.close()
      if (writes < at) {
        t.equal(status, 200)
        break
      }
      deaths++
      const survivor = person(hub.app, token)
      const device = createDevice(survivor)
      await device.pull()
      kept.set(device.held.size, (kept.get(device.held.size) ?? 0) + 1)
      t.ok(
        device.held.size % BATCH === 0 || device.held.size === TOTAL,
        `${when} write ${at}: ${device.held.size} of ${TOTAL} are there`
      )
      const before = device.held.size
      const { body } = await importing(survivor)
      t.equal(body.created + body.folders.created, TOTAL - before, 'the rest is created')
      t.match((await importing(survivor)).body, {
        created: 0,
        merged: 0,
        unchanged: LINKS,
        folders: { created: 0, existing: FOLDERS }
      })
      await device.pull()
      t.equal(device.held.size, TOTAL)
      const { folders, bookmarks } = (await survivor.get('/v1/bookmarks/tree')).body
      t.strictSame([bookmarks,
        folders.map(({ title, bookmarks }: { title: string, bookmarks: number }) => [title, bookmarks])], [0,
        Array.from({ length: FOLDERS }, (_, folder) => [`Folder ${folder}`, LINKS / FOLDERS])])
    }
  }
  t.ok([0, BATCH, 2 * BATCH].every((size) => kept.has(size)), 'with nothing, one batch and two')
  figure(
    t,
    'deaths during an import, by how many of its records stayed',
    JSON.stringify(Object.fromEntries(kept))
  )
  t.ok(deaths > 10)
})
