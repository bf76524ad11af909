import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { parse, type DefaultTreeAdapterTypes } from 'parse5'
import t from 'tap'
import { startHub, type Answer, type Person } from './harness/hub.ts'

const hub = await startHub(t)
let users = 0
const someone = () => hub.as({ tenant: 'acme', user: `u${users++}` })

interface Rec {
  id: string
  kind?: string
  url?: string
  title: string
  description?: string
  tags: string[]
  folderId?: string
  position?: string
  favorite?: boolean
  createdAt: string
}

async function all (person: Person, base = '/v1'): Promise<Rec[]> {
  const items: Rec[] = []
  for (let cursor = '';;) {
    const { body } = await person.get(`${base}/bookmarks?limit=100${cursor}`)
    items.push(...body.items)
    if (body.cursor === undefined) return items
    cursor = `&cursor=${body.cursor}`
  }
}

/**
 * What is in a space, nested and in order, without what a file need not keep: ids, positions and revisions.
 */
async function outline (person: Person, base = '/v1'): Promise<unknown> {
  const records = new Map((await all(person, base)).map((record) => [record.id, record]))
  const { body } = await person.get(`${base}/bookmarks/tree?items=true`)
  const nest = ({ items, folders }: any): unknown[] =>
    items.map((id: string) => {
      const { url, title, description, tags, favorite, createdAt, kind } = records.get(id)!
      const plain = {
        title,
        createdAt,
        ...url !== undefined && { url },
        ...description !== undefined && { description },
        ...tags.length > 0 && { tags },
        ...favorite !== undefined && { favorite }
      }
      return kind === 'folder'
        ? { ...plain, items: nest(folders.find((folder: any) => folder.id === id)) }
        : plain
    })
  return nest(body)
}

const importing = (
  person: Person,
  file: string | Buffer,
  type = 'text/html',
  query = '',
  base = '/v1'
): Promise<Answer> => person.post(`${base}/bookmarks/import${query}`, file, { 'content-type': type })
const fixture = (name: string) => readFileSync(`test/fixtures/${name}`)

/** The outline as lines: title, URL, tags, description, and the date where the file has one. */
async function linesOf (person: Person): Promise<string[]> {
  const lines = (items: any[], depth: number): string[] =>
    items.flatMap((
      { title, url, tags, description, createdAt, items }
    ) => [
      ['  '.repeat(depth) + title, items === undefined ? `<${url}>` : '/', tags && `#${tags}`,
        description && JSON.stringify(description), createdAt < '2026' && createdAt.replace('.000Z', '')]
        .filter(Boolean).join(' '),
      ...lines(items ?? [], depth + 1)
    ])
  return lines(await outline(person) as any[], 0)
}

t.test("what browsers and services export comes in whole, and what can't is told one by one", async (t) => {
  const files: Record<
    string,
    {
      lines: string[],
      refused?: [number, string, RegExp][],
      ignored?: Record<string, number>,
      adjusted?: [number, RegExp][],
      encoding?: string
    }
  > = {
    'firefox.html': {
      lines: ['Mozilla & Firefox / "Where it <all> began" 2021-01-01T00:00:00',
        '  Get Help <https://support.mozilla.org/products/firefox> #help,browser "First line\\nsecond line" 2021-01-01T00:00:01',
        '  About Us \u2013 \u00e9 <https://www.mozilla.org/about/?a=1&b=2> 2021-01-01T00:00:03',
        'Bookmarks Toolbar / 2021-01-01T00:00:05', '   <https://example.org/> 2021-01-01T00:00:07',
        'Other Bookmarks / 2021-01-01T00:00:08'],
      refused: [[19, 'place:sort=8&maxResults=10', /"place:" is not kept/], [23,
        'javascript:(function(){alert(1)})()', /"javascript:" is not kept/]],
      ignored: {
        LAST_MODIFIED: 2,
        ICON_URI: 1,
        ICON: 1,
        SHORTCUTURL: 1,
        HR: 1,
        PERSONAL_TOOLBAR_FOLDER: 1,
        UNFILED_BOOKMARKS_FOLDER: 1
      }
    },
    'chrome.html': {
      lines: ['Bookmarks bar / 2023-11-14T22:13:20',
        '  Chrome "docs" <b> <https://developer.chrome.com/docs?x="1"> 2023-11-14T22:13:21',
        '  Work / 2023-11-14T22:13:22', "    Mail 'n more <https://mail.example.com/> 2023-11-14T22:13:20",
        'Other <https://other.example.com/> 2023-11-14T22:13:25'],
      refused: [[15, 'chrome://settings/', /"chrome:" is not kept/]],
      ignored: { LAST_MODIFIED: 2, PERSONAL_TOOLBAR_FOLDER: 1, ICON: 1 }
    },
    'safari.html': {
      lines: ['Favourites /', '  Apple <https://www.apple.com/>', '  iCloud <https://www.icloud.com/>',
        'Bookmarks Menu /', 'Loose <https://example.net/>', 'Reading List /',
        '  Later <https://read.example.com/later>'],
      ignored: { FOLDED: 3, ID: 1 }
    },
    'edge.html': {
      lines: ['Favourites bar / 2022-04-15T05:20:00', '  Bing <https://www.bing.com/> 2022-04-15T05:20:02'],
      refused: [[12, 'edge://favorites/', /"edge:" is not kept/]],
      ignored: { LAST_MODIFIED: 1, PERSONAL_TOOLBAR_FOLDER: 1, ICON: 1 }
    },
    'ie.html': {
      lines: ['Links / 2003-01-01T00:00:00',
        '  Caf\u00e9 \u00e0 la carte <http://www.microsoft.com/isapi/redir.dll?prd=ie&pver=6> 2003-01-01T00:00:01',
        '  Single quotes <http://single.example.com/> 2003-01-01T00:00:04',
        '  No quotes <http://unquoted.example.com/> 2003-01-01T00:00:05'],
      refused: [[13, 'file:///C:/My%20Documents/page.htm', /"file:" is not kept/]],
      ignored: { FOLDED: 1, LAST_VISIT: 1, LAST_MODIFIED: 1 },
      encoding: 'windows-1252'
    },
    'pocket.html': {
      lines: ['Unread /', '  An article <https://example.com/article> #long,to read 2020-01-26T00:53:20',
        '  https://example.com/untitled <https://example.com/untitled> 2020-01-26T00:53:21', 'Read Archive /',
        '  Done <https://example.com/done> #done 2020-01-26T00:53:22']
    },
    'pinboard.html': {
      lines: [
        'One <https://pinboard.example/one> #a,b,private "Said in \\"quotes\\",\\nover\\n\\nthree lines" 2014-12-31T04:26:40',
        'Two <https://pinboard.example/two> #toread 2014-12-31T04:26:41'
      ]
    },
    'shaarli.html': {
      lines: [
        'Shaarli & friends <https://shaarli.example/?abc> #self-hosted,php,private "**Markdown** <script>alert(1)</script>" 2017-07-14T02:40:00',
        'Note: <https://shaarli.example/?def> 2017-07-14T02:40:02'
      ],
      ignored: { LAST_MODIFIED: 1 }
    },
    'delicious.html': {
      lines: ['Milliseconds <http://delicious.example/1> #web2.0,css "A comment" 2008-01-10T21:20:00',
        'Microseconds <http://delicious.example/2> #x 2008-01-10T21:20:01',
        'When? <http://delicious.example/3>'],
      refused: [[11, '', /no URL/]],
      adjusted: [[12, /"tomorrow" can't be read/]]
    },
    'konqueror.xbel': {
      lines: ['Stra\u00dfe / "Ein <Ordner>" 2008-03-04T05:06:07',
        '  KDE \u2014 home <http://www.kde.org/?a=1&b=2> "K Desktop\\nEnvironment" 2008-03-04T05:06:08',
        '  Inner /', '    FTP <ftp://ftp.example.com/>'],
      refused: [[17, 'data:text/html,x', /"data:" is not kept/]],
      ignored: {
        folded: 1,
        metadata: 1,
        'bookmark:icon': 1,
        visited: 1,
        modified: 1,
        separator: 1,
        alias: 1
      },
      encoding: 'windows-1252'
    }
  }
  for (
    const [name, { lines, refused = [], ignored = {}, adjusted = [], encoding = 'utf-8' }] of Object.entries(
      files
    )
  ) {
    const person = await someone()
    const { status, body } = await importing(person, fixture(name), 'application/octet-stream')
    t.equal(status, 200, name)
    t.strictSame(await linesOf(person), lines, `${name}: order, folders, dates, tags, descriptions`)
    t.match(body, {
      format: name.endsWith('xbel') ? 'xbel' : 'html',
      encoding,
      dryRun: false,
      merged: 0,
      unchanged: 0,
      again: 0
    }, name)
    t.equal(body.created + body.folders.created, lines.length, name)
    t.strictSame(
      body.refused.map(({ line, url }: any) => [line, url]),
      refused.map(([line, url]) => [line, url]),
      name
    )
    for (const [index, [, , reason]] of refused.entries()) t.match(body.refused[index].reason, reason)
    t.match(body.adjusted, adjusted.map(([line, reason]) => ({ line, reason })), name)
    t.equal(body.adjusted.length, adjusted.length)
    t.strictSame(body.ignored, ignored, `${name}: what has no place is counted`)
    const before = await all(person)
    const again =
      (await importing(person, fixture(name), name.endsWith('xbel') ? 'text/xml' : 'text/html')).body
    t.match(again, {
      created: 0,
      merged: 0,
      unchanged: body.created,
      folders: { created: 0, existing: body.folders.created }
    }, `${name} twice adds nothing`)
    t.strictSame(await all(person), before)
  }
})

const asJson = (bookmarks: object[]) =>
  JSON.stringify({ format: 'sync-hub-bookmarks', version: 1, bookmarks })
const FORMATS = { html: 'text/html', xbel: 'application/xml', json: 'application/json' } as const
const exported = async (person: Person, format: string, base = '/v1') =>
  (await person.get(`${base}/bookmarks/export?format=${format}`)).text

/** An import that tells of its progress: the lines of the answer. */
async function linesOfImport (person: Person, file: string, type: string): Promise<any[]> {
  const { payload, headers, statusCode } = await hub.app.inject({
    method: 'POST',
    url: '/v1/bookmarks/import',
    payload: file,
    headers: { authorization: `Bearer ${person.token}`, 'content-type': type, accept: 'application/x-ndjson' }
  })
  t.match({ statusCode, type: headers['content-type'] }, {
    statusCode: 200,
    type: 'application/x-ndjson; charset=utf-8'
  })
  return payload.trim().split('\n').map((line) => JSON.parse(line))
}

/** Text with all that markup and white space can do to it. */
const word = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    'a',
    '<b>',
    '&amp;',
    '&',
    '"',
    "'",
    '</A>',
    ']]>',
    '<!--',
    '\r\n',
    '\t',
    '\u0000',
    '\u0007',
    '\u00a0',
    '\u2028',
    '\ufffe',
    '\u{1F600}',
    '\u00e9',
    'DATA-SYNC-HUB',
    ','
  ),
  fc.string({ unit: 'grapheme', maxLength: 6 })
)
const text = fc.array(word, { maxLength: 5 }).map((words) => words.join('').toWellFormed())
const moment = fc.integer({ min: 1, max: 1_700_000_000_000 }).map((ms) => new Date(ms).toISOString())
const address = fc.tuple(
  fc.constantFrom(
    'https://example.com/',
    'http://a.example/?q=',
    'ftp://f.example/',
    'mailto:a@b.example?subject='
  ),
  fc.constantFrom('', '%20', '&amp;', '"><script>', "'x", ' ', 'a,b', '#f'),
  fc.integer({ max: 99, min: 0 })
).map(([start, middle, number]) => `${start}${middle}${number}`)
const filling = fc.record({
  title: text,
  description: fc.option(text, { nil: undefined }),
  tags: fc.uniqueArray(text.map((tag) => tag.slice(0, 20).toWellFormed() || 'x'), { maxLength: 3 }),
  favorite: fc.option(fc.boolean(), { nil: undefined }),
  createdAt: moment,
  inside: fc.nat(),
  position: fc.option(fc.constantFrom('a0', 'a1', 'a2'), { nil: undefined })
})
const library = fc.array(fc.tuple(filling, fc.oneof(address, fc.constant(undefined))), {
  minLength: 1,
  maxLength: 14
}).map(
  (all) =>
    all.map(([{ inside, ...rest }, url], index) => {
      const folders = all.slice(0, index).flatMap(([, url], at) => url === undefined ? [`id${at}`] : [])
      // One URL, and one title of a folder, occur once: the same in the same folder would be one.
      const folderId = [undefined, ...folders][inside % (folders.length + 1)]
      return {
        id: `id${index}`,
        ...rest,
        ...url === undefined
          ? { kind: 'folder', title: `${rest.title}${index}` }
          : { url: `${url}-${index}` },
        ...folderId !== undefined && { folderId }
      }
    })
)

t.test('what is exported comes back as it was: HTML, XBEL and JSON', async (t) => {
  await fc.assert(
    fc.asyncProperty(library, async (bookmarks) => {
      const source = await someone()
      const { body, status } = await importing(source, asJson(bookmarks), 'application/json')
      if (status !== 200 || body.refused.length + body.adjusted.length > 0) {
        throw new Error(JSON.stringify(body))
      }
      const before = await outline(source)
      for (const [format, type] of Object.entries(FORMATS)) {
        const target = await someone()
        const answer = await importing(target, await exported(source, format), type)
        if (
          answer.status !== 200 || answer.body.refused.length + answer.body.adjusted.length > 0
        ) throw new Error(`${format}: ${answer.text}`)
        const after = await outline(target)
        if (JSON.stringify(after) !== JSON.stringify(before)) {
          throw new Error(
            `${format}: ${JSON.stringify(after)} and not ${JSON.stringify(before)}: ${await exported(
              source,
              format
            )}`
          )
        }
        if (format !== 'json') continue
        const plain = (records: any[]) => records.map(({ rev: _, updatedAt: __, ...rest }) => rest)
        t.strictSame(plain(await all(target)), plain(await all(source)), 'JSON keeps ids and positions')
        const again = await importing(source, await exported(source, format), type)
        if (again.body.created + again.body.merged + again.body.folders.created > 0) {
          throw new Error(again.text)
        }
      }
    }),
    { numRuns: 12 }
  )
})

/** Elements of a page with their attributes and text, as a browser's parser sees them. */
function elementsOf (html: string): { name: string, attributes: Record<string, string>, text: string }[] {
  const found: ReturnType<typeof elementsOf> = []
  const textOf = (node: any): string => node.value ?? (node.childNodes ?? []).map(textOf).join('')
  const walk = (node: DefaultTreeAdapterTypes.Node) => {
    if ('attrs' in node) {
      found.push({
        name: node.nodeName,
        attributes: Object.fromEntries(node.attrs.map(({ name, value }) => [name, value])),
        text: textOf(node)
      })
    }
    if ('childNodes' in node) { for (const child of node.childNodes) walk(child) }
  }
  walk(parse(html))
  return found
}

const SCHEMES = ['javascript:alert(1)', 'JaVaScRiPt:alert(1)', ' javascript:alert(1)',
  'java\nscript:alert(1)', 'java&#10;script:alert(1)', 'java&Tab;script:alert(1)', '&#106;avascript:alert(1)',
  '&#x6A&#x61vascript:alert(1)', '\u0001javascript:alert(1)', 'data:text/html,<script>alert(1)</script>',
  'DATA:text/html;base64,PHNjcmlwdD4=', 'vbscript:msgbox(1)', 'file:///etc/passwd',
  'blob:https://example.com/1', 'about:blank', 'view-source:https://example.com', 'chrome://settings',
  'jar:https://example.com!/', 'ws://example.com', 'tel:123', '//example.com/x', '/relative', '?q', '#x', '',
  ' ', 'http:', 'https://', 'http://[::1', 'http://a b/', 'place:sort=8', 'feed:https://example.com',
  'intent://x#Intent;end', 'ms-msdt:/id', 'C:\\windows\\x.exe']
const BREAKS = ['"><script>alert(1)</script>', "'><img src=x onerror=alert(1)>",
  '</A><A HREF="javascript:alert(1)">x', '</a></h3></dl><script>alert(1)</script>', '<svg onload=alert(1)>',
  '<iframe src=javascript:alert(1)>', '<!--', '--><script>alert(1)</script>', '<![CDATA[', ']]>',
  '&lt;script&gt;', '&#60;script&#62;', '<style>*{}</style>', '<base href="javascript:">',
  '<meta http-equiv=refresh content="0;url=javascript:alert(1)">', '\u0000<script>', '<\u0000script>',
  '\u2028</title>', '<textarea>', '<plaintext>', '<xmp>', '<noscript>', '<a href=javascript:alert(1)>x</a>',
  '`onmouseover=alert(1)', '\\"><script>', '\u202e<script>', 'x" onclick="alert(1)',
  "' autofocus onfocus='alert(1)", '{{constructor.constructor("alert(1)")()}}',
  '<DT><A HREF="javascript:alert(1)">', '<H3>', '</DL>', '<DD><script>', '&quot;&gt;&lt;script&gt;',
  '%3Cscript%3E', '<math><mi xlink:href="data:x">', '<form action=javascript:alert(1)><button>',
  '<object data=data:,x>', '<embed src=data:,x>', '<link rel=stylesheet href=data:,x>']

t.test('hostile URLs and titles: none is a link, none becomes markup, and every entry is told of', async (t) => {
  const person = await someone()
  const links = [...SCHEMES, ...BREAKS, ...BREAKS.map((text) => `https://example.com/${text}`),
    ...BREAKS.map((text) => `ftp://example.com/${text}`), ...BREAKS.map((text) => `mailto:${text}`)]
  const bookmarks = links.map((url, index) => ({
    id: `h${index}`,
    url,
    title: BREAKS[index % BREAKS.length],
    description: BREAKS[(index + 1) % BREAKS.length],
    tags: [BREAKS[(index + 2) % BREAKS.length]!.slice(0, 60)]
  }))
  const folders = BREAKS.map((title, index) => ({ id: `f${index}`, kind: 'folder', title }))
  const { body } = await importing(person, asJson([...bookmarks, ...folders]), 'application/json')
  t.ok(bookmarks.length >= 150)
  t.equal(body.created + body.again + body.refused.length, bookmarks.length, 'nothing is dropped silently')
  t.ok(body.refused.length >= SCHEMES.length)
  t.ok(body.created >= 80)
  const html = await exported(person, 'html')
  const elements = elementsOf(html)
  t.strictSame([...new Set(elements.map(({ name }) => name))].sort(), ['a', 'body', 'dd', 'dl', 'dt', 'h1',
    'h3', 'head', 'html', 'meta', 'p', 'title'], 'no title became an element')
  t.strictSame(
    elements.flatMap(({ attributes }) => Object.keys(attributes)).filter((name) =>
      !['href', 'add_date', 'last_modified', 'tags', 'data-sync-hub', 'http-equiv', 'content'].includes(name)
    ),
    []
  )
  const clickable = elements.filter(({ attributes }) => attributes.href !== undefined)
  t.ok(clickable.length >= 40)
  t.strictSame(
    clickable.map(({ attributes }) => new URL(attributes.href!).protocol).filter((protocol) =>
      !['http:', 'https:'].includes(protocol)
    ),
    [],
    'nothing but pages can be clicked'
  )
  const titles = new Set((await all(person)).map(({ title }) => title.replace(/[\0]/g, '\ufffd')))
  for (const { name, text } of elements) if (name === 'a' || name === 'h3') t.ok(titles.has(text), text)
  const { headers } = await person.get('/v1/bookmarks/export')
  t.match(headers, {
    'content-disposition': 'attachment; filename="bookmarks.html"',
    'content-security-policy': 'sandbox',
    'content-type': 'text/html; charset=utf-8'
  })
  // The same as a file of a browser: what its entities hide is seen.
  const netscape = `<DL><p>${
    links.map((url) => `<DT><A HREF="${url.replaceAll('"', '&quot;')}">x</A>\n`).join('')
  }</DL>`
  const other = await someone()
  const answer = (await importing(other, netscape)).body
  t.equal(answer.created + answer.again + answer.refused.length, links.length)
  t.strictSame((await all(other)).filter(({ url }) => !/^(?:https?|ftp|mailto):/i.test(url!)), [])
})

t.test('hostile files are refused or told, never a failure', async (t) => {
  const person = await someone()
  const deep = (levels: number) =>
    '<DL><p><DT><H3>f</H3>'.repeat(levels) + '<DT><A HREF="https://example.com/deep">x</A>'
  const nested = (await importing(person, deep(10_000), 'text/html', '?dryRun=true')).body
  t.match(nested, { created: 1, folders: { created: 32 }, dryRun: true })
  t.equal(nested.refused.length, 9968, 'each folder beyond the limit is told')
  const xml = (await importing(
    person,
    `<xbel>${'<folder>'.repeat(10_000)}<bookmark href="https://example.com/deep"/>${
      '</folder>'.repeat(10_000)
    }</xbel>`,
    'application/xml',
    '?dryRun=true'
  )).body
  t.match(xml, { created: 1, folders: { created: 32 } }, 'XBEL as well')
  const cases: [string, string, string, number][] = [['closing tags without an end',
    `<DL>${'<DT>'.repeat(100_000)}${'</DL></A></H3>'.repeat(200_000)}`, 'text/html', 400], [
    'an attribute that never ends',
    `<A HREF="${'x'.repeat(5_000_000)}`,
    'text/html',
    200
  ], ['a comment that never ends', `<!--${'-'.repeat(5_000_000)}`, 'text/html', 400], ['angle brackets',
    '<'.repeat(5_000_000), 'text/html', 400], ['ampersands',
    `<DT><A HREF="https://example.com/">${'&'.repeat(3_000_000)}</A>`, 'text/html', 200], ['spaces',
    `<DT><A HREF="https://example.com/">${' '.repeat(5_000_000)}x</A>`, 'text/html', 200], ['attributes',
    `<DT><A ${
      Array.from({ length: 300_000 }, (_, index) => `a${index}=1`).join(' ')
    } HREF="https://example.com/">x</A>`, 'text/html', 200], ['descriptions',
    `<DT><A HREF="https://example.com/">x</A>${'<DD>x'.repeat(200_000)}`, 'text/html', 200], [
    'nothing of a bookmark',
    'x',
    'text/html',
    400
  ], ['zero bytes', '\0'.repeat(1000), 'text/html', 400], ['an external entity',
    '<?xml version="1.0"?><!DOCTYPE xbel [<!ENTITY x SYSTEM "file:///etc/passwd">]><xbel><bookmark href="https://example.com/"><title>&x;</title></bookmark></xbel>',
    'application/xml', 400], ['a billion laughs',
    '<?xml version="1.0"?><!DOCTYPE xbel [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><xbel><title>&b;</title></xbel>',
    'application/xml', 400], ['an external document type',
    '<!DOCTYPE xbel SYSTEM "http://127.0.0.1:1/x.dtd"><xbel><bookmark href="https://example.com/"/></xbel>',
    'application/xml', 200], ['other XML', '<html/>', 'application/xml', 400], ['half of XML',
    '<xbel><folder>', 'application/xml', 400], ['a bad reference', '<xbel>&#xD800;</xbel>', 'application/xml',
    400], ['no XML', 'x', 'application/xml', 400], ['half of JSON',
    '{"format":"sync-hub-bookmarks","version":1,"bookmarks":[{"id":', 'application/json', 400], ['other JSON',
    '{"bookmarks":[]}', 'application/json', 400], ['a later version',
    '{"format":"sync-hub-bookmarks","version":2,"bookmarks":[]}', 'application/json', 400], ['no list',
    '{"format":"sync-hub-bookmarks","version":1,"bookmarks":{}}', 'application/json', 400], ['JSON and more',
    `${asJson([])}x`, 'application/json', 400], ['deep JSON', '['.repeat(1_000_000), 'application/json', 400],
    ['a number', '1', 'application/json', 400], ['an empty list', asJson([]), 'application/json', 400], [
    'nothing',
    '',
    'text/html',
    400
  ], ['a form', 'x', 'multipart/form-data; boundary=x', 415], ['a picture', 'x', 'image/png', 415], [
    'a type of the language',
    'x',
    'constructor',
    415
  ]]
  for (const [name, file, type, status] of cases) {
    const answer = await importing(person, file, type, '?dryRun=true')
    t.equal(answer.status, status, `${name}: ${answer.text.slice(0, 200)}`)
  }
  t.match(await importing(person, 'x', 'text/html', ''), {
    status: 400,
    body: { errorType: 'NOT_BOOKMARKS' }
  })
  t.match(
    await person.post('/v1/bookmarks/import', 'x', {
      'content-type': 'text/html',
      'content-encoding': 'gzip'
    }),
    { status: 415 }
  )
  t.match(
    await person.post('/v1/bookmarks/import', 'x', { 'content-type': 'text/html', 'idempotency-key': 'k' }),
    { status: 400, body: { errors: [{ pointer: 'headers/idempotency-key' }] } }
  )
  t.match(await importing(person, Buffer.alloc(10_485_761, ' ')), {
    status: 413,
    body: { errorType: 'BODY_TOO_LARGE', limit: { name: 'importBytes', value: 10_485_760 } }
  })
  t.match(await importing(person, '<DT><A HREF="https://example.com/">x</A>\n'.repeat(50_001), 'text/html'), {
    status: 400,
    body: { errorType: 'VALIDATION_FAILED', limit: { name: 'importEntries', value: 50_000 } }
  })
  t.strictSame(await all(person), [], 'nothing of it was written')
})

t.test("JSON entries that can't be kept are told one by one", async (t) => {
  const person = await someone()
  const wrong: [unknown, RegExp][] = [[1, /object/], [null, /object/], [[], /object/], [{
    title: 1,
    url: 'https://e.example'
  }, /"title"/], [{ url: 'https://e.example', title: '', tags: 'x' }, /"tags"/], [{
    url: 'https://e.example',
    title: '',
    favorite: 1
  }, /"favorite"/], [{ title: '' }, /no URL/], [{ kind: 'x', title: '' }, /kind/], [{
    kind: 'folder',
    url: 'https://e.example',
    title: ''
  }, /folder with a URL/], [{ url: 'https://e.example/\ud800', title: '' }, /surrogate/], [{
    url: `https://e.example/${'x'.repeat(8192)}`,
    title: ''
  }, /8192/], [{ id: 'c1', kind: 'folder', folderId: 'c2', title: 'c1' }, /circle/], [{
    id: 'c2',
    kind: 'folder',
    folderId: 'c1',
    title: 'c2'
  }, /circle/]]
  const { body } = await importing(
    person,
    asJson([...wrong.map(([entry]) => entry as object), {
      url: 'https://e.example/in',
      title: 'in a circle',
      folderId: 'c1',
      __proto__: null,
      stray: 1
    }]),
    'application/json'
  )
  t.equal(body.refused.length, wrong.length)
  for (const [, reason] of wrong) {
    t.ok(body.refused.some((told: any) => reason.test(told.reason)), String(reason))
  }
  t.match(await all(person), [{ title: 'in a circle', folderId: undefined }])
  t.strictSame(body.ignored, { stray: 1 })
  const long = (await importing(
    person,
    asJson([{
      url: 'https://e.example/long',
      title: '\u{1F600}'.repeat(1025),
      description: 'x'.repeat(16_385),
      tags: ['x'.repeat(65), ...Array.from({ length: 65 }, (_, index) => `t${index}`)]
    }]),
    'application/json'
  )).body
  t.equal(long.created, 1)
  t.strictSame(
    long.adjusted.map(({ reason }: any) =>
      /^its (\w+)|^it has (\d+ tags)/.exec(reason)?.slice(1).filter(Boolean)[0]
    ),
    ['title', 'description', 'tag', '65 tags']
  )
  const kept = (await all(person)).find(({ url }) => url === 'https://e.example/long')!
  t.strictSame([[...kept.title].length, kept.description!.length, kept.tags.length], [1024, 16_384, 64])
})

t.test('an import adds to what is there and replaces nothing', async (t) => {
  const person = await someone()
  const page = { url: 'https://example.com/a', title: 'Mine', tags: ['x'], folderId: 'f' }
  await person.put('/v1/bookmarks/f', { kind: 'folder', title: 'Work' })
  const { body: before } = await person.put('/v1/bookmarks/a', page)
  const file =
    '<DL><DT><H3>Work</H3><DL><DT><A HREF="HTTPS://Example.com/a" ADD_DATE="1000000000" TAGS="x,y">Theirs</A><DD>Said<DT><A HREF="https://example.com/b">B</A><DT><A HREF="https://example.com/b" TAGS="again">B</A></DL></DL>'
  const dry = (await importing(person, file, 'text/html', '?dryRun=true')).body
  t.match(dry, {
    created: 1,
    merged: 1,
    again: 1,
    unchanged: 0,
    folders: { created: 0, existing: 1 },
    dryRun: true
  })
  t.equal((await all(person)).length, 2, 'nothing was written')
  const { body } = await importing(person, file)
  t.strictSame({ ...body, dryRun: true }, dry, 'a dry run tells what then happens')
  t.match((await person.get('/v1/bookmarks/a')).body, {
    ...before,
    rev: Number,
    updatedAt: String,
    createdAt: '2001-09-09T01:46:40.000Z',
    tags: ['x', 'y'],
    description: 'Said'
  })
  t.match((await all(person)).filter(({ url }) => url === 'https://example.com/b'), [{
    folderId: 'f',
    tags: ['again'],
    title: 'B'
  }])
  t.match(
    (await importing(person, file)).body,
    { created: 0, merged: 0, unchanged: 3, again: 0 },
    'and then there is nothing to add'
  )
  const [one, two] = await Promise.all([importing(person, file, 'text/html', '?folderId=g'),
    importing(person, file, 'text/html', '?folderId=g')])
  t.strictSame([one.status, two.status], [200, 200])
  t.equal((await all(person)).length, 6, 'the same file twice at once is one import')
  t.equal(one.body.created + two.body.created, 2)
})

t.test('a large file is a staged batch, with progress as lines, and every device is told of all of it', async (t) => {
  const person = await someone()
  const file = Array.from(
    { length: 400 },
    (_, index) =>
      `<DT><H3>Folder ${index % 20}</H3><DL><DT><A HREF="https://example.com/${index}" ADD_DATE="${
        1e9 + index
      }">Page ${index}</A></DL>`
  ).join('\n')
  const lines = await linesOfImport(person, file, 'text/html')
  t.match(lines.at(-1), { result: { created: 400, folders: { created: 400, existing: 0 }, refused: [] } })
  t.ok(lines.length >= 3)
  t.ok(lines.slice(0, -1).every(({ progress }) => progress !== undefined))
  t.match(lines.at(-2), { progress: { written: 800, of: 800 } })
  t.equal((await all(person)).length, 800)
  t.match(await linesOfImport(person, '<xbel>', 'text/xml'), [{
    problem: { errorType: 'MALFORMED_BODY', status: 400 }
  }])
  const small = await startHub(t, { limits: { ...hub.config.limits, spaceRecords: 100, batchChanges: 150 } })
  const full = await small.as({ tenant: 'acme', user: 'full' })
  t.match(await importing(full, file), {
    status: 507,
    body: { errorType: 'QUOTA_EXCEEDED', limit: { name: 'spaceRecords', value: 100, sent: 800 } }
  })
  t.strictSame(await all(full), [], 'all or nothing of a batch')
  const pieces = await startHub(t, { limits: { ...hub.config.limits, batchChanges: 150 } })
  const many = await pieces.as({ tenant: 'acme', user: 'many' })
  t.match((await importing(many, file)).body, {
    created: 400,
    merged: 0,
    unchanged: 0,
    folders: { created: 400 }
  }, 'a file larger than a batch is several')
  t.equal((await all(many)).length, 800)
})
