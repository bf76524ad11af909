import { constants, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { connect, type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { figure } from './harness/figures.ts'
import { person, privateKey } from './harness/hub.ts'
import { startEntries, type Asked, type Received } from './harness/lambda.ts'
import {
  encode,
  forge,
  hmac,
  namedKey,
  newRsaKey,
  signedBy,
  startPools,
  startTrap,
  watchRequests
} from './harness/tokens.ts'

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const ISSUER = 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab3dEfGhI'
const REFUSED = {
  status: 401,
  headers: { 'www-authenticate': /^Bearer realm="sync-hub"/, 'content-type': /^application\/problem\+json/ },
  body: { status: 401, errorType: 'UNAUTHENTICATED' }
}

const { pool, entries } = await startPools(t)
const trap = await startTrap(t)
const [otherKey, thirdKey] = [newRsaKey(), newRsaKey()]
const main = pool('main', { issuer: ISSUER })
const other = pool('other', {
  issuer: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Zz9yXwVuT',
  key: namedKey('k-other', otherKey)
})
const ids = pool('ids', { tokenUse: 'id' })
const acme = pool('acme', { tenant: { fixed: 'acme' } })
const globex = pool('globex', { tenant: { fixed: 'globex' }, key: namedKey('k-globex', otherKey) })
const own = pool('own', { tenant: { sub: true } })
const asked = watchRequests()
const { server, log, ways } = await startEntries(t, entries())
const as = (token: string) => person(server, token)
const anyone = person(server, '')
const good = main.token()
const [goodHeader, goodPayload, goodSignature] = good.split('.') as [string, string, string]

const now = Math.floor(Date.now() / 1000)
/** The text of the good payload, with a change that JSON.stringify can't make. */
const payloadText = (change: (text: string) => string) =>
  forge(main.header(), change(JSON.stringify(main.claims())), signedBy(privateKey))
const headerText = (change: (text: string) => string) =>
  forge(change(JSON.stringify(main.header())), main.claims(), signedBy(privateKey))
const publicKey = createPublicKey(privateKey)
const publicPem = publicKey.export({ type: 'spki', format: 'pem' }) as string
const ecKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const evilKey = namedKey('k1', thirdKey)
const rightSignature = signedBy(privateKey)
/** The same bytes, written with other unused bits in the last character. */
const respelled = (part: string) => part.slice(0, -1) + BASE64URL[BASE64URL.indexOf(part.at(-1)!) + 1]!
/** A text of 3n + 1 bytes: its base64url has unused bits to play with. */
const uneven = (value: object) =>
  JSON.stringify(value).padEnd(Math.ceil(JSON.stringify(value).length / 3) * 3 + 1)
const signText = (input: string) => `${input}.${rightSignature(input).toString('base64url')}`

/** Claims that spoil a token which is otherwise good, and well signed by the right key. */
const CLAIMS: Record<string, object> = {
  'an evil issuer': { iss: `${trap.url}/evil` },
  'no issuer': { iss: undefined },
  'issuer null': { iss: null },
  'issuer number': { iss: 1 },
  'issuer true': { iss: true },
  'issuer in an array': { iss: [ISSUER] },
  'issuer object': { iss: { issuer: ISSUER } },
  'issuer empty': { iss: '' },
  'issuer with trailing slash': { iss: `${ISSUER}/` },
  'issuer with userinfo': { iss: ISSUER.replace('//', '//evil@') },
  'issuer as userinfo of an evil host': { iss: `${ISSUER}@${trap.url.slice(7)}` },
  'issuer traversal': { iss: `${ISSUER}/../eu-west-1_Ab3dEfGhI` },
  'issuer dot segment': { iss: ISSUER.replace('/eu-west-1_', '/./eu-west-1_') },
  'issuer of another region': { iss: ISSUER.replaceAll('eu-west-1', 'us-east-1') },
  "issuer on another region's host": { iss: ISSUER.replace('eu-west-1.', 'us-east-1.') },
  'issuer case twin of the pool id': { iss: ISSUER.replace('Ab3dEfGhI', 'aB3DeFgHi') },
  'issuer with upper-case host': { iss: ISSUER.replace('cognito', 'COGNITO') },
  'issuer with port': { iss: ISSUER.replace('.com', '.com:443') },
  'issuer with query': { iss: `${ISSUER}?jwks=${trap.url}` },
  'issuer with fragment': { iss: `${ISSUER}#x` },
  'issuer over http': { iss: ISSUER.replace('https', 'http') },
  'issuer with blanks': { iss: ` ${ISSUER}` },
  'issuer with line end': { iss: `${ISSUER}\n` },
  'issuer with NUL': { iss: `${ISSUER}\u0000` },
  'issuer percent-encoded': { iss: ISSUER.replace('_', '%5F') },
  'issuer with a look-alike letter': { iss: ISSUER.replace('cognito', 'сognito') },
  'issuer prefix': { iss: ISSUER.slice(0, -1) },
  'issuer __proto__': { iss: '__proto__' },
  'the issuer of another pool': { iss: other.entry.issuer },
  "the issuer's JWKS address": { iss: main.entry.jwksUri },
  expired: { exp: now - 1 },
  'expired long ago': { exp: 1 },
  'no exp': { exp: undefined },
  'exp string': { exp: String(now + 3600) },
  'exp 1e300': { exp: 1e300 },
  'exp negative': { exp: -1 },
  'exp null': { exp: null },
  'exp zero': { exp: 0 },
  'exp true': { exp: true },
  'exp array': { exp: [now + 3600] },
  'exp object': { exp: {} },
  'exp in milliseconds': { exp: Date.now() + 3_600_000 },
  'nbf future': { nbf: now + 600 },
  'nbf string': { nbf: '0' },
  'nbf null': { nbf: null },
  'nbf array': { nbf: [1] },
  'nbf 1e300': { nbf: 1e300 },
  'iat future': { iat: now + 600 },
  'iat string': { iat: String(now) },
  'iat null': { iat: null },
  'iat array': { iat: [now] },
  'iat 1e300': { iat: 1e300 },
  'iat negative': { iat: -1 },
  'no token_use': { token_use: undefined },
  'token_use array': { token_use: ['access'] },
  'token_use null': { token_use: null },
  'token_use upper case': { token_use: 'ACCESS' },
  'token_use id': { token_use: 'id' },
  'token_use refresh': { token_use: 'refresh' },
  'an id token': { token_use: 'id', client_id: undefined, aud: 'app-1' },
  'another client': { client_id: 'app-3' },
  'no client_id': { client_id: undefined },
  'client_id array': { client_id: ['app-1'] },
  'client_id null': { client_id: null },
  'client_id number': { client_id: 1 },
  'client_id empty': { client_id: '' },
  'client_id with blank': { client_id: 'app-1 ' },
  'client_id of two': { client_id: 'app-1 app-2' },
  'client_id upper case': { client_id: 'APP-1' },
  'aud instead of client_id': { client_id: undefined, aud: 'app-1' },
  'no sub': { sub: undefined },
  'sub null': { sub: null },
  'sub array': { sub: ['alice'] },
  'sub object': { sub: { id: 'alice' } },
  'sub number': { sub: 7 },
  'sub true': { sub: true },
  'sub empty': { sub: '' },
  'sub with #': { sub: 'alice#x' },
  'sub with *': { sub: 'alice*' },
  'sub with slash': { sub: 'a/b' },
  'sub with dot': { sub: '..' },
  'sub of 65': { sub: 'a'.repeat(65) },
  'sub with line end': { sub: 'alice\n' },
  'sub with NUL': { sub: 'alice\u0000' },
  'sub with a look-alike letter': { sub: 'аlice' },
  'sub with the Kelvin sign': { sub: '\u212Aim' },
  'sub lone surrogate': { sub: 'a\ud800' },
  'sub __proto__': { sub: '__proto__' },
  'sub with leading hyphen': { sub: '-a' },
  'username instead of sub': { sub: undefined, username: 'alice' }
}

/** Headers that spoil it, with the right key's signature over them. */
const HEADERS: Record<string, object> = {
  'kid unknown': { kid: 'k2' },
  'no kid': { kid: undefined },
  'kid null': { kid: null },
  'kid object': { kid: { kid: 'k1' } },
  'kid number': { kid: 1 },
  'kid array': { kid: ['k1'] },
  'kid true': { kid: true },
  'kid of 6 KB': { kid: 'k'.repeat(6144) },
  'kid lone surrogate': { kid: '\ud800' },
  'kid empty': { kid: '' },
  'kid of another pool': { kid: 'k-other' },
  'kid __proto__': { kid: '__proto__' },
  'kid constructor': { kid: 'constructor' },
  'kid traversal': { kid: '../../../../dev/null' },
  'kid a URL': { kid: `${trap.url}/key` },
  'kid upper case': { kid: 'K1' },
  'kid with NUL': { kid: 'k1\u0000' },
  'kid with a quote': { kid: "k1' OR 1=1" },
  ...Object.fromEntries(
    ['none', 'None', 'NONE', 'nOnE', 'HS256', 'HS512', 'RS384', 'RS512', 'PS256', 'ES256', 'EdDSA', 'rs256',
      'RS256 ', 'RSA-OAEP', 'dir', ''].map((alg) => [`alg ${alg} over an RS256 signature`, { alg }])
  ),
  'no alg': { alg: undefined },
  'alg null': { alg: null },
  'alg array': { alg: ['RS256'] },
  'alg object': { alg: { toString: 'RS256' } },
  'alg number': { alg: 256 },
  'crit empty': { crit: [] },
  'crit exp': { crit: ['exp'], exp: now + 60 },
  'crit unknown': { crit: ['x'], x: 1 },
  'crit a string': { crit: 'exp' },
  'crit null': { crit: null },
  'b64 false': { b64: false, crit: ['b64'] },
  'b64 true': { b64: true },
  'zip': { zip: 'DEF' },
  'jku evil': { jku: `${trap.url}/jwks` },
  'jku our own': { jku: main.entry.jwksUri },
  'x5u evil': { x5u: `${trap.url}/cert` },
  'x5c': { x5c: [publicKey.export({ type: 'spki', format: 'der' }).toString('base64')] },
  'its own jwk': { jwk: main.key.jwk },
  'jwk null': { jwk: null },
  'typ number': { typ: 1 },
  'typ null': { typ: null },
  'typ array': { typ: ['JWT'] },
  'typ of a DPoP proof': { typ: 'dpop+jwt' },
  'typ of a logout token': { typ: 'logout+jwt' },
  'typ empty': { typ: '' }
}

const signedWith = (alg: string, signer: Parameters<typeof forge>[2], header: object = {}) =>
  main.token({}, { alg, ...header }, signer)
const TOKENS: Record<string, string> = {
  'HS256 with the public key PEM': signedWith('HS256', hmac(publicPem)),
  'HS256 with the trimmed PEM': signedWith('HS256', hmac(publicPem.trim())),
  'HS256 with the PKCS 1 PEM': signedWith('HS256', hmac(publicKey.export({ type: 'pkcs1', format: 'pem' }))),
  'HS256 with the DER': signedWith('HS256', hmac(publicKey.export({ type: 'spki', format: 'der' }))),
  'HS256 with the JWK text': signedWith('HS256', hmac(JSON.stringify(main.key.jwk))),
  'HS256 with the modulus': signedWith('HS256', hmac(main.key.jwk.n!)),
  'HS256 with an empty key': signedWith('HS256', hmac('')),
  'RS256 in name, HS256 in fact': signedWith('RS256', hmac(publicPem)),
  'RS384 by the right key': signedWith('RS384', signedBy(privateKey, 'sha384')),
  'RS512 by the right key': signedWith('RS512', signedBy(privateKey, 'sha512')),
  'RS256 in name, RS512 in fact': signedWith('RS256', signedBy(privateKey, 'sha512')),
  'PS256 by the right key': signedWith(
    'PS256',
    signedBy(privateKey, 'sha256', { padding: constants.RSA_PKCS1_PSS_PADDING })
  ),
  'RS256 in name, PS256 in fact': signedWith(
    'RS256',
    signedBy(privateKey, 'sha256', { padding: constants.RSA_PKCS1_PSS_PADDING })
  ),
  'ES256': signedWith('ES256', signedBy(ecKey, 'sha256', { dsaEncoding: 'ieee-p1363' })),
  'RS256 in name, ES256 in fact': signedWith(
    'RS256',
    signedBy(ecKey, 'sha256', { dsaEncoding: 'ieee-p1363' })
  ),
  'ES256 of zeroes': signedWith('ES256', () => Buffer.alloc(64)),
  'alg none, no signature': `${encode(main.header({ alg: 'none' }))}.${goodPayload}.`,
  'alg none, two parts': `${encode(main.header({ alg: 'none' }))}.${goodPayload}`,
  'alg none and a signature of one byte': main.token({}, { alg: 'none' }, () => Buffer.alloc(1)),
  'an evil key under the right name': main.token({}, {}, signedBy(thirdKey)),
  'an evil key that it embeds': main.token({}, { jwk: evilKey.jwk }, signedBy(thirdKey)),
  'an evil key at its jku': main.token({}, { jku: `${trap.url}/jwks` }, signedBy(thirdKey)),
  'an evil key at its x5u': main.token({}, { x5u: `${trap.url}/c` }, signedBy(thirdKey)),
  "an evil issuer's own token": main.token({ iss: trap.url, jwksUri: `${trap.url}/jwks` }, {
    jku: `${trap.url}/jwks`
  }, signedBy(thirdKey)),
  "pool B's key and name under pool A's issuer": main.token({}, { kid: 'k-other' }, signedBy(otherKey)),
  "pool B's key, pool A's key name": main.token({}, {}, signedBy(otherKey)),
  "pool A's key under pool B's issuer": other.token({}, {}, rightSignature),
  "a tenant's own key under another tenant's issuer": acme.token({ iss: globex.entry.issuer }),
  "and under the other key's name": acme.token({ iss: globex.entry.issuer }, { kid: 'k-globex' }),
  'the key of an issuer under a name that only another has': globex.token({ 'custom:tenant_id': undefined }, {
    kid: 'k1'
  }),
  'an access token where the issuer gives id tokens': ids.token({
    token_use: 'access',
    client_id: 'app-1',
    aud: undefined
  }),
  'token_use access with aud': ids.token({ token_use: 'access' }),
  'an id token with client_id': ids.token({ aud: undefined, client_id: 'app-1' }),
  'an id token for two': ids.token({ aud: ['app-1', 'app-2'] }),
  'an id token for another': ids.token({ aud: 'app-3' }),
  'no signature': `${goodHeader}.${goodPayload}.`,
  'a cut signature': good.slice(0, -8),
  'half a signature': good.slice(0, -171),
  'a signature with a zero byte more': main.token(
    {},
    {},
    (input) => Buffer.concat([rightSignature(input), Buffer.alloc(1)])
  ),
  'a signature of zeroes': main.token({}, {}, () => Buffer.alloc(256)),
  'a signature of 0xff': main.token({}, {}, () => Buffer.alloc(256, 255)),
  'a padded signature': `${good}==`,
  'every part padded': good.split('.').map((part) => part.padEnd(Math.ceil(part.length / 4) * 4, '=')).join(
    '.'
  ),
  'another spelling of the same signature': `${goodHeader}.${goodPayload}.${respelled(goodSignature)}`,
  'the signature of another token': `${goodHeader}.${goodPayload}.${main.token({ jti: 'x' }).split('.')[2]!}`,
  'the signature in hex': `${goodHeader}.${goodPayload}.${
    Buffer.from(goodSignature, 'base64url').toString('hex')
  }`,
  'the signature with line end': `${good}%0A`,
  'the payload of another token': `${goodHeader}.${encode(main.claims({ sub: 'bob' }))}.${goodSignature}`,
  'the header respelled and signed so': signText(
    `${respelled(encode(uneven(main.header())))}.${goodPayload}`
  ),
  'the payload respelled and signed so': signText(
    `${goodHeader}.${respelled(encode(uneven(main.claims())))}`
  ),
  'one part': goodHeader,
  'two parts': `${goodHeader}.${goodPayload}`,
  'four parts': `${good}.${goodSignature}`,
  'five parts, as a JWE': `${good}.${goodSignature}.${goodSignature}`,
  'empty parts': '..',
  'an empty header': `.${goodPayload}.${goodSignature}`,
  'an empty payload': `${goodHeader}..${goodSignature}`,
  'a leading dot': `.${good}`,
  'a trailing dot': `${good}.`,
  'not base64url': 'a+b.c/d.e=f',
  'plain text': 'hunter2',
  'a token in quotes': `"${good}"`,
  'a device token': `shd_${'a'.repeat(43)}`,
  'a JWS in JSON': encode({ protected: goodHeader, payload: goodPayload, signature: goodSignature }),
  ...Object.fromEntries(
    ['[]', 'null', '"text"', '5', 'true', '{}', '', ' ', '{', '[{}]', '\ufeff{}', 'undefined'].flatMap((
      part
    ) => [[`header ${part}`, forge(part, main.claims(), rightSignature)], [`payload ${part}`,
      forge(main.header(), part, rightSignature)]]
    )
  ),
  'payload in an array': payloadText((json) => `[${json}]`),
  'payload as a string': payloadText((json) => JSON.stringify(json)),
  'payload with more behind it': payloadText((json) => `${json}{}`),
  'payload with a comment': payloadText((json) => `${json}//`),
  'payload with a byte order mark': payloadText((json) => `\ufeff${json}`),
  'payload nested deep': payloadText((json) => json.replace('{', `{"x":${'['.repeat(4000)},`)),
  'sub twice': payloadText((json) => json.replace('{', '{"sub":"mallory",')),
  'sub twice, once escaped': payloadText((json) => json.replace('{', '{"s\\u0075b":"mallory",')),
  'tenant twice': payloadText((json) => json.replace('{', '{"custom:tenant_id":"globex",')),
  'iss twice': payloadText((json) => json.replace('{', `{"iss":"${trap.url}",`)),
  'exp twice': payloadText((json) => json.replace('{', '{"exp":1,')),
  'a name twice, further in': payloadText((json) => json.replace('{', '{"x":{"a":1,"a":2},')),
  'alg twice': headerText((json) => json.replace('{', '{"alg":"none",')),
  'kid twice': headerText((json) => json.replace('{', '{"kid":"k-other",')),
  'exp 1e400': payloadText((json) => json.replace(/"exp":\d+/, '"exp":1e400')),
  'claims in __proto__': payloadText((json) => `{"__proto__":${json}}`),
  'sub in __proto__': payloadText((json) => json.replace('"sub":"alice"', '"__proto__":{"sub":"alice"}')),
  'header in __proto__': headerText((json) => `{"__proto__":${json}}`),
  'kid in __proto__': headerText((json) => json.replace('"kid":"k1"', '"__proto__":{"kid":"k1"}')),
  'claims in constructor.prototype': payloadText((json) => `{"constructor":{"prototype":${json}}}`),
  'a token of 13 KB, well signed': main.token({ padding: 'x'.repeat(10_000) })
}

/** What may stand in Authorization, and elsewhere, and is no bearer token. */
const AUTHORIZATION: Record<string, Record<string, string>> = {
  ...Object.fromEntries(
    ['', 'Bearer', 'Bearer ', `Bearer  ${good}`, `Bearer\t${good}`, ` Bearer ${good}`, `Bearer ${good} `,
      `Bearer ${good} x`, `Bearer ${good},Bearer ${good}`, `Bearer ${good}, ${good}`, `Bearer:${good}`,
      `Bearer=${good}`, `Bearer${good}`, `Bearer\u00a0${good}`, `Bearer token=${good}`, `Basic ${good}`,
      `Basic ${Buffer.from(`alice:${good}`).toString('base64')}`, `Token ${good}`, `JWT ${good}`,
      `DPoP ${good}`, `BearerX ${good}`, `Bеarer ${good}`, good, 'Bearer undefined', 'Bearer null',
      `Bearer ${good}é`, `Bearer ${good}\u{1F511}`, `Bearer é.é.é`, `Bearer ${'a'.repeat(20_000)}`,
      `Bearer ${'a.'.repeat(6000)}`, `Bearer ${'.'.repeat(9000)}`]
      .map((
        authorization
      ) => [
        `Authorization: ${
          JSON.stringify(authorization.replaceAll(good, '<good>')).slice(0, 40)
        }, ${authorization.length} long`,
        { authorization }
      ])
  ),
  'no header at all': {},
  'a cookie': { cookie: `token=${good}; access_token=${good}; authorization=Bearer ${good}` },
  'x-access-token': { 'x-access-token': good },
  'proxy-authorization': { 'proxy-authorization': `Bearer ${good}` },
  'x-authorization': { 'x-authorization': `Bearer ${good}` },
  'x-amzn-oidc-data': { 'x-amzn-oidc-data': good }
}

/**
 * Well signed, by the right key and for the right client, but of no tenant, of none that there can be, or of
 * one that is not the pool's.
 */
const TENANTS: readonly { refusal: Refusal, tokens: string[] }[] = [{
  refusal: [401, 'MISSING_TENANT_ID'],
  tokens: [{ 'custom:tenant_id': undefined }, { 'custom:tenant_id': null }, { 'custom:tenant_id': '' }, {
    'custom:tenant_id': undefined,
    tenant_id: 'acme',
    'Custom:tenant_id': 'acme'
  }].map((claims) => main.token(claims))
}, {
  refusal: [400, 'INVALID_TENANT_ID'],
  tokens: [7, 0, true, false, ['acme'], [], { id: 'acme' }, 'Acme', 'ACME', 'acme#x', 'acme*', 'acme?', 'a b',
    ' acme', 'acme\n', 'acme\u0000', 'acme/x', '..', 'acme.x', 'acme_x', '-acme', 'acme-', 'a'.repeat(49),
    'ab', 'a', 'асme', '\u212Aim', 'ａcme', 'acmé', 'acme\u200b', '\ud800acme', '__proto__', 'TENANT#acme']
    .map((claimed) => main.token({ 'custom:tenant_id': claimed }))
}, {
  refusal: [400, 'INVALID_TENANT_ID'],
  tokens: ['Alice', 'ab', 'a_b', 'a'.repeat(49)].map((sub) => own.token({ sub }))
}, {
  refusal: [403, 'UNAUTHORIZED_ACCESS'],
  tokens: ['globex', 'Acme', '', null, ['acme'], 7, {}].map((claimed) =>
    acme.token({ 'custom:tenant_id': claimed })
  )
}]

/** How a request is refused: status and errorType. */
type Refusal = [status: number, errorType: string]
const refusalOf = ({ status, headers, body }: Received) => ({
  status,
  challenge: headers['www-authenticate'],
  type: headers['content-type'],
  body: JSON.parse(body.toString()) as object
})
/** The answer to one request, by each way. */
const everywhere = async (asked: Partial<Asked>) =>
  Object.fromEntries(
    await Promise.all(
      Object.entries(ways).map(async ([name, way]) =>
        [name, refusalOf(await way({ method: 'GET', path: '/v1/tenant', ...asked }))] as const
      )
    )
  )
const everyWay = ([status, errorType]: Refusal = [401, 'UNAUTHENTICATED']) =>
  Object.fromEntries(
    Object.keys(ways).map((
      name
    ) => [name, {
      status,
      challenge: status === 401 ? /^Bearer realm="sync-hub"/ : undefined,
      type: /^application\/problem\+json/,
      body: { status, errorType }
    }])
  )
const encodedPayload = (token: string) => Buffer.from(token.split('.')[1]!, 'base64url').toString()

t.test('a good token is taken, with the scheme in any case', async (t) => {
  for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
    t.match(await anyone.get('/v1/tenant', { authorization: `${scheme} ${good}` }), {
      status: 200,
      body: { tenantId: 'acme', userId: 'alice' }
    })
  }
  for (const header of [{ typ: undefined }, { typ: 'at+jwt' }, { typ: 'application/at+jwt' }]) {
    t.equal(
      (await as(main.token({ client_id: 'app-2', iat: undefined, nbf: now + 30 }, header)).get('/v1/tenant'))
        .status,
      200
    )
  }
  t.equal((await as(ids.token()).get('/v1/tenant')).status, 200, 'an id token where the registry says so')
  t.equal(
    (await as(payloadText((json) => `\n ${json.replaceAll('/', '\\/')} `)).get('/v1/tenant')).status,
    200,
    'JSON may be written in other ways'
  )
})

t.test('a bad token is refused in the same way at every entry, and leads nowhere', async (t) => {
  t.same(
    Buffer.from(respelled(goodSignature), 'base64url'),
    Buffer.from(goodSignature, 'base64url'),
    'the respelled signature is the same bytes'
  )
  const cases = new Map<string, { headers: Record<string, string>, refusal: Refusal }>()
  const seen = new Map<string, string>()
  const add = (
    name: string,
    headers: Record<string, string>,
    refusal: Refusal = [401, 'UNAUTHENTICATED']
  ) => {
    const same = cases.has(name) ? name : seen.get(JSON.stringify(headers))
    if (same !== undefined) t.fail(`${name} is the same case as ${same}`)
    seen.set(JSON.stringify(headers), name)
    cases.set(name, { headers, refusal })
  }
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  for (const [name, changes] of Object.entries(CLAIMS)) add(name, bearer(main.token(changes)))
  for (const [name, changes] of Object.entries(HEADERS)) add(name, bearer(main.token({}, changes)))
  for (const [name, token] of Object.entries(TOKENS)) add(name, bearer(token))
  for (const { refusal, tokens } of TENANTS) {
    for (const token of tokens) add(`${refusal[1]} ${encodedPayload(token)}`, bearer(token), refusal)
  }
  figure(t, 'bad tokens, each on server and Lambda entry', cases.size)
  t.ok(cases.size >= 120)
  for (const [name, headers] of Object.entries(AUTHORIZATION)) add(name, headers)
  t.comment(`${cases.size} with those that are no bearer token`)
  for (const [name, { headers, refusal }] of cases) {
    t.match(await everywhere({ headers }), everyWay(refusal), name)
    t.equal(trap.connections, 0, `${name}: no connection`)
  }
  for (const name of ['access_token', 'token', 'jwt', 'authorization']) {
    t.match(await everywhere({ query: [[name, good]] }), everyWay(), `in the query as ${name}`)
  }
  t.match(
    await everywhere({
      method: 'POST',
      path: '/v1/bookmarks',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ access_token: good, url: 'https://example.com', title: 'x' })
    }),
    everyWay(),
    'in the body'
  )
  for (const [name, way] of Object.entries(ways)) {
    t.equal(
      (await way({ method: 'GET', path: '/v1/tenant', headers: bearer(good) })).status,
      200,
      `${name} takes the token that they were made of`
    )
  }
})

t.test('on the wire too: two Authorization headers, bytes beyond ASCII, and headers too long', async (t) => {
  await server.listen({ host: '127.0.0.1', port: 0 })
  const { port } = server.server.address() as AddressInfo
  const raw = async (...lines: string[]) => {
    const socket = connect(port, '127.0.0.1')
    socket.write(
      Buffer.from(
        ['GET /v1/tenant HTTP/1.1', 'Host: hub', 'Connection: close', ...lines, '', ''].join('\r\n'),
        'latin1'
      )
    )
    return text(socket)
  }
  const bad = main.token({}, {}, signedBy(thirdKey))
  t.match(await raw(`Authorization: Bearer ${good}`), /^HTTP\/1\.1 200 /)
  t.match(
    await raw(`aUTHORIZATION:Bearer ${good} `),
    /^HTTP\/1\.1 200 /,
    'blanks around a header are not of it'
  )
  for (const lines of [[good, good], [good, bad], [bad, good]]) {
    for (const second of ['Authorization', 'authorization']) {
      t.match(
        await raw(`Authorization: Bearer ${lines[0]!}`, `${second}: Bearer ${lines[1]!}`),
        /^HTTP\/1\.1 401 [^]*www-authenticate: Bearer [^]*"UNAUTHENTICATED"/
      )
    }
  }
  for (const value of [`Bearer ${good}\xff`, `\xa0Bearer ${good}`, `Bearer ${'a'.repeat(13_000)}`]) {
    t.match(await raw(`Authorization: ${value}`), /^HTTP\/1\.1 401 [^]*www-authenticate: Bearer /)
  }
  t.match(await raw(`Authorization: Bearer ${'a'.repeat(20_000)}`), /^HTTP\/1\.1 431 /)
})

t.test('every route needs a token, but those that say they do not', async (t) => {
  const { paths } = (await anyone.get('/openapi.json')).body as {
    paths: Record<string, Record<string, { security?: unknown[] }>>
  }
  const open: string[] = []
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, { security }] of Object.entries(methods)) {
      const url = path.replaceAll(/{\w+}/g, 'x')
      if (security?.length === 0) open.push(url)
      else t.match(await anyone.request(method.toUpperCase(), url), REFUSED, `${method} ${path}`)
    }
  }
  t.strictSame(open.filter((url) => !url.startsWith('/v1/public/')).sort(), ['/health', '/openapi.json',
    '/ready', '/v1/limits', '/v1/pairings/claim'])
  for (const url of ['/health', '/ready', '/openapi.json', '/docs', '/v1/limits', '/v1/public/settings']) {
    t.equal((await anyone.get(url)).status, 200, url)
    t.equal((await as('garbage').get(url)).status, 200, `${url} with a bad token: nobody looks at it`)
  }
})

t.test('all this while nothing was asked for but the keys of the registry, and rows', async (t) => {
  t.equal(trap.connections, 0)
  t.strictSame(
    [...asked].filter((address) => address !== `${process.env.DYNAMODB_ENDPOINT}/`).sort(),
    entries().map(({ jwksUri }) => jwksUri).sort()
  )
  t.strictSame(
    log.lines.filter((line) => line.includes('"level":"error"')),
    [],
    'and no bad token was an error of ours'
  )
})
