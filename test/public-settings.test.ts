import t from 'tap'
import { PUBLIC_PAGE_BYTES } from '../src/services/public-settings.ts'
import { startTracedHub } from './harness/client.ts'

/** What one stranger can make the hub do with lists that anyone may read: counted in calls and bytes. */
const { hub, traced } = await startTracedHub(t)
const LARGE = 60_000
const COUNT = 12
const owner = await hub.as({ tenant: 'acme', user: 'owner' })
for (let index = 0; index < COUNT; index++) {
  await owner.put(`/v1/settings/large.${index}`, { value: 'x'.repeat(LARGE), isPublic: true })
}
const reads = () => traced.calls.filter(({ name }) => name === 'QueryCommand')
const url = '/v1/public/settings?limit=100'

t.beforeEach(() => {
  traced.reset()
})

t.test('a page is made once for all who ask, and not again while it may be kept', async (t) => {
  const answers = await Promise.all(Array.from({ length: 20 }, () => hub.anyone.get(url)))
  const once = reads().length
  t.ok(once > 0 && once <= 10, `${once} queries for 20 answers, at most one a shard`)
  for (const { status, text, headers } of answers) {
    t.equal(status, 200)
    t.equal(text, answers[0]!.text)
    t.match(headers, {
      'content-type': 'application/json; charset=utf-8',
      etag: answers[0]!.headers.etag,
      'cache-control': /^public, max-age=\d+$/
    })
    const age = Number(/\d+/.exec(headers['cache-control'] as string)![0])
    t.ok(age <= 60, 'what a cache keeps is not older than a minute, the time here included')
  }
  t.equal((await hub.anyone.get(url, { 'if-none-match': answers[0]!.headers.etag as string })).status, 304)
  await hub.anyone.get(url)
  t.equal(reads().length, once, 'also one after the other')
  await hub.anyone.get('/v1/public/settings?limit=1')
  t.ok(reads().length > once, 'another page is another one')
})

t.test('a page is bounded in bytes, and its cursor goes on without a hole', async (t) => {
  const seen: string[] = []
  let cursor: string | undefined
  let pages = 0
  do {
    traced.reset()
    const answer = await hub.anyone.get(cursor === undefined ? url : `${url}&cursor=${cursor}`)
    t.equal(answer.status, 200)
    t.ok(answer.text.length < PUBLIC_PAGE_BYTES + 5000, `${answer.text.length} bytes`)
    t.ok(reads().length <= 10)
    seen.push(...answer.body.items.map(({ id }: { id: string }) => id))
    cursor = answer.body.cursor
    pages++
  } while (cursor !== undefined)
  t.strictSame(seen.sort(), Array.from({ length: COUNT }, (_, index) => `large.${index}`).sort())
  t.equal(pages, Math.ceil(COUNT / Math.floor(PUBLIC_PAGE_BYTES / LARGE)))
})

t.test('a page that could not be made is tried anew, and what is no cursor costs nothing', async (t) => {
  hub.expectLog(/STORE_UNAVAILABLE/)
  traced.fault = async () => {
    throw Object.assign(new Error('away'), { name: 'ServiceUnavailable' })
  }
  t.equal((await hub.anyone.get('/v1/public/settings?limit=3')).status, 503)
  traced.fault = undefined
  t.equal((await hub.anyone.get('/v1/public/settings?limit=3')).status, 200)
  traced.reset()
  t.match(await hub.anyone.get(`${url}&cursor=abcd`), { status: 400, body: { errorType: 'INVALID_CURSOR' } })
  t.strictSame(reads(), [])
})

t.test('where nothing may be kept, a list shows what is public now', async (t) => {
  const { hub, traced } = await startTracedHub(t, { publicMaxAgeSeconds: 0 })
  const owner = await hub.as({ tenant: 'acme', user: 'owner' })
  await owner.put('/v1/settings/a', { value: 1, isPublic: true })
  t.match(await hub.anyone.get(url), {
    headers: { 'cache-control': 'public, max-age=0' },
    body: { items: [{}] }
  })
  await owner.put('/v1/settings/a', { value: 1 })
  traced.reset()
  t.strictSame((await hub.anyone.get(url)).body, { items: [] })
  t.equal(traced.calls.length, 10)
})
