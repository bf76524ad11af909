import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { createModelCache } from '../src/services/bookmarks/model-cache.ts'
import { emptyModel, sizeOf } from '../src/services/bookmarks/model.ts'
import { createHeavyWork } from '../src/services/heavy-work.ts'
import { startTracedHub } from './harness/client.ts'
import { person as personOf, type Hub, type Person } from './harness/hub.ts'

const bookmarks = (count: number, title = 'title') =>
  JSON.stringify({
    format: 'sync-hub-bookmarks',
    version: 1,
    bookmarks: Array.from({ length: count }, (_, index) => ({
      id: `r${index}`,
      url: `https://example.com/${index}`,
      title: `${title} ${index}`,
      tags: ['all'],
      createdAt: '2026-01-01T00:00:00.000Z'
    }))
  })
const bring = (person: Person, file: string, query = '') =>
  person.post(`/v1/bookmarks/import${query}`, file, { 'content-type': 'application/json' })

t.test('heavy work has so many places, of one tenant fewer, and what is too much is told to come again', async (t) => {
  const heavy = createHeavyWork(1000)
  const leave = await heavy.enter('largeImport', 'a')
  let begun = 0
  const waiting = Array.from({ length: 6 }, () =>
    heavy.run('largeImport', 'a', async () => {
      begun++
    }))
  await turn()
  t.equal(begun, 0, 'one of a tenant runs')
  const refusal: unknown = await heavy.run('largeImport', 'a', async () => {}).catch((error: unknown) =>
    error
  )
  t.match(refusal, { errorType: 'OVERLOADED', status: 503, extras: { retryAfter: 5 } })
  t.equal(await heavy.run('largeImport', 'b', async () => 'b'), 'b', 'another tenant has a place')
  leave()
  leave()
  await Promise.all(waiting)
  t.equal(begun, 6)
  await t.rejects(heavy.run('rewrite', 'a', () => Promise.reject(new TypeError('its own'))), TypeError)
})

t.test('uploads are admitted before they are read: so many bytes, of one tenant half', (t) => {
  const heavy = createHeavyWork(1000)
  const first = heavy.admit('a', 400)
  t.throws(() => heavy.admit('a', 101), { message: /uploaded/ })
  const second = heavy.admit('b', 600)
  t.throws(() => heavy.admit('c', 1), { message: /uploaded/ })
  first()
  first()
  t.throws(() => heavy.admit('c', 401), { message: /uploaded/ }, 'given back twice is given back once')
  heavy.admit('c', 400)()
  second()
  heavy.admit('a', 5000)()
  t.pass('one alone may be larger')
  t.end()
})

t.test('less is kept beside what is in use, and a copy of nothing counts what it takes', (t) => {
  const cache = createModelCache<string>(1000)
  const kept = () => ['a', 'b', 'c', 'd'].filter((name) => cache.get(name) !== undefined)
  for (const name of ['a', 'b', 'c']) cache.set(name, name, 300)
  t.strictSame(kept(), ['a', 'b', 'c'])
  cache.hold(400)
  t.strictSame(kept(), ['b', 'c'], 'the one that was used longest ago is forgotten')
  cache.set('d', 'd', 700)
  t.strictSame(kept(), ['b', 'c'], 'what does not fit beside drives nothing out')
  cache.release(400)
  cache.set('d', 'd', 600)
  t.strictSame(kept(), ['c', 'd'])
  cache.delete('c')
  cache.set('a', 'a', 400)
  t.strictSame(kept(), ['a', 'd'])
  t.ok(sizeOf(emptyModel({ epoch: 0, n: 0 })) >= 1024)
  t.end()
})

/** An export over a socket, of which nothing is read yet. */
async function slowExport (hub: Hub, person: Person, format: string): Promise<Readable> {
  const [address] = hub.app.addresses() as AddressInfo[]
  const request = get({
    host: '127.0.0.1',
    port: address!.port,
    agent: false,
    path: `/v1/bookmarks/export?format=${format}`,
    headers: { authorization: `Bearer ${person.token}` }
  })
  const [response] = await once(request, 'response') as [IncomingMessage]
  if (response.statusCode !== 200) throw new Error(`${response.statusCode}`)
  return response
}

async function read (stream: Readable): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

t.test('through the hub', async (t) => {
  const { hub } = await startTracedHub(t)
  const { hub: small } = await startTracedHub(t, {
    table: hub.config.table,
    issuers: [hub.issuer.entry],
    limits: { ...hub.config.limits, memoryBytes: 20_000 }
  })
  await hub.app.listen({ host: '127.0.0.1', port: 0 })
  const person = await hub.as({ tenant: 'acme', user: 'u' })
  t.match(await bring(person, bookmarks(700, 'x'.repeat(800))), { status: 200, body: { created: 700 } })

  await t.test('an export is of one moment, however slowly it is read and whatever is written meanwhile', async (t) => {
    for (const format of ['html', 'xbel', 'json']) {
      const expected = (await person.get(`/v1/bookmarks/export?format=${format}`)).text
      const slow = await slowExport(hub, person, format)
      await person.put('/v1/bookmarks/r0', { url: 'https://example.com/0', title: `changed for ${format}` })
      await person.delete('/v1/bookmarks/r699')
      t.equal(await read(slow), expected, format)
      await person.put('/v1/bookmarks/r699', { url: 'https://example.com/699', title: 'back' })
    }
  })

  await t.test('slow readers of one tenant wait for each other, and who is gone makes room', async (t) => {
    // Files as the route gets them: of one that is sent, the sockets' buffers would take a part that no one knows.
    const services = await hub.app.servicesOf({
      tenantId: 'acme',
      userId: 'u',
      roles: [],
      sessionId: undefined
    })
    const held = await Promise.all(Array.from({ length: 10 }, () => services.bookmarks.exportFile('json')))
    let hasCome = false
    const eleventh = slowExport(hub, person, 'json').then((stream) => {
      hasCome = true
      return stream
    })
    const other = await hub.as({ tenant: 'beta', user: 'u' })
    t.equal((await other.get('/v1/bookmarks/export')).status, 200, 'another tenant has a place')
    t.notOk(hasCome)
    held[0]!.release()
    t.match(await read(await eleventh), /example\.com\/5/)
    for (const { release } of held) release()
    const slow = await Promise.all(Array.from({ length: 10 }, () => slowExport(hub, person, 'json')))
    for (const stream of slow) stream.destroy()
    t.match(await read(await slowExport(hub, person, 'json')), /example\.com\/5/, 'who hangs up is gone')
  })

  await t.test('imports beyond the room for uploads are told to come again, and nothing of them is read', async (t) => {
    const them = personOf(small.app, (await hub.as({ tenant: 'acme', user: 'many' })).token)
    const file = bookmarks(40)
    t.ok(file.length > 4000 && file.length < 10_000)
    const answers = await Promise.all(Array.from({ length: 5 }, () => bring(them, file, '?dryRun=true')))
    const refused = answers.filter(({ status }) => status !== 200)
    t.ok(refused.length > 0 && refused.length < 5)
    for (const answer of refused) {
      t.match(answer, { status: 503, headers: { 'retry-after': '5' }, body: { errorType: 'OVERLOADED' } })
    }
    t.equal((await bring(them, file, '?dryRun=true')).status, 200, 'and then it is taken')
  })

  await t.test('a space that is too large to be kept is read once for all who wait for it', async (t) => {
    const { hub: tiny, traced: calls } = await startTracedHub(t, {
      table: hub.config.table,
      issuers: [hub.issuer.entry],
      limits: { ...hub.config.limits, memoryBytes: 20_000 }
    })
    const reader = personOf(tiny.app, person.token)
    const { status } = await reader.get('/v1/bookmarks?q=all')
    t.equal(status, 200)
    const alone = calls.calls.filter(({ name }) => name === 'QueryCommand').length
    calls.reset()
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => reader.get('/v1/bookmarks?q=all&limit=100'))
    )
    t.ok(answers.every(({ status, body }) => status === 200 && body.items.length === 100))
    const many = calls.calls.filter(({ name }) => name === 'QueryCommand').length
    t.ok(many <= 3 * alone, `20 searches at once read it ${many / alone} times`)
  })
})
