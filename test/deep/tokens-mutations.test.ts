import { constants, createHash, createPublicKey, generateKeyPairSync } from 'node:crypto'
import fc, { type Arbitrary } from 'fast-check'
import t, { type Test } from 'tap'
import { figure, sized } from '../harness/figures.ts'
import { startEntries } from '../harness/lambda.ts'
import {
  encode,
  forge,
  hmac,
  namedKey,
  newRsaKey,
  signedBy,
  startPools,
  startTrap,
  watchRequests,
  type Pool,
  type Signer
} from '../harness/tokens.ts'

/**
 * Tokens by the thousand that are nearly good, or come from where they should not: at each entry none is
 * taken, and none is an error of ours.
 */

t.setTimeout(1_800_000)
const ISSUER = 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab3dEfGhI'
const { pool, entries } = await startPools(t)
const trap = await startTrap(t)
const asked = watchRequests()
// Each pool has a key of its own, two of them under the same name: no signature of one is good for another.
const [mainKey, idsKey, acmeKey, strangerKey] = [newRsaKey(), newRsaKey(), newRsaKey(), newRsaKey()]
const main = pool('main', { issuer: ISSUER, key: namedKey('k1', mainKey) })
const ids = pool('ids', { tokenUse: 'id', key: namedKey('k1', idsKey) })
const acme = pool('acme', { tenant: { fixed: 'acme' }, key: namedKey('k-acme', acmeKey) })
const { log, ways } = await startEntries(t, entries())
const startedAt = Date.now()

interface Good {
  pool: Pool
  key: typeof mainKey
  header: Record<string, unknown>
  claims: Record<string, unknown>
  token: string
  parts: [string, string, string]
}
const goods = ([[main, mainKey], [ids, idsKey], [acme, acmeKey]] as const).map(([pool, key]): Good => {
  const [header, claims] = [pool.header(), pool.claims()]
  const token = forge(header, claims, signedBy(key))
  return { pool, key, header, claims, token, parts: token.split('.') as Good['parts'] }
})
const takenAsTheyAre = new Set(goods.map(({ token }) => token))
const good = fc.constantFrom(...goods)
const SPARE = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_']

const publicPem = createPublicKey(mainKey).export({ type: 'spki', format: 'pem' })
const ecKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const edKey = generateKeyPairSync('ed25519').privateKey
/** Signers whose signature is good for no token of this pool under RS256. */
const wrongSigner = ({ key }: Good): Arbitrary<Signer> =>
  fc.constantFrom<Signer>(
    signedBy(strangerKey),
    ...goods.filter((other) => other.key !== key).map((other) => signedBy(other.key)),
    signedBy(key, 'sha512'),
    signedBy(key, 'sha384'),
    signedBy(key, 'sha1'),
    signedBy(key, 'sha256', { padding: constants.RSA_PKCS1_PSS_PADDING }),
    hmac(publicPem),
    hmac(createPublicKey(key).export({ type: 'spki', format: 'pem' })),
    hmac(createPublicKey(key).export({ type: 'spki', format: 'der' })),
    hmac(JSON.stringify(createPublicKey(key).export({ format: 'jwk' }))),
    hmac(''),
    hmac('k1'),
    signedBy(ecKey),
    signedBy(ecKey, 'sha256', { dsaEncoding: 'ieee-p1363' }),
    signedBy(edKey, null as never),
    () => Buffer.alloc(256),
    () => Buffer.alloc(0),
    (input) => createHash('sha256').update(input).digest(),
    (input) => Buffer.from(input)
  )
const algorithm = fc.constantFrom(
  'RS256',
  'RS256',
  'RS256',
  'RS256',
  'RS256',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'ES256',
  'EdDSA',
  'HS256',
  'HS384',
  'HS512',
  'none',
  'None',
  'rs256',
  ''
)

/** JSON that no claim is made of: what is left of it must be refused for each claim by itself. */
const json = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom<unknown>(
    '',
    ' ',
    0,
    -1,
    1,
    1e300,
    true,
    false,
    null,
    [],
    {},
    '__proto__',
    'none',
    'admin',
    '\ud800',
    '\u0000',
    '../..',
    '*',
    '#',
    trap.url
  )
)
const claimName = fc.constantFrom(
  'sub',
  'iss',
  'exp',
  'iat',
  'nbf',
  'aud',
  'token_use',
  'client_id',
  'custom:tenant_id',
  'cognito:groups',
  '__proto__',
  'constructor',
  'x'
)
const headerName = fc.constantFrom(
  'alg',
  'kid',
  'typ',
  'crit',
  'jwk',
  'jku',
  'x5u',
  'x5c',
  'cty',
  'b64',
  'zip',
  '__proto__',
  'x'
)
const change = (name: Arbitrary<string>) =>
  fc.dictionary(name, fc.option(json, { nil: undefined, freq: 4 }), { minKeys: 1, maxKeys: 3 })
const notText = json.filter((value) => typeof value !== 'string')
const at = (text: string) => fc.nat({ max: text.length - 1 })
/** The same name twice, the wrong value first: readers differ on which counts. */
const twice = (part: Record<string, unknown>) =>
  fc.tuple(fc.constantFrom(...Object.keys(part)), json).filter(([name, value]) =>
    JSON.stringify(value) !== JSON.stringify(part[name])
  )
    .map(([name, value]) =>
      JSON.stringify(part).replace('{', () => `{${JSON.stringify(name)}:${JSON.stringify(value)},`)
    )
/** JSON that isn't an object of claims any more, whoever signs it. */
const broken = (part: object) => {
  const text = JSON.stringify(part)
  return fc.oneof(
    fc.nat({ max: text.length - 1 }).map((end) => text.slice(0, end)),
    fc.constantFrom(
      `[${text}]`,
      JSON.stringify(text),
      `${text}${text}`,
      `${text},`,
      `{"x":${text}}`,
      `{"__proto__":${text}}`,
      `\ufeff${text}`,
      text.replaceAll('"', "'"),
      text.replace('{', '{,'),
      `/**/${text}`
    ),
    json.filter((value) => typeof value !== 'object' || value === null || Array.isArray(value)).map((value) =>
      JSON.stringify(value)
    )
  )
}

const strange = fc.constantFrom(...SPARE, ...'.+/=~ %"\'\\,;:\t\n\u0000\u00a0é\u0430\u200b\uff0e\u{1F511}')
const char = fc.constantFrom(...SPARE, '.')
const piece = fc.oneof(
  good.chain(({ parts }) => fc.constantFrom(...parts)),
  fc.constantFrom('', 'e30', 'W10', 'bnVsbA', encode({ alg: 'none' }), encode(main.claims({ sub: 'bob' })))
)

/** Ways to spoil a good token, each with how often it is taken. */
const MUTATIONS: Record<string, { weight: number, of: (good: Good) => Arbitrary<string> }> = {
  'a character replaced': {
    weight: 6,
    of: ({ token }) => fc.tuple(at(token), char).map(([i, c]) => token.slice(0, i) + c + token.slice(i + 1))
  },
  'text put in': {
    weight: 5,
    of: ({ token }) =>
      fc.tuple(at(token), fc.string({ unit: strange, minLength: 1 })).map(([i, s]) =>
        token.slice(0, i) + s + token.slice(i)
      )
  },
  'text cut out': {
    weight: 5,
    of: ({ token }) =>
      fc.tuple(at(token), at(token)).map(([i, n]) => token.slice(0, i) + token.slice(i + n + 1))
  },
  'text repeated': {
    weight: 4,
    of: ({ token }) =>
      fc.tuple(at(token), at(token)).map(([i, n]) => token.slice(0, i + n + 1) + token.slice(i))
  },
  'two characters swapped': {
    weight: 5,
    of: ({ token }) =>
      fc.tuple(at(token), at(token)).map(([i, j]) => {
        const all = [...token]
        ;[all[i], all[j]] = [all[j]!, all[i]!]
        return all.join('')
      })
  },
  'letters in the other case': {
    weight: 5,
    of: ({ token }) =>
      fc.uniqueArray(at(token), { minLength: 1, maxLength: 20 }).map((places) =>
        [...token].map((c, i) =>
          !places.includes(i) ? c : c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase()
        ).join('')
      )
  },
  'bits flipped in one part': {
    weight: 12,
    of: ({ parts }) =>
      fc.nat({ max: 2 }).chain((n) => {
        const bytes = Buffer.from(parts[n]!, 'base64url')
        return fc.uniqueArray(fc.nat({ max: bytes.length * 8 - 1 }), { minLength: 1, maxLength: 4 }).map(
          (bits) => {
            const copy = Buffer.from(bytes)
            for (const bit of bits) copy[bit >> 3]! ^= 1 << (bit & 7)
            return parts.with(n, copy.toString('base64url')).join('.')
          }
        )
      })
  },
  'parts mixed and dots doubled': {
    weight: 6,
    of: () =>
      fc.tuple(
        fc.array(piece, { minLength: 2, maxLength: 6 }),
        fc.constantFrom('.', '.', '.', '..', '', '. ', '%2E', ',')
      ).map(([all, dot]) => all.join(dot))
  },
  'the signature or payload of another token': {
    weight: 4,
    of: ({ parts, pool, key }) =>
      fc.tuple(fc.constantFrom(1, 2), fc.constantFrom(...goods), change(claimName)).map((
        [n, other, claims]
      ) =>
        parts.with(
          n,
          n === 1
            ? encode(pool.claims(claims))
            : forge(other.header, { ...other.claims, jti: JSON.stringify(claims) }, signedBy(key)).split(
              '.'
            )[2]!
        ).join('.')
      )
  },
  'parts padded or in another alphabet': {
    weight: 4,
    of: ({ parts }) =>
      fc.array(fc.tuple(fc.constantFrom('', '=', '==', '%3D', ' ', '\t', '\u0000', 'A'), fc.boolean()), {
        minLength: 3,
        maxLength: 3
      }).map((ends) =>
        parts.map((part, i) =>
          (ends[i]![1] ? Buffer.from(part, 'base64url').toString('base64').replaceAll('=', '') : part) +
          ends[i]![0]
        ).join('.')
      )
  },
  'claims changed under the old signature': {
    weight: 12,
    of: ({ claims, parts }) =>
      change(claimName).map((changes) => `${parts[0]}.${encode({ ...claims, ...changes })}.${parts[2]}`)
  },
  'header changed under the old signature': {
    weight: 6,
    of: ({ header, parts }) =>
      change(headerName).map((changes) => `${encode({ ...header, ...changes })}.${parts[1]}.${parts[2]}`)
  },
  'signed anew by who may not': {
    weight: 14,
    of: (good) =>
      fc.tuple(
        wrongSigner(good),
        algorithm,
        fc.constantFrom('k1', 'k-acme'),
        fc.option(change(headerName), { freq: 2 }),
        fc.option(change(claimName), { freq: 2 })
      ).map(([signer, alg, kid, header, claims]) =>
        forge({ ...good.header, alg, kid, ...header }, { ...good.claims, ...claims }, signer)
      )
  },
  'well signed, a claim spoiled': {
    weight: 6,
    of: ({ pool: { entry: { tokenUse } }, key, header, claims }) =>
      fc.oneof(
        fc.tuple(
          fc.constantFrom('iss', 'sub', 'token_use', tokenUse === 'access' ? 'client_id' : 'aud'),
          fc.option(notText, { nil: undefined })
        ).map(([name, value]) => ({ [name]: value })),
        fc.tuple(
          fc.constantFrom('iss', 'sub', 'token_use', tokenUse === 'access' ? 'client_id' : 'aud'),
          fc.constantFrom('#', '*', ' ', '/', '\n', '\u0000', '\u0430', '\ud800', '.', '%'),
          fc.boolean()
        ).map(([name, extra, isFirst]) => ({
          [name]: isFirst ? `${extra}${String(claims[name])}` : `${String(claims[name])}${extra}`
        })),
        fc.option(json.filter((value) => typeof value !== 'number' || value < 1.7e9 || value >= 1e11), {
          nil: undefined
        }).map((exp) => ({ exp })),
        fc.tuple(
          fc.constantFrom('iat', 'nbf'),
          json.filter((value) => typeof value !== 'number' || value <= 0 || value > 2e10)
        ).map(([name, value]) => ({ [name]: value }))
      ).map((spoiled) => forge(header, { ...claims, ...spoiled }, signedBy(key)))
  },
  'well signed, the header spoiled': {
    weight: 3,
    of: ({ key, header, claims }) =>
      fc.oneof(
        fc.tuple(
          fc.constantFrom('alg', 'kid'),
          fc.option(json.filter((value) => value !== 'RS256' && value !== header.kid), { nil: undefined })
        ).map(([name, value]) => ({ [name]: value })),
        fc.tuple(fc.constantFrom('crit', 'jku', 'jwk', 'x5u', 'x5c', 'b64', 'zip'), json).map((
          [name, value]
        ) => ({ [name]: value })),
        notText.map((typ) => ({ typ }))
      ).map((spoiled) => forge({ ...header, ...spoiled }, claims, signedBy(key)))
  },
  'well signed, with two readings': {
    weight: 3,
    of: ({ key, header, claims }) =>
      fc.oneof(
        twice(header).map((text) => forge(text, claims, signedBy(key))),
        twice(claims).map((text) => forge(header, text, signedBy(key)))
      )
  },
  'well signed, not of JSON objects': {
    weight: 3,
    of: ({ key, header, claims }) =>
      fc.oneof(
        broken(header).map((text) => forge(text, claims, signedBy(key))),
        broken(claims).map((text) => forge(header, text, signedBy(key)))
      )
  }
}

/** Addresses of the trap, and of what else a server should not be talked into asking. */
const trapPort = new URL(trap.url).port
const PLACES = [trap.url, `http://localhost:${trapPort}`, `http://127.1:${trapPort}`,
  `http://2130706433:${trapPort}`, `http://0x7f000001:${trapPort}`, `http://0177.0.0.1:${trapPort}`,
  `http://[::ffff:127.0.0.1]:${trapPort}`, `https://127.0.0.1:${trapPort}`, `//127.0.0.1:${trapPort}`,
  `ws://127.0.0.1:${trapPort}`, `http:\\\\127.0.0.1:${trapPort}`, `http:127.0.0.1:${trapPort}`,
  'http://169.254.169.254/latest/meta-data', 'file:///dev/null', 'data:application/json,{"keys":[]}',
  'javascript:0', '/etc/passwd', '../../../../dev/null', '']
const place = fc.constantFrom(...PLACES)
const TWINS: Record<string, string> = {
  a: '\u0430',
  c: '\u0441',
  e: '\u0435',
  i: '\u0456',
  o: '\u03bf',
  p: '\u0440',
  s: '\u0455',
  n: '\uff4e',
  t: '\uff54',
  1: 'l',
  0: 'O',
  l: '1',
  '/': '\u2215',
  '.': '\u3002',
  '-': '\u2010',
  _: '\uff3f',
  ':': '\ufe55'
}
const host = (url: string) => url.replace(/^[a-z]+:\/*/, '')
type Step = (issuer: string) => string
const steps = <T>(values: Arbitrary<T>, toStep: (value: T) => Step): Arbitrary<Step> => values.map(toStep)
/** One step away from a trusted issuer. */
const step = fc.oneof(
  steps(
    fc.constantFrom(
      '/',
      '//',
      '/.',
      '/..',
      '/../eu-west-1_Ab3dEfGhI',
      '#',
      '?',
      '%00',
      '%2e%2e',
      '\u0000',
      ' ',
      '\n',
      '\t',
      '.',
      ';',
      ':443',
      ':80',
      `:${trapPort}`,
      '@',
      '\\',
      '/.well-known/jwks.json',
      '/.well-known/openid-configuration',
      '\u200b'
    ),
    (end) => (issuer) => issuer + end
  ),
  steps(
    fc.tuple(fc.constantFrom('@', '#@', '\\@', '?jwks=', '#', '.', '/', ' ', ',', '\n'), place),
    ([glue, url]) => (issuer) => issuer + glue + (glue === '?jwks=' ? url : host(url))
  ),
  steps(
    fc.tuple(place, fc.constantFrom('/', '?', '#', '@', '\\', '', ' ')),
    ([url, glue]) => (issuer) => url + glue + issuer
  ),
  steps(place, (url) => (issuer) => issuer.replace(/\/\/[^/]*/, () => `//${host(url)}`)),
  steps(
    fc.constantFrom(
      'user@',
      'user:pass@',
      ':@',
      '@',
      `127.0.0.1:${trapPort}@`,
      `127.0.0.1:${trapPort}\\@`,
      `127.0.0.1:${trapPort}#@`,
      `127.0.0.1:${trapPort}/`
    ),
    (user) => (issuer) => issuer.replace('//', () => `//${user}`)
  ),
  steps(
    fc.constantFrom('http', 'HTTPS', 'Https', 'ftp', 'file', 'ws', 'https:https', ''),
    (scheme) => (issuer) => issuer.replace(/^https?/, scheme)
  ),
  steps(
    fc.constantFrom('us-east-1', 'eu-west-2', 'EU-WEST-1', 'eu-west-1.evil'),
    (region) => (issuer) => issuer.replace('eu-west-1', region)
  ),
  steps(fc.nat({ max: 80 }), (i) => (issuer) => {
    const c = issuer[i] ?? ''
    return issuer.slice(0, i) + (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase()) +
      issuer.slice(i + 1)
  }),
  steps(
    fc.nat({ max: 80 }),
    (i) => (issuer) => issuer.slice(0, i) + (TWINS[issuer[i] ?? ''] ?? '') + issuer.slice(i + 1)
  ),
  steps(
    fc.nat({ max: 80 }),
    (i) => (issuer) =>
      i < issuer.length
        ? `${issuer.slice(0, i)}%${issuer.charCodeAt(i).toString(16)}${issuer.slice(i + 1)}`
        : issuer
  ),
  steps(
    fc.tuple(
      fc.nat({ max: 80 }),
      fc.constantFrom('/..', '/.', '//', '/x/..', '..', '\u00ad', '\u200d', '\t', '\n', '%2f', '\\')
    ),
    ([i, s]) => (issuer) => issuer.slice(0, i) + s + issuer.slice(i)
  ),
  steps(fc.nat({ max: 80 }), (i) => (issuer) => issuer.slice(0, i)),
  steps(fc.nat({ max: 80 }), (i) => (issuer) => issuer.slice(i))
)
const trusted = entries().map(({ issuer }) => issuer)
const hostileIssuer = fc.tuple(
  fc.constantFrom(...trusted, ISSUER, ISSUER, main.entry.jwksUri, ...PLACES),
  fc.array(step, { maxLength: 3 })
).map(([start, steps]) => steps.reduce((issuer, step) => step(issuer), start)).filter((issuer) =>
  !trusted.includes(issuer)
)
/**
 * Headers that would like to be asked for a key; one or two of them at a time, so that none hides behind
 * another.
 */
const POINTERS: Record<string, Arbitrary<unknown>> = {
  kid: fc.oneof(
    place,
    fc.tuple(place, fc.constantFrom('k1', 'jwks.json', 'k1.pem')).map((all) => all.join('/')),
    fc.constantFrom(
      'k1/../k1',
      'k1?',
      'k1#',
      'k1\u0000',
      '%6b1',
      '`id`',
      '$(id)',
      "k1' OR '1'='1",
      '| nc 127.0.0.1'
    )
  ),
  jku: fc.oneof(place, place.map((url) => `${url}/.well-known/jwks.json`), fc.constant(main.entry.jwksUri)),
  x5u: place,
  jwk: fc.constantFrom<unknown>(namedKey('k1', strangerKey).jwk, { kty: 'RSA', jku: trap.url }, trap.url),
  x5c: place.map((url) => [url])
}
const pointer = fc.subarray(Object.keys(POINTERS), { minLength: 1, maxLength: 2 }).chain((names) =>
  fc.record(Object.fromEntries(names.map((name) => [name, POINTERS[name]!])))
)
const hostile = fc.oneof(
  fc.tuple(
    fc.constant('a hostile issuer'),
    hostileIssuer.map((iss) => ({ iss })),
    fc.option(pointer, { nil: {}, freq: 2 })
  ),
  fc.tuple(fc.constant('a trusted issuer, and a header that points elsewhere'), fc.constant({}), pointer)
).chain(([kind, claims, header]) =>
  fc.tuple(
    fc.constantFrom(strangerKey, strangerKey, mainKey, idsKey),
    fc.constantFrom({}, {}, { jku: trap.url }, { jwks_uri: trap.url, aud: trap.url })
  ).map(([key, more]) => ({ kind, token: main.token({ ...more, ...claims }, header, signedBy(key)) }))
)

/**
 * Makes so many different tokens and shows each to the server or to the function, half to half: 401, every
 * one. fast-check names the seed of a failure.
 */
async function refuseAll (
  t: Test,
  tokens: Arbitrary<{ kind: string, token: string }>,
  numRuns: number
): Promise<string[]> {
  const seen = new Set<string>()
  const [kinds, shown] = [new Map<string, number>(), new Map<string, number>()]
  const count = (map: Map<string, number>, key: string) => map.set(key, (map.get(key) ?? 0) + 1)
  await fc.assert(
    fc.asyncProperty(
      tokens,
      fc.constantFrom('the server', 'an HTTP API', 'the server', 'a REST API'),
      async ({ kind, token }, way) => {
        const digest = createHash('sha1').update(token).digest('base64')
        fc.pre(!seen.has(digest) && !takenAsTheyAre.has(token))
        const { status, headers, body } = await ways[way]!({
          method: 'GET',
          path: '/v1/tenant',
          headers: { authorization: `Bearer ${token}` }
        })
        const isRefused = status === 401 && headers['www-authenticate']!.startsWith('Bearer ') &&
          (JSON.parse(body.toString()) as { errorType: string }).errorType === 'UNAUTHENTICATED'
        if (!isRefused) throw new Error(`${way} answers ${status}: ${kind}`)
        seen.add(digest)
        count(kinds, kind)
        count(shown, way)
      }
    ),
    { numRuns, maxSkipsPerRun: 1000 }
  )
  for (const [key, n] of [...kinds, ...shown]) t.comment(`${key}: ${n}`)
  t.equal(seen.size, numRuns)
  t.ok(Object.keys(ways).every((way) => shown.get(way)! >= numRuns / 8), 'a good part of them by each way')
  for (const { token } of goods) {
    for (const [name, way] of Object.entries(ways)) {
      t.equal(
        (await way({ method: 'GET', path: '/v1/tenant', headers: { authorization: `Bearer ${token}` } }))
          .status,
        200,
        `${name} still takes the good ones`
      )
    }
  }
  return [...kinds.keys()].sort()
}

t.test('no change to a good token leaves it good', async (t) => {
  const mutant = fc.oneof(
    ...Object.entries(MUTATIONS).flatMap(([kind, { weight, of }]) =>
      goods.map((good) => ({ weight, arbitrary: of(good).map((token) => ({ kind, token })) }))
    )
  )
  const size = sized(2_000, 100_000)
  t.strictSame(await refuseAll(t, mutant, size), Object.keys(MUTATIONS).sort(), 'mutations of every kind')
  figure(t, 'token mutations', size)
})

t.test('a token of a hostile issuer, or with a header that points elsewhere, leads nowhere', async (t) => {
  const size = sized(500, 10_000)
  t.equal((await refuseAll(t, hostile, size)).length, 2)
  figure(t, 'tokens with hostile issuers', size)
  t.equal(trap.connections, 0)
})

t.test('all this while nothing was asked for but the keys of the registry, and rows, and seldom', async (t) => {
  t.equal(trap.connections, 0)
  t.strictSame(
    [...asked].filter((address) => address !== `${process.env.DYNAMODB_ENDPOINT}/`).sort(),
    entries().map(({ jwksUri }) => jwksUri).sort()
  )
  // The server and the function each: once to begin with, and once in 10 s for names of keys that they don't
  // know.
  const most = 2 * (1 + (Date.now() - startedAt) / 10_000)
  for (const { entry, fetches } of [main, ids, acme]) {
    t.ok(fetches >= 2 && fetches <= most, `${entry.jwksUri}: ${fetches} fetches`)
  }
  t.strictSame(
    log.lines.filter((line) => line.includes('"level":"error"')),
    [],
    'and no bad token was an error of ours'
  )
})
