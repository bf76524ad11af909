import t from 'tap'
import { startHub, type Person } from './harness/hub.ts'

const hub = await startHub(t)
const alice = await hub.as({ tenant: 'acme', user: 'alice' })
const page = {
  url: 'https://example.com/?q=1#top',
  title: 'Example',
  description: 'one\ntwo',
  tags: ['b', 'a'],
  folderId: 'f1',
  position: 'a0',
  favorite: true
}

t.test('a bookmark comes back exactly as it was sent, with what the hub adds', async (t) => {
  const put = await alice.put('/v1/bookmarks/b1', page)
  t.equal(put.status, 201)
  t.match(put.headers, { etag: '"1"', location: '/v1/bookmarks/b1', 'cache-control': 'private, no-store' })
  t.strictSame(put.body, {
    id: 'b1',
    ...page,
    rev: 1,
    createdAt: put.body.createdAt,
    updatedAt: put.body.createdAt
  })
  t.strictSame((await alice.get('/v1/bookmarks/b1')).body, put.body)

  const replaced = await alice.put('/v1/bookmarks/b1', { url: 'mailto:a@example.com', title: '' })
  t.equal(replaced.status, 200)
  t.strictSame(replaced.body, {
    id: 'b1',
    url: 'mailto:a@example.com',
    title: '',
    tags: [],
    rev: 2,
    createdAt: put.body.createdAt,
    updatedAt: replaced.body.updatedAt
  }, 'a PUT replaces: what it leaves out is gone')
})

t.test('POST makes an id of its own', async (t) => {
  const one = await alice.post('/v1/bookmarks', { url: 'https://a.example', title: 'A' })
  const two = await alice.post('/v1/bookmarks', { url: 'https://a.example', title: 'A' })
  t.equal(one.status, 201)
  t.equal(one.headers.location, `/v1/bookmarks/${one.body.id}`)
  t.not(one.body.id, two.body.id)
})

t.test('PATCH is a JSON Merge Patch', async (t) => {
  await alice.put('/v1/bookmarks/m1', page)
  const patched = await alice.patch('/v1/bookmarks/m1', { title: 'New', description: null, tags: ['c'] }, {
    'content-type': 'application/merge-patch+json'
  })
  const { description: _, ...rest } = page
  t.match(patched, { status: 200, body: { ...rest, title: 'New', tags: ['c'] } })
  t.notOk('description' in patched.body)
  t.match(await alice.patch('/v1/bookmarks/m1', { title: null }), {
    status: 400,
    body: { errorType: 'VALIDATION_FAILED', errors: [{ pointer: '/title' }] }
  })
  t.match(await alice.patch('/v1/bookmarks/m1', {}), { status: 400 })
  t.match(await alice.patch('/v1/bookmarks/m1', { url: 'javascript:alert(1)' }), {
    status: 400,
    body: { errorType: 'URL_NOT_ALLOWED' }
  })
  t.match(await alice.patch('/v1/bookmarks/none', { title: 'x' }), { status: 404 })
  t.match(await alice.put('/v1/bookmarks/m1', page, { 'content-type': 'application/merge-patch+json' }), {
    status: 415
  }, 'a merge patch is for PATCH')

  await alice.put('/v1/settings/theme', {
    value: { a: { b: 1, c: 2 }, d: [1], constructor: 1, hasOwnProperty: 2 }
  })
  const setting = await alice.patch('/v1/settings/theme', {
    value: { a: { b: null, e: { f: null, g: 3 } }, d: [2] }
  })
  t.strictSame(setting.body.value, { a: { c: 2, e: { g: 3 } }, d: [2], constructor: 1, hasOwnProperty: 2 })
})

t.test('a deleted record is gone, can be made anew, and says so to whoever still has the old one', async (t) => {
  const { headers } = await alice.put('/v1/bookmarks/d1', page)
  t.equal((await alice.delete('/v1/bookmarks/d1')).status, 204)
  t.equal((await alice.get('/v1/bookmarks/d1')).status, 404)
  t.equal((await alice.delete('/v1/bookmarks/d1')).status, 404)
  t.equal((await alice.delete('/v1/bookmarks/never')).status, 404)
  for (const verb of ['put', 'patch'] as const) {
    t.match(await alice[verb]('/v1/bookmarks/d1', page, { 'if-match': headers.etag as string }), {
      status: 412,
      body: { errorType: 'PRECONDITION_FAILED', deleted: true }
    })
  }
  t.match(await alice.delete('/v1/bookmarks/d1', { 'if-match': '*' }), {
    status: 412,
    body: { deleted: true }
  })
  const anew = await alice.put('/v1/bookmarks/d1', page, { 'if-none-match': '*' })
  t.equal(anew.status, 201)
  t.not(anew.headers.etag, headers.etag)
})

t.test('conditions decide who wins, and the loser gets the current record', async (t) => {
  const { headers: { etag } } = await alice.put('/v1/bookmarks/c1', page, { 'if-none-match': '*' })
  t.match(await alice.put('/v1/bookmarks/c1', page, { 'if-none-match': '*' }), {
    status: 412,
    body: { current: { id: 'c1' } }
  })
  const second = await alice.put('/v1/bookmarks/c1', { ...page, title: 'second' }, {
    'if-match': etag as string
  })
  t.equal(second.status, 200)
  t.match(await alice.put('/v1/bookmarks/c1', page, { 'if-match': etag as string }), {
    status: 412,
    body: { current: second.body }
  })
  t.match(await alice.patch('/v1/bookmarks/c1', { title: 'x' }, { 'if-match': etag as string }), {
    status: 412,
    body: { current: second.body }
  })
  t.match(await alice.delete('/v1/bookmarks/c1', { 'if-match': etag as string }), {
    status: 412,
    body: { current: second.body }
  })
  t.equal(
    (await alice.put('/v1/bookmarks/c1', page, {
      'if-match': `${etag as string}, ${second.headers.etag as string}`
    })).status,
    200,
    'a list of tags'
  )
  t.equal((await alice.put('/v1/bookmarks/c1', page, { 'if-match': '*' })).status, 200)
  t.match(
    await alice.put('/v1/bookmarks/c9', page, { 'if-match': '*' }),
    { status: 412 },
    'nothing there to match'
  )
  for (const bad of ['7', 'W/"7"', '"x"', '']) {
    t.match(await alice.put('/v1/bookmarks/c1', page, { 'if-match': bad }), {
      status: 400,
      body: { errors: [{ pointer: 'headers/if-match' }] }
    }, `If-Match: ${bad}`)
  }
  t.match(await alice.put('/v1/bookmarks/c1', page, { 'if-none-match': '"3"' }), { status: 400 })
})

t.test('a read with the current tag is 304', async (t) => {
  const { headers } = await alice.put('/v1/bookmarks/r1', page)
  const etag = headers.etag as string
  for (const header of [etag, `W/${etag}`, `"0", ${etag}`, '*']) {
    t.match(await alice.get('/v1/bookmarks/r1', { 'if-none-match': header }), {
      status: 304,
      text: '',
      headers: { etag }
    }, header)
  }
  t.equal((await alice.get('/v1/bookmarks/r1', { 'if-none-match': '"0"' })).status, 200)
})

t.test('a setting keeps any JSON, its numbers and the order of its keys', async (t) => {
  for (
    const value of [null, false, 0, -1.5e-300, 9007199254740991, 0.1, '', '\u0000\u{1F600}', [], {}, {
      z: 1,
      a: { '': [null, {}] }
    }, { __proto__x: 1, constructor: { prototype: 1 } }]
  ) {
    const text = JSON.stringify({ value, isPublic: false })
    t.equal((await alice.put('/v1/settings/any', text)).status < 300, true, text)
    const { text: back } = await alice.get('/v1/settings/any')
    t.ok(back.includes(`"value":${JSON.stringify(value)},`), 'byte for byte')
  }
  t.match(await alice.put('/v1/settings/deep', { value: nested(16) }), { status: 201 })
  t.match(await alice.put('/v1/settings/deep', { value: nested(17) }), {
    status: 400,
    body: { errors: [{ pointer: '/value' }], limit: { name: 'settingDepth', value: 16, sent: 17 } }
  })
  t.match(await alice.put('/v1/settings/big', { value: 'x'.repeat(65_534) }), { status: 201 })
  t.match(await alice.put('/v1/settings/big', { value: 'x'.repeat(65_535) }), {
    status: 400,
    body: { limit: { name: 'settingBytes', value: 65_536, sent: 65_537 } }
  })
  t.match(
    await alice.request('POST', '/v1/settings', { value: 1 }),
    { status: 405, headers: { allow: 'GET, HEAD' } },
    'settings are named by their clients'
  )
})

t.test('an Idempotency-Key makes a repeated write happen once and answer the same bytes', async (t) => {
  const key = { 'idempotency-key': 'k-1' }
  const first = await alice.post('/v1/bookmarks', page, key)
  await alice.put('/v1/bookmarks/between', page)
  const again = await alice.post('/v1/bookmarks', page, key)
  t.strictSame([again.status, again.text, again.headers.etag, again.headers.location], [first.status,
    first.text, first.headers.etag, first.headers.location])
  t.match(await alice.post('/v1/bookmarks', { ...page, title: 'other' }, key), {
    status: 422,
    body: { errorType: 'IDEMPOTENCY_MISMATCH' }
  })
  t.match(
    await alice.put('/v1/bookmarks/other', page, key),
    { status: 422 },
    'another route is another request'
  )

  const put = await alice.put('/v1/bookmarks/i1', page, { 'idempotency-key': 'k-2', 'if-none-match': '*' })
  const repeated = await alice.put('/v1/bookmarks/i1', page, {
    'idempotency-key': 'k-2',
    'if-none-match': '*'
  })
  t.strictSame([repeated.status, repeated.text], [put.status, put.text], 'and not 412 because of the first')
  t.equal((await alice.delete('/v1/bookmarks/i1', { 'idempotency-key': 'k-3' })).status, 204)
  t.equal((await alice.delete('/v1/bookmarks/i1', { 'idempotency-key': 'k-3' })).status, 204)
  await alice.put('/v1/bookmarks/i2', page)
  const patch = await alice.patch('/v1/bookmarks/i2', { title: 'p' }, { 'idempotency-key': 'k-4' })
  t.equal(
    (await alice.patch('/v1/bookmarks/i2', { title: 'p' }, { 'idempotency-key': 'k-4' })).text,
    patch.text
  )

  const bob = await hub.as({ tenant: 'acme', user: 'bob' })
  t.equal((await bob.put('/v1/bookmarks/other', page, key)).status, 201, "a key is one user's own")
  const missed = await alice.put('/v1/bookmarks/i3', page, { 'idempotency-key': 'k-5', 'if-match': '"1"' })
  t.equal(missed.status, 412)
  t.match(await alice.put('/v1/bookmarks/i3', page, { 'idempotency-key': 'é' }), {
    status: 400,
    body: { errors: [{ pointer: 'headers/idempotency-key' }] }
  })
})

t.test('of many requests at once with one Idempotency-Key exactly one takes effect', async (t) => {
  const before = (await alice.get('/v1/tenant')).body.usage.records
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => alice.post('/v1/bookmarks', page, { 'idempotency-key': 'race' }))
  )
  const done = answers.filter(({ status }) => status === 201)
  t.ok(done.length >= 1)
  t.equal(new Set(done.map(({ text }) => text)).size, 1)
  t.ok(answers.every(({ status }) => status === 201 || status === 409))
  t.equal((await alice.get('/v1/tenant')).body.usage.records, before + 1)
})

t.test('lists', async (t) => {
  const carol = await hub.as({ tenant: 'acme', user: 'carol' })
  const ids = Array.from({ length: 25 }, (_, index) => `l${String(index).padStart(2, '0')}`)
  for (const [index, id] of ids.entries()) {
    await carol.put(`/v1/bookmarks/${id}`, {
      url: `https://EXAMPLE.com/${index}`,
      title: id,
      tags: index % 5 === 0 ? ['five'] : [],
      ...index % 2 === 0 && { folderId: 'even' },
      ...index === 7 && { favorite: true }
    })
  }
  await carol.delete('/v1/bookmarks/l03')
  await carol.put('/v1/settings/s1', { value: 1 })
  const live = ids.filter((id) => id !== 'l03')

  t.test('page through everything once, in order of ids or newest first', async (t) => {
    t.strictSame(await all(carol, '/v1/bookmarks?limit=7'), live)
    t.strictSame(await all(carol, '/v1/bookmarks?limit=7&sort=-createdAt'), live.toReversed())
    t.strictSame(await all(carol, '/v1/bookmarks?limit=24'), live)
    t.notOk((await carol.get('/v1/bookmarks?limit=24')).body.cursor, 'no cursor where there is nothing more')
    t.equal((await carol.get('/v1/bookmarks')).body.items.length, 24)
    t.strictSame(await all(carol, '/v1/settings?limit=1'), ['s1'])
    t.strictSame(await all(await hub.as({ tenant: 'acme', user: 'nobody' }), '/v1/bookmarks'), [])
  })
  t.test('filter, and fill their pages', async (t) => {
    t.strictSame(await all(carol, '/v1/bookmarks?tag=five&limit=2'), ['l00', 'l05', 'l10', 'l15', 'l20'])
    t.strictSame(await all(carol, '/v1/bookmarks?folderId=even&tag=five'), ['l00', 'l10', 'l20'])
    t.strictSame(await all(carol, '/v1/bookmarks?favorite=true'), ['l07'])
    t.strictSame((await all(carol, '/v1/bookmarks?favorite=false')).length, 23)
    t.strictSame(await all(carol, `/v1/bookmarks?url=${encodeURIComponent('https://example.com/9')}`), [
      'l09'
    ], 'URLs are compared as URLs')
    t.strictSame(await all(carol, '/v1/bookmarks?url=not-a-url'), [])
  })
  t.test('refuse a cursor that is altered, or of another user, tenant, list or filter', async (t) => {
    const { body: { cursor } } = await carol.get('/v1/bookmarks?limit=2')
    const refused = { status: 400, body: { errorType: 'INVALID_CURSOR' } }
    t.match(await alice.get(`/v1/bookmarks?limit=2&cursor=${cursor}`), refused)
    t.match(
      await (await hub.as({ tenant: 'acme2', user: 'carol' })).get(`/v1/bookmarks?limit=2&cursor=${cursor}`),
      refused
    )
    t.match(await carol.get(`/v1/settings?cursor=${cursor}`), refused)
    t.match(await carol.get(`/v1/bookmarks?tag=five&cursor=${cursor}`), refused)
    t.match(await carol.get(`/v1/bookmarks?sort=-createdAt&cursor=${cursor}`), refused)
    for (
      const bad of ['x', 'null', `${cursor}A`, `A${cursor}`, cursor.slice(0, -2),
        Buffer.from('{"pk":"TENANT#acme"}').toString('base64url')]
    ) t.match(await carol.get(`/v1/bookmarks?cursor=${bad}`), refused, bad)
    t.notMatch(Buffer.from(cursor, 'base64url').toString('latin1'), /acme|carol|l0/, 'a cursor shows nothing')
    t.equal((await carol.get(`/v1/bookmarks?limit=2&cursor=${cursor}`)).status, 200)
  })
  t.test('know their parameters', async (t) => {
    for (
      const bad of ['limit=0', 'limit=101', 'limit=x', 'limit=1&limit=2', 'nope=1', 'sort=title',
        'favorite=maybe', 'cursor=']
    ) {
      t.match(await carol.get(`/v1/bookmarks?${bad}`), {
        status: 400,
        body: { errorType: 'VALIDATION_FAILED' }
      }, bad)
    }
  })
})

t.test('a list that filters much away ends a page early instead of reading without end', async (t) => {
  const dora = await hub.as({ tenant: 'acme', user: 'dora' })
  for (const wave of [0, 350, 700]) {
    await Promise.all(Array.from({ length: 350 }, (_, index) =>
      dora.put(`/v1/bookmarks/x${wave + index}`, {
        url: 'https://example.com',
        title: '',
        ...wave + index === 1049 && { favorite: true }
      })))
  }
  const first = await dora.get('/v1/bookmarks?tag=none')
  t.strictSame(first.body.items, [])
  t.ok(first.body.cursor, 'with a cursor to go on')
  t.strictSame(await all(dora, '/v1/bookmarks?favorite=true'), ['x1049'])
})

t.test('a page of large records ends early, below what Lambda can send', async (t) => {
  const fred = await hub.as({ tenant: 'acme', user: 'fred' })
  const ids = Array.from({ length: 75 }, (_, index) => `big${String(index).padStart(2, '0')}`)
  for (const id of ids) await fred.put(`/v1/settings/${id}`, { value: 'x'.repeat(65_000) })
  const first = await fred.get('/v1/settings?limit=100')
  t.ok(first.text.length < 5_000_000)
  t.ok(first.body.cursor)
  t.strictSame(await all(fred, '/v1/settings?limit=100'), ids)
})

t.test('public settings', async (t) => {
  const ops = await hub.as({ tenant: 'publisher', user: 'ops' })
  for (let index = 0; index < 15; index++) {
    await ops.put(`/v1/settings/pub.${index}`, { value: { index }, isPublic: true })
  }
  await ops.put('/v1/settings/private', { value: 'secret' })
  const { body: { publicId } } = await ops.get('/v1/settings/pub.3')

  t.test('can be read by anyone, without a trace of whose they are', async (t) => {
    const one = await hub.anyone.get(`/v1/public/settings/${publicId}`)
    t.match(one, {
      status: 200,
      headers: { 'cache-control': /public/ },
      body: { publicId, id: 'pub.3', value: { index: 3 } }
    })
    t.notMatch(one.text, /publisher|ops|TENANT/)
    t.equal(
      (await hub.anyone.get(`/v1/public/settings/${publicId}`, {
        'if-none-match': one.headers.etag as string
      })).status,
      304
    )
    const list = await hub.anyone.get('/v1/public/settings?limit=100')
    t.equal(
      (await hub.anyone.get('/v1/public/settings?limit=100', {
        'if-none-match': list.headers.etag as string
      })).status,
      304
    )
    t.notMatch(list.text, /publisher|ops|TENANT|secret/)
    t.strictSame(
      (await all(hub.anyone, '/v1/public/settings?limit=4')).sort(),
      Array.from({ length: 15 }, (_, index) => `pub.${index}`).sort()
    )
    const { body: { cursor } } = await hub.anyone.get('/v1/public/settings?limit=4')
    t.notMatch(Buffer.from(cursor, 'base64url').toString('latin1'), /publisher|ops|TENANT/)
    t.match(await hub.anyone.get('/v1/public/settings?cursor=abcd'), {
      status: 400,
      body: { errorType: 'INVALID_CURSOR' }
    })
    t.equal((await hub.anyone.get(`/v1/public/settings/${'A'.repeat(22)}`)).status, 404)
    t.equal((await hub.anyone.get('/v1/public/settings/short')).status, 400)
  })
  t.test('are gone for everyone once made private or deleted, and keep their name when published again', async (t) => {
    await ops.put('/v1/settings/pub.3', { value: 1 })
    t.equal((await hub.anyone.get(`/v1/public/settings/${publicId}`)).status, 404)
    t.notOk('publicId' in (await ops.get('/v1/settings/pub.3')).body)
    t.equal((await ops.patch('/v1/settings/pub.3', { isPublic: true })).body.publicId, publicId)
    t.equal((await hub.anyone.get(`/v1/public/settings/${publicId}`)).status, 200)
    await ops.delete('/v1/settings/pub.3')
    t.equal((await hub.anyone.get(`/v1/public/settings/${publicId}`)).status, 404)
  })
})

t.test('the hub says who you are, what you hold and what the limits are', async (t) => {
  const erin = await hub.as({ tenant: 'acme', user: 'erin', roles: ['admin'] })
  t.match(await erin.get('/v1/tenant'), {
    status: 200,
    body: { tenantId: 'acme', userId: 'erin', roles: ['admin'], usage: { records: 0, bytes: 0 } }
  })
  const { body } = await erin.put('/v1/bookmarks/b', page)
  t.strictSame((await erin.get('/v1/tenant')).body.usage, {
    records: 1,
    bytes: Buffer.byteLength(JSON.stringify(body)),
    stagedBatches: 0,
    stagedBytes: 0
  })
  const limits = await hub.anyone.get('/v1/limits')
  t.match(limits, { status: 200, body: { spaceRecords: 50_000, settingBytes: 65_536, urlLength: 8192 } })
  t.strictSame((await erin.get('/v1/tenant')).body.limits, limits.body)
})

t.test('one tenant cannot read what another wrote, and a foreign id looks like a missing one', async (t) => {
  const mallory = await hub.as({ tenant: 'acm', user: 'alice' })
  const foreign = await mallory.get('/v1/bookmarks/b1')
  const missing = await mallory.get('/v1/bookmarks/nothing')
  t.equal(foreign.status, 404)
  t.equal(foreign.text.replace(foreign.body.instance, ''), missing.text.replace(missing.body.instance, ''))
  t.strictSame(await all(mallory, '/v1/bookmarks'), [])
})

async function all (person: Person, url: string): Promise<string[]> {
  const ids: string[] = []
  let cursor: string | undefined
  do {
    const { status, body } = await person.get(
      cursor === undefined ? url : `${url}${url.includes('?') ? '&' : '?'}cursor=${cursor}`
    )
    if (status !== 200) throw new Error(`${url}: ${status}`)
    ids.push(...body.items.map(({ id }: { id: string }) => id))
    cursor = body.cursor
  } while (cursor !== undefined)
  return ids
}

function nested (depth: number): unknown {
  return depth === 0 ? 1 : [nested(depth - 1)]
}
