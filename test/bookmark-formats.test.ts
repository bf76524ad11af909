import { readFileSync, writeFileSync } from 'node:fs'
import { deflateRawSync, gzipSync } from 'node:zlib'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import type { BookmarkRecord } from '../entities/bookmark.ts'
import { Problem } from '../src/errors.ts'
import { createCollector, type Entry } from '../src/services/bookmarks/import/entry.ts'
import { FORMATS, READERS, type Format } from '../src/services/bookmarks/import/formats/index.ts'
import { planImport } from '../src/services/bookmarks/import/plan.ts'
import { mozLz4Of, zipOf } from './harness/archives.ts'
import { startHub, type Answer, type Person } from './harness/hub.ts'

const hub = await startHub(t)
let users = 0
const someone = () => hub.as({ tenant: 'acme', user: `f${users++}` })
const fixture = (name: string) => readFileSync(`test/fixtures/${name}`)
const importing = (
  person: Person,
  file: string | Buffer,
  query = '',
  type = 'application/octet-stream'
): Promise<Answer> => person.post(`/v1/bookmarks/import${query}`, file, { 'content-type': type })

type Rec = BookmarkRecord & { folderId?: string }
const all = async (person: Person): Promise<Rec[]> => (await person.get('/v1/bookmarks?limit=100')).body.items

/** What is in a space as lines: folders, titles, URLs, tags, descriptions, favourites, and dates of old. */
async function linesOf (person: Person): Promise<string[]> {
  const records = new Map((await all(person)).map((record) => [record.id, record]))
  const { body } = await person.get('/v1/bookmarks/tree?items=true')
  const nest = ({ items, folders }: any, depth: number): string[] =>
    items.flatMap((id: string) => {
      const { kind = 'bookmark', title, url, address, tags, description, favorite, createdAt } = records.get(
        id
      )!
      const what = kind === 'folder' ? '/' : kind === 'note' ? `"${address ?? ''}"` : `<${url}>`
      const line = ['  '.repeat(depth) + title, what, tags.length > 0 && `#${tags.join(',')}`,
        description !== undefined && JSON.stringify(description), favorite === true && '*',
        createdAt < '2026' && createdAt.slice(0, 10)].filter(Boolean).join(' ')
      return [line, ...kind === 'folder' ? nest(folders.find((one: any) => one.id === id), depth + 1) : []]
    })
  return nest(body, 0)
}

interface Case {
  /** What it is called in the table of the documents. */
  readonly name: string
  readonly format: Format
  readonly file: string | Buffer
  readonly lines: readonly string[]
  readonly refused?: readonly RegExp[]
  readonly adjusted?: readonly RegExp[]
  readonly ignored?: Readonly<Record<string, number>>
}

const FIREFOX_LINES = ['Bookmarks Menu / 2021-01-01', '  Reading / 2021-01-01',
  '    An essay & more <https://essay.example/> #long,to read "Why it was kept" 2021-01-01',
  'Bookmarks Toolbar / 2021-01-01', '  Search <https://search.example/?q=%s> 2021-01-01']
const OMNIVORE_LINES = ['A slow web <https://slow.example/> #web,slow,toread "Of pages that wait" 2022-01-02',
  'Done <https://done.example/> #kept 2022-01-02']
const FIREFOX_IGNORED = { lastModified: 8, iconUri: 1, separator: 1, keyword: 1 }
const OMNIVORE_IGNORED = { id: 2, slug: 2, author: 1, readingProgress: 2, thumbnail: 1, updatedAt: 1 }

const CASES: readonly Case[] = [{
  name: 'Firefox: backup, `.json`',
  format: 'firefox',
  file: 'formats/firefox.json',
  lines: FIREFOX_LINES,
  refused: [/"place:"/],
  ignored: FIREFOX_IGNORED
}, {
  name: 'Firefox: backup, `.jsonlz4`',
  format: 'firefox',
  file: mozLz4Of(fixture('formats/firefox.json').toString()),
  lines: FIREFOX_LINES,
  refused: [/"place:"/],
  ignored: FIREFOX_IGNORED
}, {
  name: 'Chrome, Edge, Brave: the file `Bookmarks` of a profile',
  format: 'chrome',
  file: 'formats/chrome-Bookmarks',
  lines: ['Bookmarks bar / 2021-01-01', '  Work / 2021-01-01',
    '    The docs <https://docs.example/a?b=1&c=2> 2021-01-01', 'Mobile bookmarks / 2021-01-01',
    '  From the phone <https://phone.example/> 2021-01-01'],
  refused: [/"chrome:"/],
  ignored: { date_last_used: 1, meta_info: 1, date_modified: 1 }
}, {
  name: 'Safari: `Bookmarks.plist` as XML',
  format: 'safari',
  file: 'formats/safari-Bookmarks.plist',
  lines: ['Favourites /', '  Trains & times <https://trains.example/?from=a&to=b>', 'Reading List /',
    '  For later <https://later.example/> "How it begins" 2021-03-04'],
  ignored: { ReadingListNonSync: 1 }
}, {
  name: 'Safari: export as `.zip`',
  format: 'html',
  file: zipOf({ 'Bookmarks.html': fixture('safari.html'), 'History.json': '{}' }),
  lines: ['Favourites /', '  Apple <https://www.apple.com/>', '  iCloud <https://www.icloud.com/>',
    'Bookmarks Menu /', 'Loose <https://example.net/>', 'Reading List /',
    '  Later <https://read.example.com/later>'],
  ignored: { FOLDED: 3, ID: 1, 'History.json': 1 }
}, {
  name: 'Pinboard: JSON',
  format: 'pinboard',
  file: 'formats/pinboard.json',
  lines: [
    'A title, as Pinboard has it <https://pins.example/one> #unix,tools,private,toread "What was said\\nof it" 2014-12-31',
    'Two <https://pins.example/two> 2014-12-31'
  ],
  ignored: { meta: 2, hash: 2 }
}, {
  name: 'wallabag: JSON',
  format: 'wallabag',
  file: 'formats/wallabag.json',
  lines: [
    'On hedges <https://hedges.example/> #garden,slow,toread "Mine too\\n> a hedge is a promise" * 2019-05-06',
    'Read <https://read.example/> 2019-05-06'
  ],
  ignored: {
    content: 2,
    id: 2,
    updated_at: 1,
    mimetype: 1,
    language: 1,
    reading_time: 1,
    domain_name: 1,
    preview_picture: 1
  }
}, {
  name: 'Omnivore: `metadata_*.json`',
  format: 'omnivore',
  file: 'formats/omnivore-metadata_0_to_20.json',
  lines: OMNIVORE_LINES,
  ignored: OMNIVORE_IGNORED
}, {
  name: 'Omnivore: export as `.zip`',
  format: 'omnivore',
  file: zipOf({
    'metadata_0_to_20.json': fixture('formats/omnivore-metadata_0_to_20.json'),
    'content/a.html': '<p>x'
  }),
  lines: OMNIVORE_LINES,
  ignored: { ...OMNIVORE_IGNORED, content: 1 }
}, {
  name: 'Karakeep (Hoarder): JSON',
  format: 'karakeep',
  file: 'formats/karakeep.json',
  lines: ['A map <https://maps.example/> #maps,old "From the attic" * 2023-11-14'],
  refused: [/no URL/],
  ignored: { archived: 1 }
}, {
  name: 'Linkwarden: JSON',
  format: 'linkwarden',
  file: 'formats/linkwarden.json',
  lines: ['Outer / "All of it" 2023-02-03', '  Inner / 2023-02-03',
    '    Deep <https://deep.example/> #sea,salt "Said of it\\nAnd then?\\n> the sea was there" * 2023-02-03']
}, {
  name: 'Pocket: CSV',
  format: 'pocket',
  file: 'formats/pocket.csv',
  lines: ['Long, and "good" <https://long.example/> #sea,to go,toread 2023-11-14',
    'Done <https://done.example/> 2023-11-14']
}, {
  name: 'Raindrop: CSV',
  format: 'raindrop',
  file: 'formats/raindrop.csv',
  lines: ['Making /', '  Clay /',
    '    A "kiln", and clay <https://kiln.example/> #clay,fire "Ask about\\nthe glaze\\nHow pots are made\\n> clay remembers" * 2021-05-06',
    'Loose <https://loose.example/> 2021-05-06'],
  ignored: { cover: 1 }
}, {
  name: 'Instapaper: CSV',
  format: 'instapaper',
  file: 'formats/instapaper.csv',
  lines: ['First <https://first.example/> #toread 2017-07-14', 'Recipes /',
    '  Second <https://second.example/> #soup,cold "What was marked" 2017-07-14',
    'Third <https://third.example/> * 2017-07-14']
}, {
  name: 'any table with a column `url` or `link`',
  format: 'csv',
  file: 'formats/other.csv',
  lines: ['The sea <https://sea.example/> #water,blue "Salt" 2020-02-03'],
  ignored: { rating: 1 }
}, {
  name: 'a list of URLs',
  format: 'urls',
  file: 'formats/urls.txt',
  lines: ['<https://plain.example/a>', 'And its title <https://plain.example/b>',
    '<https://plain.example/c>'],
  refused: [/begins with no URL/]
}, {
  name: 'buku and KDE: XBEL',
  format: 'xbel',
  file: 'formats/buku.xbel',
  lines: ['R&D of <shell> <https://buku.example/?a=1&b=2> #shell,notes "Said & done"', 'KDE /',
    '  Basic time <https://kde.example/> 2020-03-04', '  Its own time <https://kde.example/2> 2010-03-12'],
  ignored: { time_visited: 1 }
}, {
  name: 'HTML behind an XML declaration',
  format: 'html',
  file: 'formats/xml-prolog.html',
  lines: ['Behind a prolog <https://prolog.example/> 2020-09-13']
}, {
  name: 'HTML with `DESCRIPTION`, `NOTE` and `DATA-IMPORTANT`, links in descriptions, folders of one name',
  format: 'html',
  file: 'formats/attributes.html',
  lines: ['One <https://attr.example/1> #a "Over two\\nlines" * 2011-02-18',
    'Two <https://attr.example/2> #b "Beside it\\nBelow it, see the other page (https://other.example/) and https://thumbs.example/"',
    'First title <https://attr.example/3> "First words"', 'New Folder /', '  Four <https://attr.example/4>',
    'New Folder /', '  Five <https://attr.example/5>'],
  adjusted: [/another title/, /another description/]
}, {
  name: 'HTML with markup in its texts',
  format: 'html',
  file: 'formats/markup.html',
  lines: ['All about <script> and </script> <https://m.example/1>', 'What <style> is <https://m.example/2>',
    'A <title> and a <textarea> in one <https://m.example/3>',
    'Old: <xmp>, <plaintext>, <iframe src="x"> <https://m.example/4>',
    'Begins <!-- and goes on <https://m.example/5>',
    'A <![CDATA[ of nothing <https://m.example/6> "Of <script>, <style>, <!-- and <plaintext>\\nin two lines, with weight"',
    'Map<K, V> or Map<K, V> <https://m.example/7>',
    'How <dt> and <dd> differ <https://m.example/8> "Why <dt> is no <dd>"',
    'No closing quote <https://m.example/9>', 'The one after it <https://m.example/10>']
}, {
  name: 'HTML in Windows-1252',
  format: 'html',
  file: 'formats/windows-1252.html',
  lines: ['5 \u20ac \u2013 \u201cit\u2019s\u201d \u2026 <https://w.example/1>']
}, {
  name: 'HTML in UTF-8 with a byte that is none',
  format: 'html',
  file: 'formats/one-byte.html',
  lines: ['Caf\u00e9 <https://u.example/1>', 'Br\ufffdt <https://u.example/2>',
    'Stra\u00dfe <https://u.example/3>'],
  adjusted: [/not utf-8/]
}]

/** The table of docs/formats.md. */
const ROWS: string[] = []

t.test('each format comes in whole, whatever it is sent as; sent again, or out and in again, it adds nothing', async (t) => {
  for (const { name, format, file, lines, refused = [], adjusted = [], ignored = {} } of CASES) {
    const person = await someone()
    const bytes = typeof file === 'string' ? fixture(file) : file
    const { status, body } = await importing(person, bytes)
    t.equal(status, 200, `${name}: ${JSON.stringify(body).slice(0, 300)}`)
    t.equal(body.format, format, name)
    const found = await linesOf(person)
    t.strictSame(found, lines, name)
    t.equal(body.created + body.folders.created, lines.length, name)
    t.match(body.refused.map(({ reason }: any) => reason), refused, name)
    t.match(body.adjusted.map(({ reason }: any) => reason), adjusted, name)
    t.strictSame([body.refused.length, body.adjusted.length], [refused.length, adjusted.length], name)
    t.strictSame(body.ignored, ignored, `${name}: what has no place is counted by name`)
    const nothing = { created: 0, merged: 0, folders: { created: 0, existing: body.folders.created } }
    t.match((await importing(person, bytes, '', 'text/plain')).body, nothing, `${name} again adds nothing`)
    for (const out of ['html', 'xbel', 'json']) {
      const exported = (await person.get(`/v1/bookmarks/export?format=${out}`)).text
      const back = (await importing(person, exported)).body
      t.match(back, { ...nothing, format: out, refused: [], adjusted: [] }, `${name} as ${out} adds nothing`)
    }
    t.strictSame(await linesOf(person), lines, name)
    ROWS.push(rowOf(name, format, found, Object.keys(ignored)))
  }
  t.strictSame(
    FORMATS.filter((format) => !['json'].includes(format) && !CASES.some((one) => one.format === format)),
    [],
    'each format has a file'
  )
})

function rowOf (name: string, format: Format, lines: readonly string[], ignored: readonly string[]): string {
  const text = lines.join('\n')
  const comes = [/\/(?: |$)/m.test(text) && 'folders', /> #|" #/.test(text) && 'tags',
    /\d{4}-\d\d-\d\d$/m.test(text) && 'dates', /(?:>|\/) (?:#[^"\n]* )?"(?!>)/.test(text) && 'descriptions',
    / \*/.test(text) && 'favourites', /toread/.test(text) && 'what is to be read',
    /\n> /.test(text.replaceAll('\\n', '\n')) && 'highlights'].filter(Boolean)
  const left = ignored.map((name) => `\`${name}\``).join(', ')
  return `| ${name} | \`${format}\` | titles, URLs${comes.length === 0 ? '' : `, ${comes.join(', ')}`} | ${
    left || '-'
  } |`
}

t.test('docs/formats.md is what these files show', (t) => {
  const [before = '', after = ''] = readFileSync('docs/formats.md', 'utf8').split(/^(?:\|.*\n)+/m)
  const wanted = `${before}| file | \`format\` | comes along | counted as ignored |\n|---|---|---|---|\n${
    ROWS.join('\n')
  }\n${after}`
  // To write it anew: WRITE_DOCS=1.
  if (process.env.WRITE_DOCS !== undefined) writeFileSync('docs/formats.md', wanted)
  t.equal(readFileSync('docs/formats.md', 'utf8'), wanted)
  t.end()
})

t.test('a text is what it was in its encoding, however that is told', async (t) => {
  const text = 'Price: \u20ac5 \u2013 \u201ccheap\u201d isn\u2019t good\u2026'
  const bytes = 'Price: \x805 \x96 \x93cheap\x94 isn\x92t good\x85'
  const html = (meta: string, title: string) =>
    `<!DOCTYPE NETSCAPE-Bookmark-file-1>\n${meta}<DL><p>\n<DT><A HREF="https://e.example/">${title}</A>\n</DL>`
  const meta = (charset: string) =>
    `<META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=${charset}">\n`
  const sent: [string, string, Buffer][] = [['none', 'text/html', Buffer.from(html('', bytes), 'latin1')], [
    'META',
    'text/html',
    Buffer.from(html(meta('windows-1252'), bytes), 'latin1')
  ], ['ISO', 'text/html', Buffer.from(html(meta('iso-8859-1'), bytes), 'latin1')], ['wrong META', 'text/html',
    Buffer.from(html(meta('utf-8'), bytes), 'latin1')], ['header', 'text/html; charset=windows-1252',
    Buffer.from(html('', bytes), 'latin1')], ['XBEL', 'application/xml', Buffer.from(
      `<?xml version="1.0" encoding="ISO-8859-1"?><xbel><bookmark href="https://e.example/"><title>${bytes}</title></bookmark></xbel>`,
      'latin1'
    )], ['UTF-16', 'text/html', Buffer.from(`\ufeff${html(meta('utf-16'), text)}`, 'utf16le')], ['UTF-8',
    'text/html', Buffer.from(html(meta('windows-1252'), text))]]
  for (const [name, type, file] of sent) {
    const person = await someone()
    t.equal((await importing(person, file, '', type)).status, 200, name)
    t.strictSame((await all(person)).map(({ title }) => title), [text], name)
  }
})

t.test('a file that is none of bookmarks is named, with what to send instead, and nothing is written', async (t) => {
  const person = await someone()
  const page =
    '<!DOCTYPE html><html><head><title>News</title><script>let a = "<a href=x>"</script></head><body><div><a href="https://e.example/">More</a></div></body></html>'
  const files: [string | Buffer, RegExp][] = [[gzipSync('x'), /gzip.*Unpack/s], [
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    /PNG/
  ], ['SQLite format 3\0', /SQLite.*Firefox/s], ['bplist00\xd1', /property list.*plutil/s], ['%PDF-1.7',
    /PDF/], [page, /web page.*HTML/s], [
    '[{"title":"Saved page","url":"https://e.example/","content":"<h2>One</h2><ul><li><a href=\\"/x\\">x</a>"}]',
    /JSON of something else \(title, url, content\)/
  ], ['{"type":"FeatureCollection"}', /JSON of something else/], ['<?xml version="1.0"?><opml></opml>',
    /feeds/], ['<?xml version="1.0"?><rss></rss>', /feed/], ['<?xml version="1.0"?><kml></kml>', /XML.*kml/],
    ['<plist><dict><key>A</key><string>b</string></dict></plist>', /property list/], ['a,b,c\n1,2,3',
    /table/], ['Dear diary', /plain text/], ['', /empty/], ['  \n', /empty/], [Buffer.from([1, 2, 0, 3]),
    /binary/], [zipOf({ 'a.png': 'x' }), /zip archive.*a\.png/], ['Opera Hotlist version 2.0', /Opera/], [
    '<!DOCTYPE NETSCAPE-Bookmark-file-1><DL></DL>',
    /no bookmark/
  ], ['<xbel></xbel>', /XBEL, and there is no/], ['url,title\n', /no bookmark/], [
    '{"roots":{"bookmark_bar":{}}}',
    /no bookmark/
  ]]
  for (const [file, detail] of files) {
    for (const type of ['application/octet-stream', 'text/plain', 'text/html', 'application/json']) {
      const { status, body } = await importing(person, file, '', type)
      t.equal(status, 400, `${String(file).slice(0, 20)} as ${type}`)
      t.match(body.detail, detail)
    }
  }
  t.strictSame(await all(person), [])
  t.match((await importing(person, '<xbel>\n<bookmark href="https://e.example/">\n</xbel>')).body, {
    errorType: 'MALFORMED_BODY',
    detail: /line 3/
  }, 'what is wrong with XML has a line')
})

t.test('archives are unpacked up to a bound, and no further', async (t) => {
  const person = await someone()
  const bomb = Buffer.alloc(60_000_000, ' ')
  const limit = { status: 413, body: { errorType: 'BODY_TOO_LARGE', limit: { name: 'importBytes' } } }
  t.match(await importing(person, zipOf({ 'bookmarks.html': bomb })), limit, 'a bomb that says so')
  t.match(
    await importing(person, zipOf({ 'bookmarks.html': bomb }, { size: 10 })),
    limit,
    'and one that lies'
  )
  const lz4 = mozLz4Of('{}')
  lz4.writeUInt32LE(0xffff_ffff, 8)
  t.match(await importing(person, lz4), limit, 'four gigabytes in LZ4')
  const good = mozLz4Of(fixture('formats/firefox.json').toString())
  const zip = zipOf({ 'bookmarks.html': fixture('chrome.html') })
  for (let cut = 0; cut < 60; cut++) {
    for (const file of [good, zip]) {
      const broken = file.subarray(0, Math.floor(file.length * cut / 60))
      const changed = Buffer.from(file)
      changed[Math.floor(file.length * cut / 60)]! ^= 0x55
      for (const one of [broken, changed]) {
        t.ok((await importing(person, one, '?dryRun=true')).status < 500)
      }
    }
  }
  t.ok(deflateRawSync(bomb).length < 100_000)
})

t.test('whatever the bytes are, an import is no failure of the hub', async () => {
  const person = await someone()
  const files = [...CASES.map(({ file }) => typeof file === 'string' ? fixture(file) : file),
    fixture('firefox.html')]
  await fc.assert(
    fc.asyncProperty(
      fc.nat(files.length - 1),
      fc.array(
        fc.tuple(
          fc.double({ min: 0, max: 1, noNaN: true }),
          fc.oneof(
            fc.constantFrom(
              '"',
              '<',
              '>',
              '{',
              '}',
              '[',
              ']',
              ',',
              '\0',
              '\xff',
              '<!--',
              '&',
              '\\',
              '</A>',
              '\n'
            ),
            fc.string({ unit: 'binary', maxLength: 4 })
          ),
          fc.nat(20)
        ),
        { maxLength: 6 }
      ),
      async (index, edits) => {
        let bytes = files[index]!
        for (const [where, put, drop] of edits) {
          const at = Math.floor(where * bytes.length)
          bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(put, 'latin1'),
            bytes.subarray(at + drop)])
        }
        const { status, body } = await importing(person, bytes, '?dryRun=true')
        if (status >= 500) throw new Error(JSON.stringify(body))
        if (status === 200 && body.created + body.again + body.folders.created + body.refused.length === 0) {
          throw new Error(`200 and nothing: ${JSON.stringify(body)}`)
        }
      }
    ),
    { numRuns: 150 }
  )
})

/** Reads a text as the hub does. @returns characters that were looked at */
function stepsOf (format: 'html' | 'pocket' | 'urls', text: string, most = 1e9): number {
  const collector = createCollector(most, () => new Problem('VALIDATION_FAILED', 'too many'))
  const parser = READERS[format].parser(text, collector, Date.now())
  try {
    for (let at = 0; at < text.length; at += 32_768) parser.write(text.slice(at, at + 32_768))
    parser.end()
  } catch (error) {
    if (!(error instanceof Problem)) throw error
  }
  return parser.steps()
}

t.test('work is linear in the file, whatever it holds: counted, not timed', (t) => {
  const hostile = ['<h1>x', '<DT><A HREF="https://e.example/">x</A>', '<A HREF="', '<A HREF=\'"',
    '<A HREF="><DT>', '<!--', '<!--<DT><A ', '<![CDATA[', '<', '&', '</', '</A', '<A X', '<DL>', '</DL>',
    '<DD>x', '<DD><a href="x">', '<a b="<dt>', '<A HREF=1>t<DT>', '<A HREF=1>t<<<<', '<script>',
    '<A HREF="x=" y></A>', '<H3><H3>', ' ', '"', '<p><br><li>', '<DD><dt>x']
  for (const unit of hostile) {
    for (
      const start of ['', '<DL><DT><A HREF="https://e.example/">', '<DL><DT><A HREF=x>y</A><DD>', '<!--']
    ) {
      const [small, large] = [10_000, 40_000].map((length) =>
        stepsOf('html', start + unit.repeat(Math.ceil(length / unit.length)))
      ) as [number, number]
      t.ok(large <= 4.5 * small + 2000, `${start} ${unit}: ${small} and ${large}`)
      t.ok(large <= 40_000 * 12, `${start} ${unit}: ${large}`)
    }
  }
  for (const unit of ['"', 'a,"b\n', '"a""b', ',', '\n', '"a"x,', '"\n"']) {
    const [small, large] = [10_000, 40_000].map((length) =>
      stepsOf('pocket', `url,title,time_added\n${unit.repeat(Math.ceil(length / unit.length))}`)
    ) as [number, number]
    t.ok(large <= 4.5 * small + 2000 && large <= 40_000 * 12, `CSV ${unit}: ${small} and ${large}`)
  }
  const lines = [1000, 4000].map((count) => stepsOf('urls', 'https://e.example/ '.repeat(count))) as [
    number,
    number
  ]
  t.ok(lines[1] <= 4.5 * lines[0])
  t.end()
})

t.test('depth, entries and headings are bounded', async (t) => {
  const person = await someone()
  const files: [string, RegExp][] = [[`{"bookmarks":${'['.repeat(4_000_000)}`, /nested more than 512/], [
    `{"root":"placesRoot","children":[${'{"children":['.repeat(10_000)}`,
    /nested more than 512/
  ], [`<xbel>${'<x>'.repeat(1_000_000)}`, /nested more than/], [
    `[{"href":"https://e.example/","toread":"no","tags":[${'1,'.repeat(300_000)}1]}]`,
    /more than 200000 values/
  ], [`<DL>${'<h1>x'.repeat(60_000)}`, /more than 50000/], [`url\n${'https://e.example/\n'.repeat(50_001)}`,
    /more than 50000/], [`<plist><array>${'<dict>'.repeat(60_000)}`, /more than|property list/]]
  for (const [file, detail] of files) {
    const { status, body } = await importing(person, file, '?dryRun=true')
    t.equal(status, 400, file.slice(0, 40))
    t.match(body.detail, detail)
  }
  const many = `<DL><DT><A HREF="https://e.example/tags" TAGS="${
    Array.from({ length: 130_000 }, (_, index) => `t${index}`).join(',')
  }" PRIVATE="1">x</A></DL>`
  const { status, body } = await importing(person, many)
  t.match({ status, reason: body.adjusted[0].reason }, { status: 200, reason: /130001 tags: the first 64/ })
  const long = `<DL><DT><A HREF="https://e.example/long" TAGS="${
    Array.from({ length: 10_000 }, (_, index) => `${'x'.repeat(70)}${index}`).join(',')
  }">x</A></DL>`
  t.equal(
    (await importing(person, long)).body.adjusted.length,
    1,
    'what is said of one entry is not as long as the file'
  )
})

t.test('dates are between 1970 and tomorrow, or are told', async (t) => {
  const dates = ['9999-12-31T23:59:59.999Z', '+275760-09-13T00:00:00.000Z', '1969-12-31T23:59:59Z',
    '2001-02-30x']
  const json = JSON.stringify({
    format: 'sync-hub-bookmarks',
    version: 1,
    bookmarks: dates.map((createdAt, index) => ({ url: `https://e.example/${index}`, title: 'x', createdAt }))
  })
  const html = `<DL>${
    dates.map((createdAt, index) =>
      `<DT><A HREF="https://e.example/${index}" DATA-SYNC-HUB="${
        JSON.stringify({ createdAt }).replaceAll('"', '&quot;')
      }">x</A>`
    ).join('')
  }</DL>`
  const xbel = `<xbel>${
    dates.map((createdAt, index) => `<bookmark href="https://e.example/${index}" added="${createdAt}"/>`)
      .join('')
  }</xbel>`
  for (const file of [json, html, xbel]) {
    const person = await someone()
    const { body } = await importing(person, file)
    t.equal(body.created, dates.length)
    t.ok(
      (await all(person)).every(({ createdAt }) => createdAt > '2020' && createdAt < '2100'),
      file.slice(0, 9)
    )
    if (file !== html) t.equal(body.adjusted.length, dates.length, 'and each is told')
  }
})

t.test('URLs that are not kept can be kept as the text of notes, which are links nowhere', async (t) => {
  const person = await someone()
  const file = `<!DOCTYPE NETSCAPE-Bookmark-file-1><DL><DT><H3>Tools</H3><DL>
<DT><A HREF="javascript:(()=>{alert(1)})()" TAGS="let" ADD_DATE="1600000000">Bookmarklet</A>
<DT><A HREF="file:///home/x.html">Mine</A>
<DT><A HREF="place:sort=8">Recent</A>
<DT><A HREF="about:config">Config</A>
<DT><A HREF="?abc">Note: of Shaarli</A>
<DD>Remember the milk
</DL><DT><A>Without any</A>
<DT><A HREF="https://e.example/">A page</A>
</DL>`
  t.match(
    (await importing(person, file)).body,
    { created: 1, refused: { length: 6 } },
    'which is not so unless it is asked for'
  )
  const { body } = await importing(person, file, '?inert=keep')
  t.match(body, { created: 6, unchanged: 1, refused: { length: 0 }, adjusted: { length: 6 } })
  const lines = ['Tools /', '  Bookmarklet "javascript:(()=>{alert(1)})()" #let 2020-09-13',
    '  Mine "file:///home/x.html"', '  Recent "place:sort=8"', '  Config "about:config"',
    '  Note: of Shaarli "?abc" "Remember the milk"', 'A page <https://e.example/>', 'Without any ""']
  t.strictSame(await linesOf(person), lines)
  t.match(
    (await importing(person, file, '?inert=keep')).body,
    { created: 0, merged: 0, unchanged: 7 },
    'again adds nothing'
  )
  const other = await someone()
  for (const format of ['html', 'xbel', 'json']) {
    const exported = (await person.get(`/v1/bookmarks/export?format=${format}`)).text
    t.notMatch(exported, /href="(?!https:\/\/e\.example\/|")[^"]/i, `${format}: no link but to a page`)
    t.match(
      (await importing(person, exported)).body,
      { created: 0, merged: 0, unchanged: 7, refused: [] },
      format
    )
    if (format !== 'json') t.match((await importing(other, exported)).status, 200)
  }
  t.strictSame(await linesOf(other), lines, 'and notes come back as notes')
  const put = (content: object) => person.put('/v1/bookmarks/n', content)
  t.match(await put({ kind: 'note', title: 'x', url: 'https://e.example/' }), { status: 400 })
  t.match(await put({ title: 'x', url: 'https://e.example/', address: 'x' }), { status: 400 })
  t.match(await put({ kind: 'note', title: 'x', address: 'javascript:x' }), { status: 201 })
  t.match((await person.get('/v1/bookmarks?kind=note&limit=100')).body.items.length, 7)
})

t.test('a plan is of one moment, though others write while it is made', async (t) => {
  const records = new Map<string, BookmarkRecord>()
  const folders = new Set<string>()
  const [createdAt, updatedAt] = ['2020-01-01T00:00:00.000Z', '2020-01-01T00:00:00.000Z']
  for (let index = 0; index < 3000; index++) {
    const isFolder = index < 1000
    const id = `r${index}`
    records.set(id, {
      id,
      ...isFolder ? { kind: 'folder' as const } : { url: `https://e.example/${index}` },
      title: id,
      tags: [],
      ...index > 0 && { folderId: 'r0' },
      rev: 1,
      createdAt,
      updatedAt
    })
    if (isFolder) folders.add(id)
  }
  const entries = Array.from({ length: 3000 }, (_, index): Entry => ({
    kind: index < 900 ? 'folder' : 'bookmark',
    parent: undefined,
    ...index >= 900 && { url: `https://e.example/${index}` },
    title: `r${index}`,
    tags: [],
    remarks: []
  }))
  const planning = planImport({ records, folders }, entries, { root: 'r0', keepInert: false })
  // Between any two turns of the plan all that it may look at goes.
  for (let index = 0; index < 12; index++) {
    for (let gone = index * 250; gone < (index + 1) * 250; gone++) {
      records.delete(`r${gone}`)
      folders.delete(`r${gone}`)
    }
    await turn()
  }
  const { fates } = await planning
  t.strictSame(new Set(fates.map(({ fate }) => fate)), new Set(['unchanged', 'created']))
  t.equal(records.size, 0)
  const person = await someone()
  const html = `<DL>${
    Array.from({ length: 2500 }, (_, index) =>
      `<DT><H3>F${index % 900}</H3><DL><DT><A HREF="https://e.example/${index}">x</A></DL>`).join('')
  }</DL>`
  const first = await importing(person, html)
  t.equal(first.status, 200)
  const some = (await all(person)).slice(0, 40)
  const answers = await Promise.all([importing(person, html), ...some.flatMap((
    { id }
  ) => [person.delete(`/v1/bookmarks/${id}?confirm=true`), person.get('/v1/bookmarks/tree')])])
  t.strictSame(answers.filter(({ status }) => status >= 500 && status !== 503), [], 'over HTTP as well')
  t.equal(answers[0].status, 200)
})

t.test('icons are stepped over while a file comes, and do not count', async (t) => {
  const small = await startHub(t, { limits: { ...hub.config.limits, importBytes: 40_000 } })
  const person = await small.as({ tenant: 'acme', user: 'icons' })
  const icon = `data:image/png;base64,${'iVBORw0KGgo'.repeat(450)}=`
  const file = (count: number, attribute: string) =>
    `<!DOCTYPE NETSCAPE-Bookmark-file-1><DL>${
      Array.from({ length: count }, (_, index) =>
        `<DT><A HREF="https://e.example/${index}" ${attribute}="${icon}" LAST_MODIFIED="1">Page ${index}</A>\n`)
        .join('')
    }</DL>`
  for (const attribute of ['ICON', 'icon']) {
    const { status, body } = await importing(person, file(60, attribute))
    t.match({ status, body }, {
      status: 200,
      body: { ignored: { ICON: 60, LAST_MODIFIED: 60 }, refused: [] }
    })
    t.equal(body.created + body.unchanged, 60)
  }
  t.match(await importing(person, file(90, 'ICONS')), {
    status: 413,
    body: {
      errorType: 'BODY_TOO_LARGE',
      detail: /Icons do not count.*LIMIT_IMPORT_BYTES/,
      limit: { name: 'importBytes', value: 40_000 }
    }
  })
  t.match(await importing(person, file(90, 'ICON')), { status: 413 }, 'up to ten times as much may come')
  // Wherever the file is cut into chunks, the same is kept.
  const { createIconFilter } = await import('../src/services/bookmarks/import/icons.ts')
  const whole = Buffer.from(file(3, 'ICON'))
  const filtered = (size: number) => {
    const filter = createIconFilter()
    const out: Buffer[] = []
    for (let at = 0; at < whole.length; at += size) out.push(filter.write(whole.subarray(at, at + size)))
    return Buffer.concat([...out, filter.end()]).toString()
  }
  const expected = whole.toString().replaceAll(icon, 'data:')
  for (const size of [1, 2, 3, 7, 31, 33, 1000, 1_000_000]) t.equal(filtered(size), expected)
})
