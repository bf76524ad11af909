import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { Agent, request, type IncomingMessage } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { freePort, startEmbeddedStore } from '../src/local/embedded-store.ts'
import { storeEndpoint } from './harness/hub.ts'
import { runToEnd, startServer, type ServerProcess } from './harness/server.ts'

/** The suite may run against another store: local mode then uses that one, too. */
const given: Record<string, string> = process.env.DYNAMODB_ENDPOINT === undefined
  ? {}
  : { DYNAMODB_ENDPOINT: process.env.DYNAMODB_ENDPOINT }

async function dataDir (): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'sync-hub-test-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  return dir
}

async function put (server: ServerProcess, id: string, token: string): Promise<number> {
  const { status } = await fetch(`${server.url}/v1/bookmarks/${id}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ url: 'https://example.com', title: id })
  })
  return status
}

t.test('a hub on an empty directory', async (t) => {
  const dir = await dataDir()
  const port = String(await freePort())
  let server = await startServer({ DATA_DIR: dir, PORT: port, ...given }, t)
  t.teardown(() => server.end('SIGKILL'))
  t.comment(`ready ${Math.round(server.readyAfter)} ms after the start of the process, first start`)

  t.test('prints a line that works when pasted', async (t) => {
    const line = server.stderr.map((text) => text.trim()).find((text) => text.startsWith('curl '))!
    const [, url, authorization] = /^curl -s (\S+) -H 'authorization: (.+)'$/.exec(line)!
    const response = await fetch(url!, { headers: { authorization: authorization! } })
    t.match(await response.json(), { tenantId: 'default', userId: 'demo' })
  })
  t.test('gives tokens on the command line', async (t) => {
    const cli = (...args: string[]) =>
      promisify(execFile)('npx', ['tsx', 'scripts/token.ts', ...args], {
        env: { ...process.env, PORT: port }
      })
    const { stdout: token } = await cli('--tenant', 'acme', '--user', 'alice', '--role', 'admin')
    const response = await fetch(`${server.url}/v1/tenant`, {
      headers: { authorization: `Bearer ${token.trim()}` }
    })
    t.match(await response.json(), { tenantId: 'acme', userId: 'alice', roles: ['admin'] })
    await t.rejects(cli('--tenant', 'NOT A TENANT'), /gave no token: .*tenant/)
    await t.rejects(cli('--url', `http://127.0.0.1:${await freePort()}`), /No hub answers .* npm start/)
    t.match((await cli('--help')).stdout, /--tenant/)
  })
  t.test('is an issuer with discovery and keys, on loopback names only', async (t) => {
    const discovery = await (await fetch(`${server.url}/local/.well-known/openid-configuration`)).json() as {
      issuer: string,
      jwks_uri: string
    }
    t.equal(discovery.issuer, `${server.url}/local`)
    t.match(await (await fetch(discovery.jwks_uri)).json(), {
      keys: [{ kty: 'RSA', alg: 'RS256', use: 'sig', d: undefined }]
    })
    const rebound = request(`${server.url}/local/token`, {
      method: 'POST',
      headers: { host: 'evil.example', 'content-type': 'application/json' }
    }).end('{}')
    const [response] = await once(rebound, 'response') as [{ statusCode: number }]
    t.equal(response.statusCode, 403)
  })
  t.test('refuses a second hub on its directory, and says how to go on', async (t) => {
    const second = await runToEnd({ DATA_DIR: dir, PORT: String(await freePort()), ...given })
    t.match(second, { code: 1, stderr: /DATA_DIR .* is in use by another hub \(process \d+\)/ })
  })
  t.test('keeps its data through kill -9', async (t) => {
    const token = await server.token('acme', 'alice')
    t.equal(await put(server, 'kept', token), 201)
    await server.end('SIGKILL')
    server = await startServer({ DATA_DIR: dir, PORT: port, ...given }, t)
    t.comment(`ready ${Math.round(server.readyAfter)} ms after the start of the process, later start`)
    t.equal(
      (await fetch(`${server.url}/v1/bookmarks/kept`, { headers: { authorization: `Bearer ${token}` } }))
        .status,
      200,
      'the token is still good as well'
    )
  })
  t.test('logs JSON lines, and ends with its store when asked to', async (t) => {
    t.equal(await server.end('SIGTERM'), 0)
    const lines = server.stdout.map((line) => JSON.parse(line) as Record<string, unknown>)
    t.ok(
      lines.some(({ msg, route, tenantId }) =>
        msg === 'request' && route === '/v1/bookmarks/:id' && tenantId === 'acme'
      )
    )
    t.ok(lines.some(({ msg }) => msg === 'shutting down'))
    if (given.DYNAMODB_ENDPOINT === undefined) {
      await startEmbeddedStore(join(dir, 'hub.db')).then((store) => store.stop())
    }
    await t.rejects(readFile(join(dir, 'hub.lock')), { code: 'ENOENT' })
  })
})

t.test('behind the policies of template.yaml it serves as without them, and the operator can keep a tenant out', async (t) => {
  const server = await startServer({ DATA_DIR: await dataDir(), LOCAL_IAM: 'template.yaml', ...given }, t)
  t.teardown(() => server.end('SIGKILL'))
  const headers = {
    authorization: `Bearer ${await server.token('acme', 'alice')}`,
    'content-type': 'application/json'
  }
  const get = async (path: string) => (await fetch(`${server.url}${path}`, { headers })).status
  t.equal(await put(server, 'b', await server.token('acme', 'alice')), 201)
  for (
    const path of ['/v1/bookmarks/b', '/v1/bookmarks', '/v1/bookmarks?sort=-createdAt', '/v1/settings',
      '/v1/public/settings', '/v1/tenant', '/ready']
  ) t.equal(await get(path), 200, path)

  const command = async (...args: string[]) =>
    promisify(execFile)('npx', ['tsx', 'scripts/tenant.ts', ...args], {
      env: { ...process.env, PORT: String(server.port) }
    }).then(
      ({ stdout }) => stdout,
      (error: { stdout: string, stderr: string }) => error.stdout + error.stderr
    )
  t.equal(await command('suspend', 'acme'), 'acme is suspended\n')
  while (await get('/v1/tenant') !== 403) {
    await new Promise((resolve) => {
      setTimeout(resolve, 100)
    }) // within 5 s; no event tells
  }
  t.equal(await command('resume', 'acme'), 'acme is active\n')
  while (await get('/v1/tenant') !== 200) {
    await new Promise((resolve) => {
      setTimeout(resolve, 100)
    })
  }
  t.match(await command('suspend', 'No Tenant'), /answered 400/)
  t.match(await command('expel', 'acme'), /npm run tenant/)
  const foreign = await new Promise<number | undefined>((resolve) => {
    request(`${server.url}/local/tenants/acme`, {
      method: 'PUT',
      headers: { host: 'evil.example', 'content-type': 'application/json' }
    }, ({ statusCode }) => resolve(statusCode)).end('{"status":"suspended"}')
  })
  t.equal(foreign, 403, "a page in a browser can't reach the operator's desk")
})

t.test('SIGTERM under load resets nobody: what was accepted is answered', async (t) => {
  const server = await startServer({ DATA_DIR: await dataDir(), SHUTDOWN_GRACE_SECONDS: '1', ...given }, t)
  t.teardown(() => server.end('SIGKILL'))
  const token = await server.token('acme', 'load')
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  const outcomes = new Map<string, number>()
  let refused = false
  const clients = Array.from({ length: 16 }, async (_, client) => {
    for (let index = 0; !refused; index++) {
      const outcome = await new Promise<string>((resolve) => {
        const sent = request(`${server.url}/v1/bookmarks/c${client}-${index % 10}`, {
          agent,
          method: 'PUT',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
        }, (response) => {
          response.resume().on('end', () => resolve(String(response.statusCode))).on(
            'error',
            (error) => resolve(`cut: ${error.message}`)
          )
        })
        sent.on('error', (error: NodeJS.ErrnoException) => {
          if (error.code === 'ECONNREFUSED') refused = true
          resolve(error.code ?? error.message)
        })
        sent.end(JSON.stringify({ url: 'https://example.com', title: 'x' }))
      })
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
  })
  while ((outcomes.get('200') ?? 0) < 50) {
    await new Promise((resolve) => {
      setTimeout(resolve, 5)
    })
  }
  const ended = server.end('SIGTERM')
  const readiness: number[] = []
  while (!refused) readiness.push(await fetch(`${server.url}/ready`).then(({ status }) => status, () => 0))
  await Promise.all(clients)
  t.equal(await ended, 0)
  t.ok(readiness.includes(503), 'readiness went first')
  t.strictSame(
    [...outcomes.keys()].filter((outcome) => !['200', '201', 'ECONNREFUSED'].includes(outcome)),
    [],
    JSON.stringify(Object.fromEntries(outcomes))
  )
  t.comment(`${[...outcomes].map(([outcome, count]) => `${outcome}: ${count}`).join(', ')}`)
})

t.test('an answer that is read slowly is sent whole, also while the hub goes down', async (t) => {
  const server = await startServer({ DATA_DIR: await dataDir(), ...given }, t)
  t.teardown(() => server.end('SIGKILL'))
  const headers = {
    authorization: `Bearer ${await server.token('acme', 'slow')}`,
    'content-type': 'application/json'
  }
  for (let index = 0; index < 100; index++) {
    await fetch(`${server.url}/v1/settings/s${index}`, {
      method: 'PUT',
      headers,
      body: JSON.stringify({ value: 'x'.repeat(65_000) })
    }).then((answer) => answer.arrayBuffer())
  }
  const sent = request(`${server.url}/v1/settings?limit=100`, { headers }).end()
  const [response] = await once(sent, 'response') as [IncomingMessage]
  const ended = server.end('SIGTERM')
  while (await fetch(`${server.url}/ready`).then(() => true, () => false)); // until the port has closed
  let bytes = 0
  for await (const chunk of response) bytes += (chunk as Buffer).length
  t.equal(bytes, Number(response.headers['content-length']))
  t.equal(await ended, 0)
})

t.test('a kill at any point loses no acknowledged write', async (t) => {
  const { stdout } = await promisify(execFile)('npx', ['tsx', 'scripts/crash.ts', '--points', '3', '--lanes',
    '1'], { env: { ...process.env, ...given } })
  t.match(stdout, /3 kills, \d+ writes sent, 0 acknowledged writes lost/)
  t.comment(stdout.trim())
})

t.test("a hub that can't work says in one sentence why, and ends", async (t) => {
  const dir = await dataDir()
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as { port: number }
  const cases: [Record<string, string>, RegExp][] = [[{ DATA_DIR: dir, LOCAL_IAM: 'package.json' },
    /LOCAL_IAM is package\.json: /], [{ DATA_DIR: dir, PORT: String(port), ...given },
    /^sync-hub: PORT \d+ is in use on 127\.0\.0\.1\. Set PORT to another one\.$/m], [{ PORT: 'http' },
    /^sync-hub: PORT is "http"; it must be a whole number from 1 to 65535\.$/m], [{ TABLE_NAME: 'x' },
    /^sync-hub: AWS_REGION is missing/m], [{ HOST: '0.0.0.0' },
    /^sync-hub: HOST is 0\.0\.0\.0, but local mode serves loopback only/m], [{
    DATA_DIR: dir,
    DYNOXIDE_BIN: '/nowhere/dynoxide',
    PORT: '3999'
  }, /the embedded store did not start/]]
  for (const [env, stderr] of cases) t.match(await runToEnd(env), { code: 1, stderr })
})

t.test('a hub whose store ends goes down with it, for whoever restarts it', async (t) => {
  if (given.DYNAMODB_ENDPOINT !== undefined) return t.comment('needs the embedded store')
  const dir = await dataDir()
  const server = await startServer({ DATA_DIR: dir }, t)
  process.kill(Number(await readFile(join(dir, 'store.pid'), 'utf8')), 'SIGKILL')
  await once(server.child, 'exit')
  t.equal(server.child.exitCode, 1)
  t.match(server.stdout.join('\n'), /the embedded store ended/)
})

t.test('a lock that a dead hub left is taken over; a store that does not end is named', async (t) => {
  const dir = await dataDir()
  await writeFile(join(dir, 'hub.lock'), '999999999')
  const starts = await Promise.allSettled(
    Array.from({ length: 3 }, () => startServer({ DATA_DIR: dir, ...given }, t))
  )
  const started = starts.flatMap((start) => start.status === 'fulfilled' ? [start.value] : [])
  t.equal(started.length, 1, 'by one of those who find it')
  const [server] = started as [ServerProcess]
  t.equal(await server.end('SIGINT'), 0)
  if (given.DYNAMODB_ENDPOINT !== undefined) return
  const stubborn = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  t.teardown(() => stubborn.kill('SIGKILL'))
  await writeFile(join(dir, 'store.pid'), String(stubborn.pid))
  t.match(await runToEnd({ DATA_DIR: dir, PORT: '3999' }), {
    code: 1,
    stderr: /The store of an earlier hub \(process \d+\) still runs/
  })
})

t.test('DYNAMODB_ENDPOINT takes the place of the embedded store', async (t) => {
  const endpoint = await storeEndpoint()
  const server = await startServer({ DATA_DIR: await dataDir(), DYNAMODB_ENDPOINT: endpoint }, t)
  t.equal(await put(server, 'elsewhere', await server.token('acme', 'endpoint')) < 300, true)
  t.equal(await server.end('SIGTERM'), 0)
})

t.test('it reads .env beside package.json, and names the variable of a flag', async (t) => {
  const dir = await dataDir()
  await cp('dist/server.mjs', join(dir, 'dist', 'server.mjs'))
  await writeFile(join(dir, '.env'), 'LOG_LEVEL=loud\n')
  const run = (args: string[], env: Record<string, string> = {}) =>
    promisify(execFile)(process.execPath, [join(dir, 'dist', 'server.mjs'), ...args], { cwd: tmpdir(), env })
  await t.rejects(run([]), { code: 1, stderr: /^sync-hub: LOG_LEVEL is "loud"/ })
  await t.rejects(run([], { LOG_LEVEL: 'louder' }), { code: 1, stderr: /^sync-hub: LOG_LEVEL is "louder"/ })
  await t.rejects(run(['--port', '4000']), { code: 1, stderr: /^sync-hub: --port .* PORT=4000 npm start/ })
})
