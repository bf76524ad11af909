import { generateKeyPairSync } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import t from 'tap'
import { createKeySource } from '../src/plugins/auth/key-source.ts'
import { person, startHub, type Answer } from './harness/hub.ts'
import { namedKey, newRsaKey, signedBy, startPools, startTrap, type Pool } from './harness/tokens.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const UNAVAILABLE = {
  status: 503,
  headers: { 'retry-after': /^\d+$/ },
  body: { errorType: 'KEYS_UNAVAILABLE' }
}

// The clock of this process stands still except where a test moves it. Timers, and so timeouts, are real.
let clock = Date.now()
t.intercept(Date, 'now', { value: () => clock })
const pass = (milliseconds: number) => {
  clock += milliseconds
}

const { pool, entries } = await startPools(t)
const trap = await startTrap(t)
const [second, short, ec] = [newRsaKey(), newRsaKey(1024),
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey]
const endless = (response: ServerResponse, chunk: string) => {
  const write = () => {
    while (!response.destroyed && response.write(chunk));
  }
  response.on('drain', write)
  write()
}
const FAILURES: Record<string, NonNullable<Pool['misbehave']>> = {
  down: (request) => {
    request.socket.destroy()
  },
  hanging: () => {},
  'hanging after its headers': (_request, response) => {
    response.writeHead(200).flushHeaders()
  },
  '500': (_request, response) => {
    response.writeHead(500).end('{"keys":[]}')
  },
  '204': (_request, response) => {
    response.writeHead(204).end()
  },
  redirect: (_request, response) => {
    response.writeHead(302, { location: `${trap.url}/jwks` }).end('{"keys":[]}')
  },
  garbage: (_request, response) => {
    response.end('<html>')
  },
  'not a key set': (_request, response) => {
    response.end('{"keys":{}}')
  },
  'over 1 MB': (_request, response) => {
    response.end(`${' '.repeat(1_100_000)}{"keys":[]}`)
  },
  endless: (_request, response) => {
    endless(response, ' '.repeat(65_536))
  }
}
// The registry is fixed when a hub is built: one pool for each story below.
const [crowded, guessed, rotated, withdrawn, emptied] = [pool('crowded'), pool('guessed'), pool('rotated'),
  pool('withdrawn'), pool('emptied')]
const [strangerFirst, outage, never, odd] = [pool('stranger-first'), pool('outage'), pool('never'),
  pool('odd')]
const failing = Object.entries(FAILURES).map(([name, misbehave], index) => ({
  name,
  misbehave,
  pool: pool(`failing-${index}`)
}))
const hub = await startHub(t, { issuers: entries() })

const send = (token: string): Promise<Answer> => person(hub.app, token).get('/v1/tenant')
const status = async (token: string) => (await send(token)).status
/** A token that names a key which its pool doesn't have; nobody gets as far as its signature. */
const stranger = (pool: Pool, index = 0) =>
  pool.token({}, { kid: `unknown-${index}` }, () => Buffer.alloc(256))
/**
 * Many requests at once, up to the token only: those that pass it are refused for their query, before the
 * store.
 * @returns how many got which status
 */
async function crowd (count: number, make: (index: number) => string): Promise<Record<string, number>> {
  const seen: Record<string, number> = {}
  // In waves: a crowd that keeps this process busy for seconds would run into the real timeout of its own
  // fetch.
  for (let from = 0; from < count; from += 25) {
    const answers = await Promise.all(
      Array.from(
        { length: Math.min(25, count - from) },
        (_, index) => person(hub.app, make(from + index)).get('/v1/tenant?no-such-parameter=1')
      )
    )
    for (const { status } of answers) seen[status] = (seen[status] ?? 0) + 1
  }
  return seen
}
const PASSED = 400

hub.expectLog(/"errorType":"KEYS_UNAVAILABLE"/)

t.test('hundreds of first requests at once fetch the keys once', async (t) => {
  const source = createKeySource(entries().find(({ issuer }) => issuer.includes('crowded'))!.jwksUri)
  const keys = await Promise.all(
    Array.from({ length: 300 }, () => source.keyFor({ alg: 'RS256', kid: String(crowded.key.jwk.kid) }))
  )
  t.equal(new Set(keys).size, 1)
  t.equal(crowded.fetches, 1)
})

t.test('unknown key ids cost one fetch in ten seconds, however many there are', async (t) => {
  const unknown = (index: number) => stranger(guessed, index)
  t.equal(await status(guessed.token()), 200)
  t.strictSame(await crowd(500, unknown), { 401: 500 })
  t.equal(guessed.fetches, 1, 'the set is just loaded: no reason to ask again')
  pass(10 * SECOND)
  t.strictSame(await crowd(500, unknown), { 401: 500 })
  t.equal(guessed.fetches, 2)
  t.equal(await status(guessed.token()), 200, 'a known key is not held up by them')
})

t.test('a new key is taken ten seconds after the last fetch, beside the old one', async (t) => {
  const next = namedKey('k2', second)
  const rotatedToken = rotated.token({}, { kid: 'k2' }, signedBy(second))
  t.equal(await status(rotated.token()), 200)
  rotated.keys.push(next.jwk)
  t.equal(await status(rotatedToken), 401, 'within the cool-down')
  pass(10 * SECOND)
  t.equal(await status(rotatedToken), 200)
  t.equal(await status(rotated.token()), 200)
  t.equal(rotated.fetches, 2)
})

t.test('a withdrawn key is refused within ten minutes, although its tokens keep arriving', async (t) => {
  const token = withdrawn.token()
  t.equal(await status(token), 200)
  withdrawn.keys = [namedKey('k2', second).jwk]
  let minutes = 0
  while (await status(token) === 200 && minutes < 60) {
    pass(MINUTE)
    minutes++
  }
  t.ok(minutes <= 10, `refused after ${minutes} minutes`)
  t.equal(await status(token), 401, 'and stays refused')
  t.ok(withdrawn.fetches <= 3, `${withdrawn.fetches} fetches`)
})

t.test('a key that is absent from the set is refused: an older set is no answer to that', async (t) => {
  t.equal(await status(emptied.token()), 200)
  emptied.keys = []
  pass(10 * MINUTE)
  t.equal(await status(emptied.token()), 401)
  emptied.misbehave = FAILURES.down
  pass(10 * MINUTE)
  t.equal(await status(emptied.token()), 401, 'also when the issuer then goes away')
})

t.test('while an issuer gives no keys, those last had serve for an hour and no longer', async (t) => {
  for (const { name, pool } of failing) t.equal(await status(pool.token()), 200, name)
  for (const { pool, misbehave } of failing) pool.misbehave = misbehave
  const all = <T>(work: (pool: Pool) => Promise<T>) =>
    Promise.all(failing.map(async ({ name, pool }) => ({ name, pool, result: await work(pool) })))

  pass(59 * MINUTE)
  for (const { name, pool, result: answer } of await all((pool) => send(pool.token()))) {
    t.equal(answer.status, 200, `${name}: after 59 minutes`)
    const token = pool.token()
    t.strictSame(await crowd(40, (index) => index % 2 === 0 ? token : stranger(pool, index)), {
      [PASSED]: 20,
      401: 20
    }, `${name}: forty more, half with an unknown key`)
    t.equal(pool.fetches, 2, `${name}: one try`)
  }
  pass(2 * MINUTE)
  for (const { name, result } of await all((pool) => send(pool.token()))) {
    t.match(result, UNAVAILABLE, `${name}: after 61 minutes`)
  }
  for (const { name, pool } of failing) {
    t.match(await send(stranger(pool)), UNAVAILABLE, `${name}: an unknown key as well`)
    t.equal(pool.fetches, 3, `${name}: one more try`)
    pool.misbehave = undefined
  }
  pass(10 * SECOND)
  for (const { name, pool } of failing) t.equal(await status(pool.token()), 200, `${name}: back again`)
  t.equal(trap.connections, 0, 'a redirect is not followed')
})

t.test('the hour counts from the load, also where the first token had an unknown key', async (t) => {
  t.equal(await status(stranger(strangerFirst)), 401)
  strangerFirst.misbehave = FAILURES.down
  pass(30 * MINUTE)
  t.equal(await status(strangerFirst.token()), 200)
})

t.test('unknown keys during an outage wait once and not each', async (t) => {
  t.equal(await status(outage.token()), 200)
  outage.misbehave = FAILURES.hanging
  pass(10 * SECOND)
  t.equal(await status(stranger(outage)), 401)
  t.strictSame(await crowd(100, (index) => stranger(outage, index)), { 401: 100 })
  t.equal(outage.fetches, 2, 'one try, and so one wait')
})

t.test('keys that were never had are a 503 with Retry-After, asked for once in ten seconds', async (t) => {
  never.misbehave = FAILURES.hanging
  const token = never.token()
  const answers = await Promise.all(Array.from({ length: 50 }, () => send(token)))
  t.match(answers, answers.map(() => UNAVAILABLE))
  t.notMatch(answers[0]!.text, /127\.0\.0\.1/, 'the address of the keys is for the log only')
  t.strictSame(await crowd(100, () => token), { 503: 100 })
  t.equal(never.fetches, 1)
})

t.test('a key that is short, not for signatures, of another kind, private, broken or there twice is refused and harms no other', async (t) => {
  const of = (kid: string, changes: object = {}) => ({ ...namedKey(kid, second).jwk, ...changes })
  odd.keys = [odd.key.jwk, namedKey('short', short).jwk, of('enc', { use: 'enc' }),
    of('ops', { key_ops: ['sign'] }), of('other alg', { alg: 'RS512' }), namedKey('ec', ec).jwk,
    of('oct', { kty: 'oct', k: 'c2VjcmV0' }), of('private', second.export({ format: 'jwk' })),
    of('broken', { n: '!' }), of('empty', { n: '', e: '' }), of('number', { n: 5 }), of('twice'), {
    ...odd.key.jwk,
    kid: 'twice'
  }, {}]
  for (
    const [kid, key] of Object.entries({
      short,
      enc: second,
      ops: second,
      'other alg': second,
      ec,
      oct: second,
      private: second,
      broken: second,
      empty: second,
      number: second,
      twice: second
    })
  ) {
    t.equal(await status(odd.token({}, { kid }, signedBy(key))), 401, kid)
  }
  t.equal(await status(odd.token({}, { kid: 'twice' })), 401, 'twice, with the other of the two')
  t.equal(await status(odd.token()), 200)
  t.equal(odd.fetches, 1)
})

t.test('the hub is ready when every trusted issuer has given its keys, and not before', async (t) => {
  const { pool, entries } = await startPools(t)
  const [here, late] = [pool('here'), pool('late')]
  late.misbehave = FAILURES.down
  const hub = await startHub(t, { issuers: entries() })
  hub.expectLog(/"errorType":"NOT_READY"/)
  const ready = () => hub.anyone.get('/ready')
  for (let probe = 0; probe < 5; probe++) {
    t.match(await ready(), {
      status: 503,
      headers: { 'retry-after': /^\d+$/ },
      body: { errorType: 'NOT_READY' }
    })
  }
  t.equal((await hub.anyone.get('/health')).status, 200, 'it is alive')
  t.strictSame([here.fetches, late.fetches], [1, 1], 'probes do not hammer an issuer')
  late.misbehave = undefined
  pass(10 * SECOND)
  t.equal((await ready()).status, 200)
  for (let minute = 0; minute < 5; minute++) {
    pass(MINUTE)
    t.equal((await ready()).status, 200)
  }
  t.strictSame([here.fetches, late.fetches], [1, 2])
  late.misbehave = FAILURES['500']
  pass(50 * MINUTE)
  t.equal((await ready()).status, 200, 'on the last set while that may serve')
  t.equal((await person(hub.app, late.token()).get('/v1/tenant')).status, 200)
  pass(10 * MINUTE)
  t.equal((await ready()).status, 503)
})

t.test('no bundle holds elliptic, which get-jwks would bring', (t) => {
  const bundles = readdirSync('dist').filter((name) => name.endsWith('.mjs'))
  t.ok(bundles.length >= 3)
  for (const name of bundles) {
    const text = readFileSync(`dist/${name}`, 'utf8')
    t.notMatch(text, /elliptic/i, name)
  }
  t.match(
    readFileSync('dist/server.mjs', 'utf8'),
    /jwk-to-pem is left out/,
    'the check looks at the right text'
  )
  t.end()
})
