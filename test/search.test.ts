import t from 'tap'
import { MOST_STEPS, work } from '../src/turns.ts'
import { MAX_TERMS } from '../src/services/bookmarks/query.ts'
import { person as personOf, startHub, type Person } from './harness/hub.ts'

const hub = await startHub(t)
let users = 0
const someone = () => hub.as({ tenant: 'acme', user: `u${users++}` })
const page = (title: string, tags: string[] = [], more: object = {}) => ({
  url: `https://example.com/${encodeURIComponent(title.slice(0, 50))}`,
  title,
  tags,
  ...more
})
const ask = (person: Person, q: string) => person.get(`/v1/bookmarks?limit=100&q=${encodeURIComponent(q)}`)
const found = async (person: Person, q: string): Promise<string[]> => {
  const { status, body, text } = await ask(person, q)
  if (status !== 200) throw new Error(text)
  return body.items.map(({ title }: any) => title)
}
const put = (person: Person, bookmarks: readonly object[]) =>
  person.post('/v1/sync', {
    changes: bookmarks.map((record, index) => ({ type: 'bookmark', id: `b${index}`, act: 'put', record }))
  })

t.test('what people write without spaces, with signs or in another alphabet is found by its parts', async (t) => {
  const person = await someone()
  const titles = {
    jwt: '认证系统使用JWT令牌',
    tokyo: '東京都の観光情報サイト',
    thai: 'การเขียนโปรแกรมภาษาไพทอน',
    korean: '서울 지하철 노선도',
    emoji: '🦊 Firefox tips 🚀',
    heart: 'I ❤️ 🇫🇷 cheese',
    oeuvre: 'L’œuvre d’Émile',
    strasse: 'Große Straße in Łódź',
    version: 'Release v1.2.3',
    cpp: 'C++ Core Guidelines',
    c: 'The C Programming Language',
    sharp: 'C# in Depth',
    net: 'What is new in .NET',
    network: 'A net of fish'
  }
  t.equal((await put(person, Object.values(titles).map((title) => page(title)))).status, 200)
  for (
    const [q, ...expected] of [['令牌', 'jwt'], ['认证', 'jwt'], ['系统使用', 'jwt'], ['牌', 'jwt'], ['JWT',
      'jwt'], ['jwt令牌', 'jwt'], ['令认'], ['観光', 'tokyo'], ['観光情報', 'tokyo'], ['サイト', 'tokyo'], [
      '京都の',
      'tokyo'
    ], ['"東京都の観光"', 'tokyo'], ['"東京観光"'], ['ไพทอน', 'thai'], ['โปรแกรม', 'thai'], ['지하철',
      'korean'], ['🦊', 'emoji'], ['🚀 firefox', 'emoji'], ['🐼'], ['❤', 'heart'], ['🇫🇷', 'heart'], ['🇩🇪'], [
      'oeuvre',
      'oeuvre'
    ], ['œuvre', 'oeuvre'], ['OEUVRE emile', 'oeuvre'], ['strasse', 'strasse'], ['lodz', 'strasse'], ['1.2.3',
      'version'], ['v1.2.3', 'version'], ['1.2', 'version'], ['1.3.2'], ['"c core"', 'cpp']] as [
        string,
        ...(keyof typeof titles)[]
      ][]
  ) t.strictSame(await found(person, q), expected.map((name) => titles[name]), q)
  for (const [q, first] of [['C++', 'cpp'], ['c#', 'sharp'], ['.net', 'net']] as const) {
    const all = await found(person, q)
    t.equal(all[0], titles[first], `${q} first`)
    t.ok(all.length > 1, 'and then those that have the word without its signs')
  }
  const [hit] = (await ask(person, '系统使用')).body.items
  t.strictSame(hit.highlights.title, [[2, 4]], 'pairs that overlap are one place')
  t.strictSame((await ask(person, 'c++')).body.items[0].highlights.title, [[0, 3]])
})

t.test('a tag, site or folder may hold quotes and spaces', async (t) => {
  const person = await someone()
  const tags = ['x"y', '"', 'two words', 'back\\slash', 'ends"']
  await put(person, tags.map((tag, index) => page(`t${index}`, [tag])))
  for (
    const [q, title] of [['tag:x"y', 't0'], ['tag:"x\\"y"', 't0'], ['tag:"\\""', 't1'], ['tag:"two words"',
      't2'], ['tag:"two words', 't2'], ['tag:back\\slash', 't3'], ['tag:"back\\slash"', 't3'], [
      'tag:"back\\\\slash"',
      't3'
    ], ['tag:ends"', 't4']] as const
  ) t.strictSame(await found(person, q), [title], q)
})

t.test('what is searched for at once is bounded, and the same twice is one', async (t) => {
  const person = await someone()
  await put(person, [page('one', ['x'], { folderId: 'f' }), { kind: 'folder', title: 'x' }])
  const words = Array.from({ length: MAX_TERMS }, (_, index) => index.toString(36))
  for (const q of [words.join(' '), 'folder:x '.repeat(110), '"one" '.repeat(150), 'one '.repeat(240)]) {
    t.equal((await ask(person, q)).status, 200, q.slice(0, 20))
  }
  for (
    const q of [`${words.join(' ')} more`, `"${words.join(' ')}" tag:x`,
      words.map((word) => `tag:${word}`).join(' ') + ' x',
      `${words.slice(1).map((word) => `folder:${word}`).join(' ')} site:a.b y`]
  ) {
    t.match(await ask(person, q), {
      status: 400,
      body: {
        errors: [{ pointer: 'querystring/q' }],
        limit: { name: 'searchTerms', value: MAX_TERMS, sent: MAX_TERMS + 1 }
      }
    }, q.slice(0, 20))
  }
})

t.test('what is long to search or to filter by is gone on with as what is short', async (t) => {
  const person = await someone()
  const url = (index: number) => `https://example.com/?${'x'.repeat(1900)}&utm_source=${index}`
  await put(person, Array.from({ length: 3 }, (_, index) => page('one two three', [], { url: url(index) })))
  for (const filter of [`q=${encodeURIComponent('one '.repeat(249))}`, `url=${encodeURIComponent(url(0))}`]) {
    const seen = new Set<string>()
    for (let cursor = ''; seen.size < 3;) {
      const { status, body } = await person.get(`/v1/bookmarks?limit=1&${filter}${cursor}`)
      if (!t.equal(status, 200, filter.slice(0, 5))) break
      seen.add(body.items[0].id)
      cursor = `&cursor=${body.cursor}`
    }
    t.equal(seen.size, 3)
  }
})

/** What was computed meanwhile, and the most of it within one turn of the event loop. */
async function measured (run: () => Promise<unknown>): Promise<{ steps: number, most: number }> {
  const from = work.steps
  let [last, most, isOn] = [from, 0, true]
  const tick = () => {
    most = Math.max(most, work.steps - last)
    last = work.steps
    if (isOn) setImmediate(tick)
  }
  setImmediate(tick)
  await run()
  isOn = false
  return { steps: work.steps - from, most: Math.max(most, work.steps - last) }
}

t.test('whatever reads all of a space gives way as it goes, and does no more than is in it', async (t) => {
  const [count, length] = [1000, 1000]
  const title = (index: number) =>
    `${index} ${'abcdefghij'.slice(index % 5)} ${'lorem ipsum dolor sit amet '.repeat(40)}`.slice(0, length)
  const file = JSON.stringify({
    format: 'sync-hub-bookmarks',
    version: 1,
    bookmarks: Array.from({ length: count }, (_, index) => ({
      id: `r${index}`,
      url: `https://example.com/${index % 400}?utm_source=${index}`,
      title: title(index),
      tags: [`t${index % 300}`, 'all'],
      ...index % 10 === 0 && { kind: 'folder', url: undefined }
    }))
  })
  const person = await someone()
  const { status, body } = await person.post('/v1/bookmarks/import', file, {
    'content-type': 'application/json'
  })
  t.match(
    { status, created: body.created },
    { status: 200, created: Number },
    JSON.stringify(body).slice(0, 300)
  )
  // A process that has not seen the space: it is read and its index made.
  const second = await startHub(t, { table: hub.config.table, issuers: [hub.issuer.entry] })
  const reader = personOf(second.app, person.token)
  const text = count * length
  const phrases = Array.from(
    { length: 38 },
    (_, index) => `"dolor ${'sit amet lorem ipsum dolor '.repeat(index % 2)}sit"`
  )
    .join(' ').slice(0, 955).replace(/ "[^"]*$/, ' "amet sit"')
  for (
    const [path, least, mostSteps] of [['bookmarks/tree', count, 80 * count], ['bookmarks/tags', count,
      20 * count], ['bookmarks/duplicates', count / 4, 40 * count], [
      `bookmarks?q=${encodeURIComponent('lorem')}`,
      text / 40,
      2 * text
    ], [`bookmarks?q=${encodeURIComponent('lorem')}`, count, 10 * count + text], [
      `bookmarks?q=${encodeURIComponent(phrases)}`,
      text / 10,
      text
    ], [`bookmarks?q=${encodeURIComponent('folder:x '.repeat(110))}`, count / 10, 3 * count], [
      `bookmarks?q=${encodeURIComponent('lorme ipsmu')}`,
      count / 10,
      20 * count + text
    ], ['bookmarks/export?format=html', text / 10, text], ['bookmarks/export?format=xbel', text / 10, text], [
      'bookmarks/export?format=json',
      text / 10,
      text
    ]] as const
  ) {
    const { steps, most } = await measured(async () => {
      const { status } = await reader.get(`/v1/${path}`)
      t.equal(status, 200, status === 200 ? path : second.log.join().slice(-900))
    })
    t.ok(steps >= least, `${path.slice(0, 40)}: all of it is counted (${steps} steps)`)
    t.ok(
      steps <= mostSteps,
      `${path.slice(0, 40)}: and it is no more than the space is large (${steps} steps)`
    )
    // What is begun is done: one record, or one piece of a file.
    t.ok(most <= MOST_STEPS + 9000, `${path.slice(0, 40)}: at most so much in a turn (${most} steps)`)
  }
})
