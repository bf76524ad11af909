import fc from 'fast-check'
import t from 'tap'
import { pageOf } from '../src/services/bookmarks/url.ts'
import { startTracedHub } from './harness/client.ts'
import { createDevice } from './harness/device.ts'
import { found as founded, join } from './harness/groups.ts'
import { person as personOf, startHub, type Person } from './harness/hub.ts'

const { hub, traced } = await startTracedHub(t)
let users = 0
const someone = () => hub.as({ tenant: 'acme', user: `u${users++}` })
const folder = (title: string, folderId?: string) => ({
  kind: 'folder',
  title,
  ...folderId !== undefined && { folderId }
})
const page = (title: string, folderId?: string) => ({
  url: `https://example.com/${encodeURIComponent(title)}`,
  title,
  ...folderId !== undefined && { folderId }
})
const change = (id: string, record: object) => ({ type: 'bookmark', id, act: 'put', record })
const items = async (person: Person, query: string): Promise<any[]> => {
  const { status, body, text } = await person.get(`/v1/bookmarks?limit=100&${query}`)
  if (status !== 200) throw new Error(text)
  return body.items
}
const ids = async (person: Person, query: string) => (await items(person, query)).map(({ id }) => id)
const found = (person: Person, q: string) => ids(person, `q=${encodeURIComponent(q)}`)
const tree = async (person: Person) => (await person.get('/v1/bookmarks/tree?items=true')).body

t.test('a folder has a title and no URL, a bookmark has a URL, by every way of writing', async (t) => {
  const person = await someone()
  t.match(await person.put('/v1/bookmarks/f', folder('F')), {
    status: 201,
    body: { kind: 'folder', title: 'F', tags: [] }
  })
  t.notOk('url' in (await person.get('/v1/bookmarks/f')).body)
  t.match(await person.put('/v1/bookmarks/b', { kind: 'bookmark', ...page('b', 'f') }), {
    status: 201,
    body: { kind: 'bookmark' }
  })
  for (
    const [record, pointer] of [[{ ...folder('F'), url: 'https://example.com' }, '/url'], [{ title: 'x' },
      '/url'], [{ kind: 'bookmark', title: 'x' }, '/url'], [{ kind: 'shelf', title: 'x' }, '/kind'], [{
      kind: 'folder'
    }, '/title']] as const
  ) {
    t.match(await person.put('/v1/bookmarks/x', record), {
      status: 400,
      body: { errorType: 'VALIDATION_FAILED', errors: [{ pointer }] }
    }, JSON.stringify(record))
    t.match(await person.post('/v1/sync', { changes: [change('y', page('y')), change('x', record)] }), {
      status: 400,
      body: { errors: [{ pointer: `/changes/1/record${pointer}` }] }
    }, `pushed: ${JSON.stringify(record)}`)
  }
  t.match(await person.patch('/v1/bookmarks/b', { url: null }), {
    status: 400,
    body: { errors: [{ pointer: '/url' }] }
  })
  t.match(await person.patch('/v1/bookmarks/b', { kind: 'folder', url: null }), {
    status: 200,
    body: { kind: 'folder' }
  })
  for (const id of ['import', 'export', 'tree', 'tags', 'duplicates']) {
    t.match(await person.put(`/v1/bookmarks/${id}`, page('x')), {
      status: 400,
      body: { errors: [{ pointer: 'params/id' }] }
    }, id)
  }
  t.strictSame(await ids(person, 'kind=folder'), ['b', 'f'])
})

t.test('the tree is in order, and shows at the root what is in a folder that is not there', async (t) => {
  const person = await someone()
  await person.post('/v1/sync', {
    changes: [change('b2', { ...page('two', 'f'), position: 'a1' }),
      change('b1', { ...page('one', 'f'), position: 'a0' }), change('f', folder('F')),
      change('g', folder('G', 'f')), change('lost', page('lost', 'nowhere')),
      change('under', page('under', 'b1'))]
  })
  t.strictSame(await tree(person), {
    bookmarks: 2,
    folders: [{
      id: 'f',
      title: 'F',
      bookmarks: 2,
      folders: [{ id: 'g', title: 'G', bookmarks: 0, folders: [], items: [] }],
      items: ['b1', 'b2', 'g']
    }],
    items: ['f', 'lost', 'under']
  }, 'also in what is no folder')
  t.strictSame((await person.get('/v1/bookmarks/tree')).body, {
    bookmarks: 2,
    folders: [{
      id: 'f',
      title: 'F',
      bookmarks: 2,
      folders: [{ id: 'g', title: 'G', bookmarks: 0, folders: [] }]
    }]
  })
})

t.test('what is moved stands where it was put, whoever had a position before', async (t) => {
  const person = await someone()
  const move = async (id: string, to: object) => (await person.post(`/v1/bookmarks/${id}/move`, to)).status
  await person.put('/v1/bookmarks/f', folder('F'))
  for (const id of ['a', 'b', 'c', 'd']) await person.put(`/v1/bookmarks/${id}`, page(id))
  t.strictSame((await tree(person)).items, ['f', 'a', 'b', 'c', 'd'], 'the oldest first')
  t.equal(await move('d', { before: 'a' }), 200)
  t.strictSame((await tree(person)).items, ['f', 'd', 'a', 'b', 'c'])
  t.equal(await move('a', { after: 'c' }), 200)
  t.equal(await move('b', { folderId: 'f' }), 200)
  t.equal(await move('c', { folderId: 'f', before: 'b' }), 200)
  const moved = await tree(person)
  t.strictSame([moved.items, moved.folders[0].items], [['f', 'd', 'a'], ['c', 'b']])
  await person.patch('/v1/bookmarks/b', { position: 'not of the library' })
  t.equal(await move('a', { folderId: 'f', after: 'b' }), 200, 'a position of another making')
  t.strictSame((await tree(person)).folders[0].items, ['c', 'b', 'a'])
  t.equal(await move('b', { folderId: null }), 200)
  for (
    const [to, pointer] of [[{ folderId: 'd' }, '/folderId'], [{ folderId: 'none' }, '/folderId'], [{
      before: 'c'
    }, '/before'], [{ after: 'none' }, '/after'], [{ before: 'd', after: 'b' }, '/after']] as const
  ) {
    t.match(
      await person.post('/v1/bookmarks/f/move', to),
      { status: 400, body: { errors: [{ pointer }] } },
      pointer
    )
  }
  t.equal(await move('none', {}), 404)
  const device = createDevice(person)
  await device.pull()
  t.equal(device.held.size, 5, 'devices are told')
})

t.test('no folder is ever within itself, by any way of writing', async (t) => {
  const person = await someone()
  await person.post('/v1/sync', {
    changes: [change('a', folder('A')), change('b', folder('B', 'a')), change('c', folder('C', 'b'))]
  })
  const cycle = (pointer: string) => ({
    status: 409,
    body: { errorType: 'FOLDER_CYCLE', errors: [{ pointer }] }
  })
  t.match(await person.put('/v1/bookmarks/a', folder('A', 'a')), cycle('/folderId'))
  t.match(await person.put('/v1/bookmarks/a', folder('A', 'c')), cycle('/folderId'))
  t.match(await person.patch('/v1/bookmarks/a', { folderId: 'b' }), cycle('/folderId'))
  t.match(await person.post('/v1/bookmarks/a/move', { folderId: 'c' }), cycle('/folderId'))
  t.match(
    await person.post('/v1/sync', { changes: [change('x', page('x')), change('a', folder('A', 'c'))] }),
    cycle('/changes/1/record/folderId')
  )
  t.match(
    await person.post('/v1/sync', {
      changes: [change('p', folder('P', 'q')), change('q', folder('Q', 'p'))]
    }),
    { status: 409 },
    'two that are new'
  )
  const { body: { id } } = await person.post('/v1/sync?batch=true', {
    changes: [change('a', folder('A', 'c'))]
  })
  t.match(await person.post(`/v1/sync/batches/${id}/commit`, {}), {
    status: 409,
    body: { errorType: 'FOLDER_CYCLE' }
  }, 'a staged batch')
  t.match(
    await person.post('/v1/sync', {
      changes: [change('a', folder('A', 'c')), change('b', folder('B')), change('c', folder('C', 'b'))]
    }),
    { status: 200 },
    'turned inside out at once'
  )
  // A folder comes back under one that was put into it meanwhile.
  await person.post('/v1/sync', { changes: [{ type: 'bookmark', id: 'c', act: 'delete' }] })
  await person.patch('/v1/bookmarks/b', { folderId: 'c' })
  t.match(await person.post('/v1/trash/bookmark/c/restore', undefined), {
    status: 409,
    body: { errorType: 'FOLDER_CYCLE' }
  })
  t.match(await person.put('/v1/bookmarks/c', folder('C', 'b')), { status: 409 })
})

/** Follows folders upwards from each: fails where one comes back to itself. */
async function assertTree (person: Person): Promise<void> {
  const folders = new Map((await items(person, 'kind=folder')).map(({ id, folderId }) => [id, folderId]))
  for (const start of folders.keys()) {
    let steps = 0
    for (let at = folders.get(start); at !== undefined; at = folders.get(at)) {
      if (at === start || ++steps > folders.size) {
        throw new Error(`${start} is in a circle: ${JSON.stringify([...folders])}`)
      }
    }
  }
}

t.test('moves that race never make a circle, in one process or two', async (t) => {
  const second = await startHub(t, { table: hub.config.table, issuers: [hub.issuer.entry] })
  const NAMES = ['a', 'b', 'c', 'd', 'e']
  let [taken, refused] = [0, 0]
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom(...NAMES), fc.integer({ min: 0, max: 3 })),
        { minLength: 4, maxLength: 8 }
      ),
      async (moves) => {
        const user = `u${users++}`
        const mine = await hub.as({ tenant: 'acme', user })
        await mine.post('/v1/sync', { changes: NAMES.map((id) => change(id, folder(id))) })
        const other = personOf(second.app, mine.token)
        const answers = await Promise.all(moves.map(([id, into, way], index) => {
          const person = [mine, other][index % 2]!
          return way === 0
            ? person.put(`/v1/bookmarks/${id}`, folder(id, into))
            : way === 1
            ? person.patch(`/v1/bookmarks/${id}`, { folderId: into })
            : way === 2
            ? person.post(`/v1/bookmarks/${id}/move`, { folderId: into })
            : person.post('/v1/sync', { changes: [change(id, folder(id, into))] })
        }))
        for (const { status, text } of answers) {
          if (status === 409) {
            refused++
          } else if (status < 300) taken++
          else throw new Error(text)
        }
        await assertTree(mine)
      }
    ),
    { numRuns: 12 }
  )
  t.ok(taken > 10 && refused > 10, `${taken} taken, ${refused} refused`)
})

t.test('folders are nested 32 deep, and a thousand in one', async (t) => {
  const person = await someone()
  const chain = (name: string, length: number, from = 0) =>
    Array.from(
      { length },
      (_, index) =>
        change(
          `${name}${from + index}`,
          folder(name, from + index === 0 ? undefined : `${name}${from + index - 1}`)
        )
    )
  t.equal((await person.post('/v1/sync', { changes: chain('c', 32) })).status, 200)
  const deeper = {
    status: 400,
    body: { errorType: 'VALIDATION_FAILED', limit: { name: 'folderDepth', value: 32, sent: 33 } }
  }
  t.match(await person.put('/v1/bookmarks/c32', folder('c', 'c31')), {
    ...deeper,
    body: { ...deeper.body, errors: [{ pointer: '/folderId' }] }
  })
  t.match(await person.post('/v1/sync', { changes: chain('c', 1, 32) }), deeper)
  t.equal((await person.put('/v1/bookmarks/leaf', page('leaf', 'c31'))).status, 201, 'bookmarks fit the last')
  await person.post('/v1/sync', { changes: chain('d', 10) })
  t.match(
    await person.post('/v1/bookmarks/d0/move', { folderId: 'c22' }),
    deeper,
    'a folder takes what is in it along'
  )
  t.equal((await person.post('/v1/bookmarks/d0/move', { folderId: 'c21' })).status, 200)
  t.match(
    await person.post('/v1/sync', {
      changes: Array.from({ length: 90 }, (_, index) => change(`x${index}`, folder('x', 'c20')))
    }),
    { status: 400, body: { limit: { name: 'pushChanges', value: 77, sent: 90 } } },
    'the folders above are conditions of the push, and take room'
  )
  await person.put('/v1/bookmarks/wide', folder('wide'))
  for (let from = 0; from < 1000; from += 90) {
    t.equal(
      (await person.post('/v1/sync', {
        changes: Array.from(
          { length: Math.min(90, 1000 - from) },
          (_, index) => change(`w${from + index}`, folder('w', 'wide'))
        )
      })).status,
      200
    )
  }
  t.match(await person.put('/v1/bookmarks/w1000', folder('w', 'wide')), {
    status: 400,
    body: { limit: { name: 'subfolders', value: 1000 } }
  })
  t.equal((await person.patch('/v1/bookmarks/w5', { title: 'renamed' })).status, 200)
  t.equal((await hub.anyone.get('/v1/limits')).body.folderDepth, 32)
})

t.test('a deleted folder takes all that is in it to the trash, and comes back as a whole', async (t) => {
  const person = await someone()
  const device = createDevice(person)
  await person.post('/v1/sync', {
    changes: [change('f', folder('F')), change('g', folder('G', 'f')), ...Array.from(
      { length: 20 },
      (_, index) => change(`b${index}`, page(`${index}`, index % 2 === 0 ? 'f' : 'g'))
    ), ...Array.from({ length: 60 }, (_, index) => change(`out${index}`, page(`out ${index}`)))]
  })
  await device.pull()
  const before = device.held.size
  t.equal((await person.delete('/v1/bookmarks/f', { 'if-match': '"99"' })).status, 412)
  t.equal((await person.delete('/v1/bookmarks/f')).status, 204)
  const pulled = await device.pull()
  t.strictSame(pulled.flatMap(({ changes }) => changes).map(({ ops }) => ops.length), [22], 'one change-set')
  t.equal(device.held.size, before - 22)
  const { body: { items: [{ n }] } } = await person.get('/v1/trash?limit=1')
  t.match(await person.post(`/v1/changes/${n}/revert`, undefined), { status: 200 })
  await device.pull()
  t.equal(device.held.size, before)
  t.equal((await tree(person)).folders[0].folders[0].bookmarks, 10, 'as it was')

  const large = await someone()
  await large.post(
    '/v1/bookmarks/import',
    `<DL><DT><H3>F</H3><DL>${
      Array.from(
        { length: 150 },
        (_, index) => `<DT><A HREF="https://example.com/${index}" ADD_DATE="1000000000">x</A>`
      ).join('')
    }</DL><DT><A HREF="https://example.com/out">out</A></DL>`,
    { 'content-type': 'text/html' }
  )
  const [{ id }] = await items(large, 'kind=folder')
  t.match(await large.delete(`/v1/bookmarks/${id}`), {
    status: 409,
    body: { errorType: 'CONFIRMATION_REQUIRED', limit: { sent: 151 } }
  }, 'most of a space is not deleted by mistake')
  t.match(await large.delete(`/v1/bookmarks/${id}?confirm=true`, { 'idempotency-key': 'k' }), {
    status: 400,
    body: { errors: [{ pointer: 'headers/idempotency-key' }] }
  })
  t.equal((await large.delete(`/v1/bookmarks/${id}?confirm=true`)).status, 204)
  t.strictSame((await items(large, '')).map(({ title }) => title), ['out'])
  const { body: { items: [last] } } = await large.get('/v1/trash?limit=1')
  const reverted = await large.post(`/v1/changes/${last.n}/revert`, undefined)
  t.equal(reverted.status, 200)
  t.equal(
    reverted.body.results.filter(({ status }: any) => status === 200).length,
    151,
    'any part undoes the batch'
  )
  t.strictSame([(await large.get('/v1/bookmarks/tree')).body.folders[0].bookmarks,
    (await items(large, ''))[0].createdAt], [150, '2001-09-09T01:46:40.000Z'])
})

t.test('tags are counted, renamed and removed in all of a space, as one change', async (t) => {
  const person = await someone()
  const device = createDevice(person)
  await person.post('/v1/sync', {
    changes: [change('a', { ...page('a'), tags: ['x', 'y'] }), change('b', { ...page('b'), tags: ['y'] }),
      change('c', { ...page('c'), tags: ['z', 'x', 'w'] })]
  })
  await device.pull()
  t.strictSame((await person.get('/v1/bookmarks/tags')).body, {
    items: [{ tag: 'w', count: 1 }, { tag: 'x', count: 2 }, { tag: 'y', count: 2 }, { tag: 'z', count: 1 }]
  })
  const first = (await person.get('/v1/bookmarks/tags?limit=3')).body
  t.strictSame((await person.get(`/v1/bookmarks/tags?cursor=${first.cursor}`)).body, {
    items: [{ tag: 'z', count: 1 }]
  })
  const renamed = await person.patch('/v1/bookmarks/tags', { tag: 'x', to: 'y' }, { 'idempotency-key': 'k' })
  t.match(renamed, { status: 200, body: { changed: 2 } })
  t.equal(
    (await person.patch('/v1/bookmarks/tags', { tag: 'x', to: 'y' }, { 'idempotency-key': 'k' })).text,
    renamed.text
  )
  t.strictSame(
    (await items(person, '')).map(({ tags }) => tags),
    [['y'], ['y'], ['z', 'y', 'w']],
    'two become one'
  )
  t.equal((await device.pull()).flatMap(({ changes }) => changes).length, 1)
  t.match(await person.delete('/v1/bookmarks/tags?tag=y'), { status: 200, body: { changed: 3 } })
  t.strictSame((await items(person, '')).map(({ tags }) => tags), [[], [], ['z', 'w']])
  t.equal((await person.delete('/v1/bookmarks/tags?tag=y')).status, 404)
  t.equal((await person.delete('/v1/bookmarks/tags')).status, 400)
  t.equal((await person.patch('/v1/bookmarks/tags', { tag: 'z', to: '' })).status, 400)
  await person.post(
    '/v1/bookmarks/import',
    Array.from({ length: 120 }, (_, index) => `<DT><A HREF="https://example.com/${index}" TAGS="many">x</A>`)
      .join(''),
    { 'content-type': 'text/html' }
  )
  t.match(await person.patch('/v1/bookmarks/tags', { tag: 'many', to: 'all' }), {
    status: 200,
    body: { changed: 120 }
  })
  t.strictSame((await person.get('/v1/bookmarks/tags')).body.items[0], { tag: 'all', count: 120 })
  t.strictSame(
    (await device.pull()).flatMap(({ changes }) => changes).filter(({ batch }) => batch !== undefined).map((
      { batch }
    ) => [batch!.part, batch!.parts]),
    [[1, 2], [2, 2], [1, 2], [2, 2]]
  )
})

t.test('a search finds words, beginnings, typos, phrases, tags, sites and folders, the best first, and shows where', async (t) => {
  const person = await someone()
  await person.post('/v1/sync', {
    changes: [change('work', folder('Work')), change('deep', folder('Deep', 'work')), change('rust', {
      url: 'https://www.rust-lang.org/learn',
      title: 'Learn Rust',
      tags: ['Programming', 'systems'],
      description: 'The Rust programming language',
      folderId: 'deep'
    }), change('cafe', {
      url: 'https://paris.example/',
      title: 'Le Caf\u00e9 de la Paix',
      tags: ['food'],
      description: 'Where Rust was never mentioned but once: rust'
    }), change('node', {
      url: 'https://nodejs.org/docs?x=streams',
      title: 'Node.js streams',
      tags: ['programming'],
      folderId: 'work'
    }), change('cjk', { url: 'https://example.jp/', title: '\u6771\u4eac \u30bf\u30ef\u30fc <b>tower</b>' })]
  })
  t.strictSame(await found(person, 'rust'), ['rust', 'cafe'], 'a title counts more than a description')
  t.strictSame((await found(person, 'prog')).sort(), ['node', 'rust'], 'the beginning of a word')
  t.strictSame(await found(person, 'stremas'), ['node'], 'a typo')
  t.strictSame(await found(person, 'CAFE paix'), ['cafe'], 'without case and accents')
  t.strictSame(await found(person, 'rust node'), [], 'all words')
  t.strictSame(await found(person, '"rust programming"'), ['rust'])
  t.strictSame(await found(person, '"programming rust"'), [], 'a phrase has an order')
  t.strictSame((await found(person, 'tag:programming')).sort(), ['node', 'rust'])
  t.strictSame(await found(person, 'tag:programming streams'), ['node'])
  t.strictSame(await found(person, 'site:rust-lang.org'), ['rust'])
  t.strictSame(await found(person, 'site:lang.org'), [], 'a site, and not the end of its name')
  t.strictSame(await found(person, 'site:'), [])
  t.strictSame(await found(person, 'site:"RUST-lang.org" tag:SYSTEMS lea'), ['rust'])
  t.strictSame((await found(person, 'folder:work')).sort(), ['deep', 'node', 'rust'], 'with what is below')
  t.strictSame(await found(person, 'folder:"deep" learn'), ['rust'])
  t.strictSame(await found(person, '\u6771\u4eac'), ['cjk'])
  for (
    const q of ['""', '-', ':', 'tag:', 'tag:""', '"', 'site:', '\u0000', 'https', '(', '*', '__proto__',
      'constructor', '"unclosed rust', 'x'.repeat(1000)]
  ) t.equal((await person.get(`/v1/bookmarks?q=${encodeURIComponent(q)}`)).status, 200, q.slice(0, 20))
  const [hit] = await items(person, 'q=rust+programming')
  t.strictSame(hit.highlights, {
    title: [[6, 4]],
    url: [[12, 4]],
    description: [[4, 4], [9, 11]],
    tags: ['Programming']
  })
  t.strictSame(
    (await items(person, 'q=tower'))[0].highlights,
    { title: [[10, 5]] },
    'places, so that nothing has to be escaped'
  )
  t.notOk('highlights' in (await items(person, ''))[0])
  t.strictSame(await ids(person, 'q=rust&tag=food'), ['cafe'], 'with the filters of a list')
  t.match(await person.get('/v1/bookmarks?q=rust&sort=-createdAt'), {
    status: 400,
    body: { errors: [{ pointer: 'querystring/sort' }] }
  })
  t.equal((await person.get('/v1/bookmarks?q=')).status, 400)
  t.equal((await person.get(`/v1/bookmarks?q=${'x'.repeat(1001)}`)).status, 400)
  const nine = 'one two three four five six seven eight nine'
  await person.put('/v1/bookmarks/long', {
    url: `https://${'a.'.repeat(60)}deep.example/`,
    title: `${nine} ten elevens`
  })
  t.strictSame(
    [await found(person, `${nine} nine eleven`),
      await found(person, `${nine.replace('seven', 'sevn')} eleven`)],
    [['long'], ['long']],
    'ten words that may begin others, or have typos; the same twice is one'
  )
  t.strictSame([await found(person, `${nine} ten elevens`), await found(person, `${nine} ten eleven`)], [[
    'long'
  ], []], 'more words are taken as they are written')
  t.strictSame(
    [await found(person, `site:${'a.'.repeat(60)}deep.example`), await found(person, 'site:a.a.deep.example'),
      await found(person, 'site:aa.deep.example')],
    [['long'], ['long'], []],
    'a name of many parts'
  )
  await person.post('/v1/sync', {
    changes: Array.from(
      { length: 45 },
      (_, index) => change(`p${index}`, { ...page(`pagination ${index}`), tags: ['pages'] })
    )
  })
  t.equal((await found(person, 'pagin')).length, 45, 'beginnings, however many there are')
  t.strictSame(await found(person, 'paginatoin 7'), ['p7'], 'typos where few are found')
  for (const q of ['pagination', 'tag:pages']) {
    const seen: string[] = []
    for (let cursor = '';;) {
      const { body } = await person.get(`/v1/bookmarks?q=${q}&limit=10${cursor}`)
      seen.push(...body.items.map(({ id }: any) => id))
      if (body.cursor === undefined) break
      t.equal(
        (await person.get(`/v1/bookmarks?q=other&limit=10&cursor=${body.cursor}`)).status,
        400,
        'a cursor goes with its search'
      )
      cursor = `&cursor=${body.cursor}`
    }
    t.strictSame([seen.length, new Set(seen).size], [45, 45], 'page by page, each once')
  }
})

t.test('the index follows the log: what was acknowledged is found, by whatever process it was written', async (t) => {
  const person = await someone()
  const second = await startHub(t, { table: hub.config.table, issuers: [hub.issuer.entry] })
  const other = personOf(second.app, person.token)
  const words = ['alpha', 'beta', 'gamma']
  const sites = ['one.example', 'b\u00fccher.example']
  const content = fc.record({
    title: fc.constantFrom(...words),
    tags: fc.subarray(['Blue', 'blue', 'green']),
    host: fc.constantFrom(...sites, `www.${sites[0]}`)
  }).map(({ host, ...rest }) => ({ ...rest, url: `https://${host}/` }))
  /** What each search has to find, said of one record. */
  const searches: Record<string, (record: any) => boolean> = {
    ...Object.fromEntries(words.map((word) => [word, ({ title }) => title.includes(word)])),
    ...Object.fromEntries(sites.map((site) => [`site:${site}`, ({ url }) => url.includes(site)])),
    'tag:blue': ({ tags }) => tags.some((tag: string) => /blue/i.test(tag)),
    'tag:green al': ({ tags, title }) => tags.includes('green') && title.includes('alpha')
  }
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.tuple(
          fc.boolean(),
          fc.constantFrom('put', 'delete', 'push'),
          fc.integer({ min: 0, max: 5 }),
          content
        ),
        { minLength: 1, maxLength: 8 }
      ),
      async (steps) => {
        for (const [mine, act, id, record] of steps) {
          const who = mine ? person : other
          if (act === 'put') await who.put(`/v1/bookmarks/i${id}`, record)
          else if (act === 'delete') await who.delete(`/v1/bookmarks/i${id}`)
          else {
            const beside = change(`i${(id + 1) % 6}`, { ...record, title: `other ${record.title}` })
            await who.post('/v1/sync', { changes: [change(`i${id}`, record), beside] })
          }
        }
        const listed = await items(person, '')
        for (const [q, fits] of Object.entries(searches)) {
          const expected = listed.filter(fits).map(({ id }) => id).sort()
          for (const who of [person, other]) {
            if (JSON.stringify((await found(who, q)).sort()) !== JSON.stringify(expected)) {
              throw new Error(`${q}: ${(await found(who, q)).join()} and not ${expected.join()}`)
            }
          }
        }
      }
    ),
    { numRuns: 10 }
  )
  await found(person, 'alpha')
  traced.reset()
  await found(person, 'alpha')
  t.strictSame(
    traced.calls.map(({ name, table }) => [name, table]),
    [['GetItemCommand', 1]],
    '1 RCU where nothing changed'
  )
})

t.test('what was put and deleted between two looks is not found, though its tombstone can be seen late', async (t) => {
  const person = await someone()
  await person.put('/v1/bookmarks/stays', page('here'))
  await found(person, 'here')
  await person.put('/v1/bookmarks/brief', page('here'))
  let before: unknown
  let stale = 0
  // The row as it was before the tombstone, for as long as that is not visible.
  traced.fault = async (name, next) => {
    const result = await next()
    if (name !== 'GetItemCommand' || result.output.Item?.id !== 'brief') return result
    before ??= result.output.Item
    if (result.output.Item.deletedAt !== undefined) stale++
    return { ...result, output: { ...result.output, Item: before } }
  }
  await person.get('/v1/bookmarks/brief')
  await person.delete('/v1/bookmarks/brief')
  await found(person, 'here')
  t.ok(stale > 0, `${stale} reads did not see the tombstone`)
  traced.fault = undefined
  t.strictSame(await found(person, 'here'), ['stays'])
})

t.test("a search shows what is the space's own: neither another tenant's, nor another user's", async (t) => {
  // Spaces that were founded at one moment: nothing but their names tells them apart.
  const at = Date.now()
  const still = await startHub(t, {}, { now: () => at })
  const people = await Promise.all(
    [['acme', 'same'], ['acmf', 'same'], ['acme', 'other']].map(([tenant, user]) =>
      still.as({ tenant: tenant!, user: user! })
    )
  )
  await Promise.all(
    people.map((person, index) =>
      person.put('/v1/bookmarks/b', { ...page(`secret ${index}`, `f${index}`), tags: [`tag${index}`] })
    )
  )
  await Promise.all(people.map((person, index) => person.put('/v1/bookmarks/c', page(`secret ${index}`))))
  for (const [index, person] of people.entries()) {
    t.strictSame((await items(person, 'q=secret')).map(({ title }) => title), [`secret ${index}`,
      `secret ${index}`])
    t.strictSame((await person.get('/v1/bookmarks/tags')).body.items, [{ tag: `tag${index}`, count: 1 }])
    t.equal(
      (await person.get('/v1/bookmarks/export?format=json')).text.match(/secret \d/g)!.every((word) =>
        word === `secret ${index}`
      ),
      true
    )
    t.equal(
      (await person.get('/v1/bookmarks/duplicates')).body.items[0].bookmarks[0].title,
      `secret ${index}`
    )
  }
})

t.test('bookmarks of one page are found whatever its URL looks like', async (t) => {
  const person = await someone()
  const same = ['https://example.com/a', 'http://example.com/a', 'HTTPS://WWW.Example.com:443/a/',
    'https://example.com/a#top', 'https://example.com/a?utm_source=x&fbclid=1']
  const others = ['https://example.com/A', 'https://example.com/a?x=1', 'https://sub.example.com/a',
    'ftp://example.com/a', 'https://example.com:8443/a', 'https://example.com/a#/route',
    'https://user@example.com/a']
  t.equal(new Set(same.map(pageOf)).size, 1)
  t.equal(new Set([same[0]!, ...others].map(pageOf)).size, others.length + 1)
  t.equal(pageOf('https://e.example/?b=2&a=1'), pageOf('https://e.example?a=1&b=2'))
  await person.post('/v1/sync', {
    changes: [...same, ...others].map((url, index) =>
      change(`d${String(index).padStart(2, '0')}`, { url, title: 'x', folderId: `f${index}` })
    )
  })
  t.strictSame(await ids(person, `url=${encodeURIComponent('example.com/a')}`), [], 'a URL has a scheme')
  t.strictSame(await ids(person, `url=${encodeURIComponent('http://www.example.com/a?utm_medium=y')}`), [
    'd00',
    'd01',
    'd02',
    'd03',
    'd04'
  ])
  t.strictSame(await ids(person, `url=${encodeURIComponent('http://www.example.com/a')}&folderId=f2`), [
    'd02'
  ])
  const first = (await person.get(`/v1/bookmarks?url=${encodeURIComponent(same[0]!)}&limit=3`)).body
  t.strictSame(
    (await person.get(`/v1/bookmarks?url=${encodeURIComponent(same[0]!)}&limit=3&cursor=${first.cursor}`))
      .body.items.map(({ id }: any) => id),
    ['d03', 'd04']
  )
  await person.put('/v1/bookmarks/e1', page('twice'))
  await person.put('/v1/bookmarks/e2', page('twice'))
  const { body } = await person.get('/v1/bookmarks/duplicates')
  t.strictSame(
    body.items.map(({ page, count, bookmarks }: any) => [page, count, bookmarks.map(({ id }: any) => id)]),
    [['//example.com/a', 5, ['d00', 'd01', 'd02', 'd03', 'd04']], ['//example.com/twice', 2, ['e1', 'e2']]]
  )
  const paged = (await person.get('/v1/bookmarks/duplicates?limit=1')).body
  t.strictSame(
    (await person.get(`/v1/bookmarks/duplicates?limit=1&cursor=${paged.cursor}`)).body.items.map((
      { page }: any
    ) => page),
    ['//example.com/twice']
  )
})

t.test('what does not fit the memory is read again, and right all the same', async (t) => {
  const small = await startHub(t, { limits: { ...hub.config.limits, memoryBytes: 1000 } })
  const person = await small.as({ tenant: 'acme', user: 'u' })
  for (let index = 0; index < 5; index++) await person.put(`/v1/bookmarks/m${index}`, page(`memory ${index}`))
  t.equal((await found(person, 'memory')).length, 5)
  await person.delete('/v1/bookmarks/m0')
  t.equal((await found(person, 'memory')).length, 4)
})

t.test('a group brings its bookmarks, finds them and takes them along, each as far as the role goes', async (t) => {
  const [owner, viewer, stranger] = [await hub.as({ tenant: 'acme', user: 'group-owner' }),
    await hub.as({ tenant: 'acme', user: 'group-viewer' }), await someone()]
  const path = `/v1/groups/${await founded(owner)}`
  await join(owner, path.split('/').at(-1)!, { user: 'group-viewer', person: viewer }, 'viewer')
  const file =
    '<!DOCTYPE NETSCAPE-Bookmark-file-1><DL><p><DT><H3>Travel</H3><DL><p><DT><A HREF="https://example.com/harbour" TAGS="sea">The harbour</A><DT><A HREF="javascript:alert(1)">No</A></DL><p></DL>'
  const bring = (who: Person) => who.post(`${path}/bookmarks/import`, file, { 'content-type': 'text/html' })
  t.match(await bring(owner), { status: 200, body: { created: 1, refused: [{ title: 'No' }] } })
  t.strictSame([(await bring(viewer)).status, (await bring(stranger)).status], [403, 404])
  t.match((await bring(owner)).body, { created: 0 }, 'twice adds nothing')
  for (
    const [q, count] of [['harbor', 1], ['tag:sea', 1], ['folder:travel har', 1], ['nothing', 0]] as const
  ) t.equal((await viewer.get(`${path}/bookmarks?q=${encodeURIComponent(q)}`)).body.items.length, count, q)
  t.match((await viewer.get(`${path}/bookmarks/tree`)).body, {
    bookmarks: 0,
    folders: [{ title: 'Travel', bookmarks: 1 }]
  })
  t.match((await viewer.get(`${path}/bookmarks/tags`)).body, { items: [{ tag: 'sea' }] })
  for (const format of ['html', 'xbel', 'json']) {
    const exported = await viewer.get(`${path}/bookmarks/export?format=${format}`)
    t.match(exported, { status: 200, text: /harbour/ }, format)
    t.equal((await stranger.get(`${path}/bookmarks/export?format=${format}`)).status, 404)
  }
  t.strictSame(await found(owner, 'harbour'), [], "none of it is in anyone's own space")
  await owner.delete(`${path}/members/group-viewer`)
  t.equal((await viewer.get(`${path}/bookmarks?q=harbour`)).status, 404, 'who left finds nothing')
})
