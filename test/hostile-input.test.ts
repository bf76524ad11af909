import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import type { FastifyInstance, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import { PLAIN_ID, DOTTED_ID } from '../entities/fields.ts'
import { ERRORS } from '../src/errors.ts'
import { startHub, type Answer } from './harness/hub.ts'

/**
 * Whatever is sent: never a 5xx, every refusal says what was wrong, and what is taken reads back as it was
 * sent.
 */

const routes: { method: string, url: string }[] = []
const plugin = fp(async (app: FastifyInstance) => {
  app.addHook('onRoute', ({ method, url }: RouteOptions) => {
    for (const each of [method].flat()) routes.push({ method: each, url })
  })
})
const hub = await startHub(t, { streamSeconds: 0.02 }, { plugin })
const alice = await hub.as({ tenant: 'acme', user: 'alice' })
const other = await hub.as({ tenant: 'acme', user: 'bob' })

const counts: Record<string, number> = {}
t.teardown(() =>
  t.comment(
    `${Object.values(counts).reduce((sum, count) => sum + count, 0)} inputs: ${JSON.stringify(counts)}`
  )
)

/** Holds one answer against what is promised of every answer. */
function hold (status: number, type: unknown, text: string, sent: string): void {
  counts[status] = (counts[status] ?? 0) + 1
  assert.ok(status < 500, `${status} for ${sent}`)
  if (status < 400 || text === '') {
    return assert.ok(status < 400 || sent.startsWith('HEAD '), `${status} without a body for ${sent}`)
  }
  assert.match(String(type), /^application\/problem\+json/, sent)
  const problem = JSON.parse(text) as {
    status: number,
    errorType: string,
    errors?: { pointer: string, detail: string }[]
  }
  assert.ok(problem.status === status && problem.errorType in ERRORS, sent)
  if (['VALIDATION_FAILED', 'MALFORMED_BODY', 'URL_NOT_ALLOWED'].includes(problem.errorType)) {
    assert.ok(
      problem.errors!.length > 0 &&
        problem.errors!.every(({ pointer, detail }) => typeof pointer === 'string' && detail !== ''),
      sent
    )
  }
}

async function send (
  method: string,
  url: string,
  payload?: unknown,
  headers: Record<string, string> = {}
): Promise<Answer> {
  const answer = await alice.request(method, url, payload, headers)
  hold(
    answer.status,
    answer.headers['content-type'],
    answer.text,
    `${method} ${url} ${JSON.stringify(headers)} ${String(payload).slice(0, 300)}`
  )
  return answer
}

/** Sends JSON text, and where it is taken reads the record back. @returns the status */
async function keep (url: string, text: string, headers?: Record<string, string>): Promise<number> {
  const answer = await send('PUT', url, text, headers)
  if (answer.status >= 400) return answer.status
  const sent = JSON.parse(text) as Record<string, unknown>
  const { body } = await send('GET', url)
  for (const [name, value] of Object.entries(sent)) {
    assert.deepEqual(body[name], value, text)
    assert.equal(JSON.stringify(body[name]), JSON.stringify(value), text)
  }
  const given = new Set([...Object.keys(sent), 'id', 'rev', 'createdAt', 'updatedAt',
    ...url.includes('settings') ? ['isPublic', 'publicId'] : ['tags']])
  assert.deepEqual(Object.keys(body).filter((name) => !given.has(name)), [], text)
  return answer.status
}

const deep = (levels: number, open = '[', close = ']', core = '') =>
  open.repeat(levels) + core + close.repeat(levels)

t.test('JSON is taken whole or refused', async (t) => {
  const kept = ['null', 'true', '0', '-1.5', '1E5', '1.50', '0.1', '9007199254740991', '-9007199254740991',
    '2.2250738585072014e-308', '0e5', '""', '"\\u0041\\ud83d\\ude00"', '"\\u0000\\u2028\\ufeff"',
    '" é\u{1F600} "', '[]', '{}', '[null,[]]', '{"b":1,"a":2,"B":3,"":4}',
    '{"__proto__":{"x":1},"constructor":{"prototype":null},"hasOwnProperty":1,"toString":"x","__defineGetter__":[]}',
    '{"a":{"a":{"a":1}}}', '":::\\":\\\\"', '{"a:":":","\\"b\\":":"\\\\"}', deep(16),
    deep(16, '{"a":', '}', '1'), JSON.stringify('x'.repeat(65_534)), JSON.stringify('é'.repeat(32_767)),
    JSON.stringify(Array(30_000).fill(1))]
  for (const value of kept) {
    t.ok(
      await keep('/v1/settings/kept', `{"value":${value},"isPublic":false}`) < 300,
      `kept: ${value.slice(0, 50)}`
    )
  }
  t.equal(
    await keep('/v1/settings/kept', ` {"value":1}${' '.repeat(1_048_576 - 12)}`),
    200,
    'a body of exactly the limit'
  )

  const refused = ['1e400', '-1e400', '9007199254740992', '9007199254740993', '-9007199254740993', '1e300',
    '-0', '-0.0', '-0e9', '1e-400', '-1e-400', '5e-324', '2e-308', '01', '+1', '.5', '1.', '0x10', 'NaN',
    'Infinity', 'undefined', "'a'", '"a', '"\\x41"', '"\\ud800"', '"\\udc00x"', '"\\ude00\\ud83d"',
    '{"\\ud800":1}', '"\n"', '"\t"', '{"a":1,"a":2}', '{"a":1,"a":1}', '{"a":[],"a":{}}',
    '{"a":[1],"a":{"0":1}}', '{"a":1,"\\u0061":1}', '{"x":{"__proto__":1,"__proto__":1}}', '[1,]', '{"a":1,}',
    '{,}', '{a:1}', '[1 2]', '//', '/**/1', '1;', ' \u00A01', deep(17), deep(17, '{"a":', '}', '1'), deep(63),
    deep(64), deep(5000), deep(6000, '{"a":', '}', '1'), deep(10_000), deep(100_000), '['.repeat(10_000),
    JSON.stringify('x'.repeat(65_535)), JSON.stringify('é'.repeat(32_768)),
    JSON.stringify(Array(40_000).fill(1))]
  for (const value of refused) {
    for (const [method, url] of [['PUT', '/v1/settings/refused'], ['PATCH', '/v1/settings/kept']] as const) {
      // With a key the body is hashed as well, which is one more walk of it.
      for (
        const headers of value.length > 30
          ? [undefined, { 'idempotency-key': `deep-${method}` }]
          : [undefined]
      ) {
        t.equal(
          (await send(method, url, `{"value":${value}}`, headers)).status,
          400,
          `${method} ${value.slice(0, 40)}`
        )
      }
    }
  }
  t.equal(
    (await send('PATCH', '/v1/settings/kept', '{"value":null}')).status,
    400,
    "a setting's value can't be taken away"
  )
  t.equal((await send('GET', '/v1/settings/refused')).status, 404)
  t.equal((await send('GET', '/v1/settings/kept')).body.value, 1, 'nothing of what was refused was kept')

  const bodies: [unknown, number][] = [['', 400], [' ', 400], ['\u{FEFF}{"value":1}', 400], [
    Buffer.from([0xff, 0xfe, 0x7b, 0]),
    400
  ], [Buffer.from('{"value":"\xe9"}', 'latin1'), 400], [Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 400], [
    Buffer.from([...Buffer.from('{"value":"'), 0xc0, 0xaf, 0x22, 0x7d]),
    400
  ], [Buffer.from('{"value":1}', 'utf16le'), 400], ['{"value":1}{"value":1}', 400], ['{"value":1}\0', 400], [
    '{"value":1,"value":1}',
    400
  ], ['{"value":1,"__proto__":1}', 400], ['{"value":1,"constructor":1}', 400], ['{"value":1,"id":"x"}', 400],
    ['{"value":1,"tenantId":"other"}', 400], ['{"value":1,"pk":"x"}', 400], ['{"isPublic":true}', 400], [
    '{"value":1,"isPublic":"true"}',
    400
  ], ['{"value":1,"isPublic":["true"]}', 400], ['{"value":1,"isPublic":1}', 400], [
    '{"value":1,"isPublic":null}',
    400
  ], ['null', 400], ['[]', 400], ['"value"', 400], ['1', 400], [`{"value":1}${' '.repeat(1_048_576 - 10)}`,
    413], [`{"a":"${'x'.repeat(1_048_567)}"}`, 400], [
    `{"${'k'.repeat(500_000)}":1,"${'k'.repeat(500_000)}":2}`,
    400
  ]]
  for (const [body, status] of bodies) {
    const answer = await send('PUT', '/v1/settings/refused', body)
    t.equal(answer.status, status, String(body).slice(0, 40))
  }
  t.ok(
    (await send('PUT', '/v1/settings/refused', bodies.at(-1)![0])).text.length < 2000,
    'an answer does not repeat half a megabyte'
  )
})

t.test('bytes are read as what the headers say, or not at all', async (t) => {
  const types: Record<string, number> = {
    'application/json': 200,
    'application/json; charset=utf-8': 200,
    'APPLICATION/JSON;charset="UTF-8"': 200,
    'application/json;foo=bar': 200,
    'application/json; charset=utf-16': 415,
    'application/json;charset=iso-8859-1': 415,
    'application/json; CHARSET = "latin1"': 415,
    'application/jsonx': 415,
    'application/ld+json': 415,
    'text/json': 415,
    'text/plain': 415,
    'application/x-www-form-urlencoded': 415,
    'multipart/form-data; boundary=x': 415,
    'application/merge-patch+json': 415,
    'Application/Merge-Patch+JSON': 415,
    ' application/merge-patch+json;x=y': 415,
    'application/*': 415,
    '*/*': 415,
    json: 415,
    '': 415,
    ';': 415,
    'application/json, text/plain': 415
  }
  await send('PUT', '/v1/settings/typed', '{"value":"é"}')
  for (const [type, status] of Object.entries(types)) {
    t.equal(await keep('/v1/settings/typed', '{"value":"é"}', { 'content-type': type }), status, type)
  }
  for (const coding of ['gzip', 'GZIP', 'br', 'deflate', 'x-unknown', 'identity, gzip']) {
    t.equal(
      (await send('PUT', '/v1/settings/typed', '{"value":1}', { 'content-encoding': coding })).status,
      415,
      coding
    )
  }
  t.equal(
    (await send('PUT', '/v1/settings/typed', gzipSync('{"value":1}'), { 'content-encoding': 'gzip' })).status,
    415
  )
  t.equal((await send('PUT', '/v1/settings/typed', gzipSync('{"value":1}'))).status, 400)
  t.equal((await send('GET', '/v1/settings/typed')).body.value, 'é')
})

t.test('only URLs that a browser may open are kept, byte for byte', async (t) => {
  const schemes = ['javascript', 'data', 'file', 'vbscript', 'blob', 'about', 'chrome', 'chrome-extension',
    'moz-extension', 'view-source', 'ws', 'wss', 'ftps', 'sftp', 'ssh', 'git', 'git+ssh', 'tel', 'sms',
    'intent', 'market', 'itms', 'magnet', 'ldap', 'ldaps', 'gopher', 'jar', 'res', 'ms-settings', 'ms-msdt',
    'search-ms', 'shell', 'steam', 'urn', 'cid', 'mid', 'filesystem', 'livescript', 'mocha', 'httpx', 'x',
    'h', 'mailtox']
  const spellings: [string, string][] = [[' javascript:alert(1)', 'javascript'], ['\tjavascript:1',
    'javascript'], ['\u0000javascript:1', 'javascript'], ['\u001Fdata:,x', 'data'], ['java\nscript:alert(1)',
    'javascript'], ['ja\tva\rscript:1', 'javascript'], ['javascript\n:1', 'javascript'], [
    'JaVaScRiPt:alert(1)',
    'javascript'
  ], ['javascript://example.com/%0aalert(1)', 'javascript'], ['javascript:', 'javascript'], [
    'data:text/html;base64,PHNjcmlwdD4=',
    'data'
  ], ['DATA:,', 'data'], ['file:///etc/passwd', 'file'], ['C:\\windows', 'c'], ['blob:https://example.com/1',
    'blob'], ['view-source:https://example.com', 'view-source'], ['localhost:3000', 'localhost'], [
    'about:blank',
    'about'
  ]]
  const nothing = ['', 'x', '/', '/x', '//x', '//example.com/x', '?q', '#f', '.', '..', 'example.com',
    'www.example.com/x', 'http', 'http:', 'http://', 'https://', 'http:///', 'http://[', 'http://[::1',
    'http://a b', 'http://%', 'http://x:99999', 'http://x:a', 'http://\u0000', 'http://a<b', ':', ':x',
    '1http://x', '\u212Ahttp://x', 'ｊavascript:1', 'java\u0000script:1', 'javascript：alert(1)',
    '&#106;avascript:1', '%6aavascript:1', '\u200Bjavascript:1', 'https//x']
  const refuse = async (url: string, scheme?: string) => {
    for (
      const [method, path] of [['POST', '/v1/bookmarks'], ['PUT', '/v1/bookmarks/u1'], ['PATCH',
        '/v1/bookmarks/u1']] as const
    ) {
      const { status, body } = await send(method, path, { url, ...method !== 'PATCH' && { title: '' } })
      t.match({ status, type: body.errorType, pointer: body.errors[0].pointer }, {
        status: 400,
        type: url === '' ? 'VALIDATION_FAILED' : 'URL_NOT_ALLOWED',
        pointer: '/url'
      }, `${method} ${JSON.stringify(url)}`)
      if (scheme !== undefined) t.match(body.detail, `"${scheme}:"`, `names ${scheme}`)
    }
  }
  t.equal(await keep('/v1/bookmarks/u1', '{"url":"https://example.com","title":""}'), 201)
  for (const scheme of schemes) await refuse(`${scheme}://example.com/`, scheme)
  for (const [url, scheme] of spellings) await refuse(url, scheme)
  for (const url of nothing) await refuse(url)
  t.equal((await send('GET', '/v1/bookmarks/u1')).body.url, 'https://example.com')
  const good = ['http://x', 'HTTP://Example.COM:80/../a/%7e?q=1&q=2#f', 'https://münchen.example/ü?ü#ü',
    'https://xn--mnchen-3ya.example', 'https://user:pass@example.com', 'http://[::1]:8080/', 'http://127.1',
    'https://example.com/a b', ' https://example.com ', 'ftp://example.com/x',
    'mailto:a@example.com?subject=x%0A', 'https://example.com/\u{1F600}', 'https:\\\\example.com\\x',
    'https://example.com/javascript:alert(1)', `https://example.com/${'x'.repeat(8000)}`]
  for (const url of good) {
    t.equal(
      await keep('/v1/bookmarks/u1', JSON.stringify({ url, title: url.slice(0, 99) })),
      200,
      url.slice(0, 60)
    )
  }
})

t.test('generated JSON is kept exactly or refused', async (t) => {
  // Each piece of text knows whether anything would be lost by reading it.
  type Piece = { json: string, lossy: boolean }
  const piece = (lossy: boolean, ...texts: string[]) =>
    fc.constantFrom(...texts).map((json): Piece => ({ json, lossy }))
  const sound = (value: fc.Arbitrary<unknown>) =>
    value.map((value): Piece => ({ json: JSON.stringify(value), lossy: false }))
  const key = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 8 }),
    fc.constantFrom('__proto__', 'constructor', 'a', 'b', ':', '"', '\\')
  ).map((key) => JSON.stringify(key))
  const { value } = fc.letrec<{ value: Piece }>((tie) => ({
    value: fc.oneof({ depthSize: 'small', maxDepth: 8 }, {
      weight: 6,
      arbitrary: fc.oneof(
        sound(fc.string({ unit: 'binary' })),
        sound(fc.boolean()),
        sound(fc.integer()),
        piece(false, '1e5', '-1.25E+2', '0.30', 'null', '"\\/"', '"\\uD83D\\uDE00"')
      )
    }, {
      weight: 1,
      arbitrary: piece(
        true,
        '1e999',
        '-0',
        '9007199254740993',
        '1e-999',
        '5e-324',
        '"\\udfff"',
        '{"k":1,"k":1}',
        '{"k":{},"k":[]}',
        'nul',
        ''
      )
    }, {
      weight: 3,
      arbitrary: fc.array(tie('value'), { maxLength: 4 }).map((items) => ({
        json: `[ ${items.map(({ json }) => json).join(' ,\n')}]`,
        lossy: items.some(({ lossy }) => lossy)
      }))
    }, {
      weight: 3,
      arbitrary: fc.uniqueArray(fc.tuple(key, tie('value')), { maxLength: 4, selector: ([key]) => key }).map((
        members
      ) => ({
        json: `{${members.map(([key, { json }]) => `${key}\t: ${json}`).join(',')}}`,
        lossy: members.some(([, { lossy }]) => lossy)
      }))
    })
  }))
  await fc.assert(
    fc.asyncProperty(value, async ({ json, lossy }) => {
      // `[ ]` with a missing item is the one piece of nothing that is good JSON.
      const parsed = (() => {
        try {
          return JSON.parse(json) !== undefined
        } catch {
          return false
        }
      })()
      const status = await keep('/v1/settings/generated', `{"value":${json}}`)
      assert.equal(status >= 400, (lossy && !/^\[ \]$/.test(json)) || !parsed, json)
    }),
    { numRuns: 300 }
  )
  t.ok(counts[200]! > 200, 'many were kept')
})

const anything = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '0',
    '-1',
    '1e1',
    '101',
    'null',
    'true',
    '%00',
    '%2F',
    '..%2f..',
    '%E0%A4%A',
    '%',
    '#',
    '\'"<>',
    'AAAA',
    '${x}',
    '[]',
    '{}',
    'x'.repeat(300),
    'ſ',
    '\u212A'
  )
)

t.test('every route bears wrong bodies, ids, query strings and headers', async (t) => {
  t.ok(routes.length >= 20, `${routes.length} routes`)
  const fields = fc.constantFrom(
    'url',
    'title',
    'tags',
    'description',
    'folderId',
    'position',
    'favorite',
    'value',
    'isPublic',
    'id',
    'rev',
    'createdAt',
    '__proto__',
    'tenantId',
    'deletedAt'
  )
  const body = fc.oneof(
    fc.dictionary(fields, fc.oneof(fc.jsonValue(), anything, fc.constant('https://example.com'))).map((
      value
    ) => JSON.stringify(value)),
    fc.jsonValue().map((value) => JSON.stringify(value)),
    anything
  )
  const parameter = fc.tuple(
    fc.oneof(
      fc.constantFrom(
        'limit',
        'cursor',
        'tag',
        'url',
        'folderId',
        'favorite',
        'sort',
        'limit[]',
        '__proto__'
      ),
      anything
    ),
    anything
  )
  const query = fc.array(parameter, { maxLength: 3 }).map((pairs) =>
    pairs.length === 0
      ? ''
      : `?${
        pairs.map(([name, value]) =>
          `${encodeURIComponent(name.toWellFormed())}=${encodeURIComponent(value.toWellFormed())}`
        ).join('&')
      }`
  )
  const text = fc.string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code))
  })
  const headers = fc.dictionary(
    fc.constantFrom(
      'if-match',
      'if-none-match',
      'idempotency-key',
      'x-request-id',
      'accept',
      'range',
      'content-type',
      'x-forwarded-for',
      'cookie',
      'origin'
    ),
    fc.oneof(
      text,
      fc.constantFrom(
        '',
        '*',
        '"1"',
        'W/"1"',
        '"1", "2"',
        '"99999999999999999999"',
        '1',
        '"',
        ',',
        '*, "1"',
        'application/json'
      )
    ),
    { maxKeys: 2 }
  )
  for (const { method, url } of routes) {
    await fc.assert(
      fc.asyncProperty(anything, query, headers, body, async (id, query, headers, body) => {
        await send(
          method,
          `${url.replace(/:\w+/, encodeURIComponent(id.toWellFormed()))}${query}`,
          ['GET', 'HEAD'].includes(method) ? undefined : body,
          headers
        )
        // The same without what is wrong elsewhere, so that each part is reached.
        if (url.includes(':')) {
          await send(
            method,
            url.replace(/:\w+/, id.startsWith('x') ? id : 'u1'),
            ['POST', 'PUT', 'PATCH'].includes(method) ? body : undefined
          )
        }
        if (method === 'GET') await send(method, `${url.replace(/:\w+/, 'u1')}${query}`)
      }),
      { numRuns: 25 }
    )
    for (const wrong of ['TRACE', 'OPTIONS', 'PROPFIND', 'SEARCH', 'POST', 'PATCH', 'DELETE']) {
      if (!routes.some((route) => route.url === url && route.method === wrong)) {
        t.ok((await send(wrong, url.replace(/:\w+/, 'x'))).status >= 400, `${wrong} ${url}`)
      }
    }
  }
})

t.test('ids, query strings and headers outside the grammar are refused by name', async (t) => {
  const ids = ['a', 'A', '0', 'a-_', 'a'.repeat(64), 'a'.repeat(65), 'a'.repeat(256), 'a'.repeat(300), 'a.b',
    '-a', '_a', '.a', 'é', '%C3%A9', '%E2%84%AA', '%00', 'a%00', 'a%0A', '%2F', 'a%2Fb', '..%2Fx', '%23',
    'a%23b', 'a%20', '%E0%A4%A', '%', '%zz', '%FF', 'a;b', 'a,b', 'a:b', 'a*', '*', 'a%3F', '$a', '(a)',
    '%F0%9F%98%80', '%61']
  for (const [kind, grammar] of [['bookmarks', PLAIN_ID], ['settings', DOTTED_ID]] as const) {
    for (const id of ids) {
      const fits = (() => {
        try {
          return grammar.test(decodeURIComponent(id))
        } catch {
          return false
        }
      })()
      t.equal((await send('GET', `/v1/${kind}/${id}`)).status, fits ? 404 : 400, `${kind}/${id.slice(0, 20)}`)
    }
  }
  const page = await send('GET', '/v1/settings?limit=1')
  const foreign = [page.body.cursor as string]
  for (const id of ['1', '2']) await other.put(`/v1/bookmarks/${id}`, { url: 'https://x', title: id })
  foreign.push(
    (await other.get('/v1/bookmarks?limit=1')).body.cursor,
    (await other.get('/v1/bookmarks?limit=1&sort=-createdAt')).body.cursor
  )
  for (const id of ['1', '2']) {
    await send('PUT', `/v1/bookmarks/${id}`, { url: 'https://x', title: id, tags: ['t'] })
  }
  foreign.push((await send('GET', '/v1/bookmarks?limit=1&tag=t')).body.cursor)
  t.ok(foreign.every((cursor) => typeof cursor === 'string'))
  const own = (await send('GET', '/v1/bookmarks?limit=1')).body.cursor as string
  t.equal((await send('GET', `/v1/bookmarks?limit=1&cursor=${own}`)).status, 200)
  const altered = [own.slice(1), own.slice(0, -1), `${own}A`, `${own}=`, own.toLowerCase(),
    own.replace(/./, (first) => first === 'A' ? 'B' : 'A'), 'null', 'x', '%00', 'AAAA', 'a'.repeat(2049)]
  for (
    const query of ['limit=0', 'limit=101', 'limit=-1', 'limit=', 'limit', 'limit=1.5', 'limit=NaN',
      'limit=Infinity', 'limit=-Infinity', 'limit=1e999', 'limit=1&limit=2', 'limit[]=1', 'x=1',
      '__proto__=1', '__proto__[limit]=1', 'constructor=1', 'LIMIT=1', '=', 'cursor=', 'sort=createdAt',
      'sort=', 'favorite=1', 'favorite=', 'tag=', 'tag=a&tag=b', 'folderId=..', 'folderId=', 'url=',
      `tag=${'x'.repeat(65)}`, ...[...foreign, ...altered].map((cursor) => `cursor=${cursor}`)]
  ) t.equal((await send('GET', `/v1/bookmarks?${query}`)).status, 400, query.slice(0, 40))
  for (const query of ['limit=100', 'tag=%FF', '', '&', 'tag=a,b', 'url=x']) {
    t.equal((await send('GET', `/v1/bookmarks?${query}`)).status, 200, query)
  }
  for (const path of ['/v1/%70ublic/settings', '/v1/public/%73ettings?limit=1']) {
    t.equal((await send('GET', path)).status, 200, path)
  }

  for (
    const value of ['', '1', '"', '""', '"x"', 'W/"1"', '"1" "2"', '"1",', '*, "1"', '"-1"', '"1.0"',
      '"1234567890123456"', 'é']
  ) {
    t.equal(
      (await send('PUT', '/v1/settings/h', '{"value":1}', { 'if-match': value })).status,
      400,
      `If-Match: ${value}`
    )
  }
  for (const value of ['"999999"', '"1", "2"']) {
    t.equal(
      (await send('PUT', '/v1/settings/h', '{"value":1}', { 'if-match': value })).status,
      412,
      `If-Match: ${value}`
    )
  }
  for (const value of ['', '"1"', 'W/"1"', '**', 'x']) {
    t.equal(
      (await send('PUT', '/v1/settings/h', '{"value":1}', { 'if-none-match': value })).status,
      400,
      `If-None-Match: ${value}`
    )
  }
  for (const value of ['', ' ', 'a b', 'k'.repeat(256), 'é', '\u{1F600}']) {
    t.equal(
      (await send('PUT', '/v1/settings/h', '{"value":1}', { 'idempotency-key': value })).status,
      400,
      `Idempotency-Key of ${value.length}`
    )
  }
  t.equal((await send('GET', '/v1/settings/h')).status, 404, 'none of them was written')
  for (
    const value of ['', 'short', 'x'.repeat(129), 'has space', '../../x', '<script>', 'é'.repeat(9),
      '-12345678']
  ) {
    t.not(
      (await send('GET', '/v1/limits', undefined, { 'x-request-id': value })).headers['x-request-id'],
      value,
      `X-Request-Id: ${value.slice(0, 12)}`
    )
  }
})

t.test('what is hardly HTTP is answered as a problem, or not at all', async (t) => {
  const port = Number(new URL(await hub.app.listen({ host: '127.0.0.1', port: 0 })).port)
  const auth = `Host: h\r\nConnection: close\r\nAuthorization: Bearer ${alice.token}\r\n`
  const put = (headers: string, body = '{"value":1}') =>
    `PUT /v1/settings/raw HTTP/1.1\r\n${auth}Content-Type: application/json\r\n${headers}\r\n\r\n${body}`
  const get = (path: string, headers = auth) => `GET ${path} HTTP/1.1\r\n${headers}\r\n`
  const chunks = 'b\r\n{"value":1}\r\n0\r\n\r\n'
  const cases: [name: string, bytes: string, statuses: number[]][] = [['a good request',
    put('Content-Length: 11'), [201]], ['chunks', put('Transfer-Encoding: chunked', chunks), [200]], [
    'Expect: 100-continue',
    put('Content-Length: 11\r\nExpect: 100-continue'),
    [100, 200]
  ], ['another Expect', put('Content-Length: 11\r\nExpect: garbage'), [417]], ['a body shorter than told',
    put('Content-Length: 50'), [400]], ['a body longer than told', put('Content-Length: 5'), [400]], [
    'two lengths',
    put('Content-Length: 11\r\nContent-Length: 12'),
    [400]
  ], ['a negative length', put('Content-Length: -1'), [400]], ['a length that is none',
    put('Content-Length: 1e1'), [400]], ['a huge length', put('Content-Length: 99999999999999999999'), [400]],
    ['a length over the limit', put('Content-Length: 1048577'), [413]], ['length and chunks',
    put('Content-Length: 11\r\nTransfer-Encoding: chunked', chunks), [400]], ['an unknown coding',
    put('Transfer-Encoding: xchunked', chunks), [400]], ['chunked not last',
    put('Transfer-Encoding: chunked, identity', chunks), [400]], ['chunked twice',
    put('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity', chunks), [400]], ['a chunk of no size',
    put('Transfer-Encoding: chunked', `zz\r\n${chunks}`), [400]], ['a negative chunk',
    put('Transfer-Encoding: chunked', `-1\r\n${chunks}`), [400]], ['coding with a tab',
    put('Transfer-Encoding:\tchunked', chunks), [200]], ['a space before the colon',
    put('Transfer-Encoding : chunked', chunks), [400]], ['a header of 20 KB',
    get('/health', `Host: h\r\nX: ${'x'.repeat(20_000)}\r\n`), [431]], ['a path of 20 KB',
    get(`/v1/bookmarks/${'x'.repeat(20_000)}`), [431]], ['no Host', get('/health', 'Connection: close\r\n'), [
    400
  ]], ['two Hosts', get('/health', 'Host: a\r\nHost: b\r\nConnection: close\r\n'), [400]], [
    'a NUL in a header',
    get('/health', 'Host: h\r\nX: a\0b\r\n'),
    [400]
  ], ['a folded header', get('/health', 'Host: h\r\nX: a\r\n b\r\n'), [400]], ['bare line feeds',
    'GET /health HTTP/1.1\nHost: h\n\n', [400]], ['an unknown method', `FOO / HTTP/1.1\r\n${auth}\r\n`, [
    400
  ]], ['a lower-case method', `get / HTTP/1.1\r\n${auth}\r\n`, [400]], ['TRACE',
    `TRACE /v1/bookmarks HTTP/1.1\r\n${auth}\r\n`, [405]], ['OPTIONS *', `OPTIONS * HTTP/1.1\r\n${auth}\r\n`,
    [404]], ['HTTP/2 without asking', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400]], ['TLS',
    '\x16\x03\x01\x02\x00\x01', [400]], ['an absolute form', get('http://evil.example/v1/public/settings'), [
    200
  ]], ['climbing out', get('/v1/bookmarks/../settings'), [404]], ['climbing out, encoded',
    get('/docs/static/..%2f..%2f..%2fpackage.json'), [404]], ['a NUL in the path', get('/docs/static/%00'), [
    400
  ]], ['a fragment', get('/v1/bookmarks/a#b'), [400]], ['raw bytes in the path', get('/v1/bookmarks/\xff'), [
    400
  ]], ['a range beyond the end', get('/docs/static/swagger-ui.css', `${auth}Range: bytes=99999999-\r\n`), [
    400
  ]], ['a key that is not ASCII', put('Content-Length: 11\r\nIdempotency-Key: \xe9'), [400]], ['an upgrade',
    get('/health', 'Host: h\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n'), [200]], ['two tokens',
    get('/v1/bookmarks', `${auth}Authorization: Bearer x\r\n`), [401]]]
  for (const [name, bytes, expected] of cases) {
    const socket = connect(port, '127.0.0.1')
    const received: Buffer[] = []
    socket.on('data', (data) => received.push(data)).on(
      'error',
      () => {/* the hub may hang up while we still send */}
    )
    socket.write(bytes, 'latin1')
    // The one request whose end nobody would wait for: it hangs up.
    if (name === 'a body shorter than told') socket.end()
    await once(socket, 'close')
    const answers = Buffer.concat(received).toString().split(/(?=HTTP\/1\.1 \d{3} )/)
    t.same(answers.map((answer) => Number(answer.slice(9, 12))), expected, name)
    for (const answer of answers) {
      hold(
        Number(answer.slice(9, 12)),
        /content-type: (.*)/i.exec(answer)?.[1],
        answer.slice(answer.indexOf('\r\n\r\n') + 4),
        name
      )
    }
  }
})

t.test('that was a lot', async (t) => {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
  t.ok(total >= 2000, `${total} inputs`)
  t.ok(
    ['200', '201', '400', '404', '412', '413', '415'].every((status) => counts[status]! > 0),
    'of every kind'
  )
})
