import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { minVersion, satisfies } from 'semver'
import t from 'tap'
import { loadConfig } from '../src/config.ts'
import { VERSION } from '../src/version.ts'
import { startHub } from './harness/hub.ts'
import { attacks } from './harness/policy-table.ts'
import { startServer } from './harness/server.ts'

const read = (path: string) => readFileSync(path, 'utf8')
const readme = read('README.md')
const developers = read('docs/app-developers.md')
const manifest = JSON.parse(read('package.json')) as {
  version: string,
  engines: { node: string },
  scripts: Record<string, string>,
  dependencies: Record<string, string>,
  optionalDependencies: Record<string, string>,
  devDependencies: Record<string, string>
}
const documents = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md',
  ...readdirSync('docs').filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)]

t.test('openapi.json is what the hub serves', async (t) => {
  const hub = await startHub(t)
  const { body, status } = await hub.anyone.get('/openapi.json')
  t.equal(status, 200)
  t.strictSame(JSON.parse(read('openapi.json')), body, 'npm run openapi writes it anew')
  t.match(body, {
    openapi: '3.1.0',
    info: { version: manifest.version },
    components: {
      securitySchemes: {
        cognito: {
          type: 'oauth2',
          flows: {
            authorizationCode: {
              scopes: { openid: String, email: String, profile: String, 'sync-hub/tenant': String }
            }
          }
        }
      }
    }
  })
  for (
    const [path, methods] of Object.entries<Record<string, { responses: object, summary?: string }>>(
      body.paths
    )
  ) {
    for (const [method, { summary }] of Object.entries(methods)) {
      t.type(summary, 'string', `${method} ${path} says what it does`)
    }
  }
})

t.test('README is read in one go, and leads to every page', (t) => {
  t.ok(readme.split('\n').length <= 150)
  for (const page of documents.filter((name) => name.startsWith('docs/'))) t.match(readme, `](${page})`, page)
  t.end()
})

t.test('the version is told once', (t) => {
  t.equal(VERSION, manifest.version)
  t.end()
})

t.test('every variable is in .env.example, in docs/self-hosting.md and in the code, and the example works', (t) => {
  const example = read('.env.example')
  const documented = [...example.matchAll(/^([A-Z_]+)=(.*)$/gm)]
  const names = documented.map(([, name]) => name!).sort()
  const used = [
    ...['config', 'environment', 'limits'].map((name) => read(`src/${name}.ts`)).join('').matchAll(
      /(?:env, |env\.)'?([A-Z][A-Z_]+)'?/g
    )
  ].map(([, name]) => name!).filter((name) => !name.startsWith('AWS_SDK'))
  t.strictSame(names, [...new Set(used)].sort())
  for (const name of names) t.match(read('docs/self-hosting.md'), `\`${name}\``, name)
  for (const [, name, value] of documented) {
    if (value !== '') {
      t.doesNotThrow(() => loadConfig(name === 'TRUST_PROXY' ? {} : { [name!]: value }), `${name}=${value}`)
    }
  }
  t.end()
})

t.test('every file and command that the documents name exists', (t) => {
  for (const document of documents) {
    for (
      const [, path] of read(document).matchAll(
        /[`(]((?:src|entities|test|scripts)\/[\w./-]*|[\w.-]+\.(?:md|json|yaml|yml|toml))[`)]/g
      )
    ) {
      if (
        path !== 'entities/note.ts' && !/notes?\.ts$/.test(path!) &&
        !['sam-local.json', 'History.json'].includes(path!)
      ) {
        const places = [path!, join(dirname(document), path!)]
        t.ok(places.some((place) => existsSync(place)), `${document}: ${path}`)
      }
    }
    for (const [, command] of read(document).matchAll(/npm run (?:-s |--silent )?([a-z:]+)/g)) {
      t.ok(command! in manifest.scripts, `${document}: npm run ${command}`)
    }
  }
  t.end()
})

t.test("README's quick start does what it says, word for word", async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'sync-hub-test-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  // A curl that needs nothing but Node: the commands are run by a shell, as pasted.
  await writeFile(
    join(dir, 'curl'),
    `#!${process.execPath}
const { values: { request, header = [], data }, positionals: [url] } = require('node:util').parseArgs({ allowPositionals: true, options: { silent: { type: 'boolean', short: 's' }, request: { type: 'string', short: 'X' }, header: { type: 'string', short: 'H', multiple: true }, data: { type: 'string', short: 'd' } } })
fetch(url, { method: request, headers: header.map((line) => line.split(/: (.*)/s, 2)), body: data }).then(async (answer) => console.log(await answer.text()))
`
  )
  await chmod(join(dir, 'curl'), 0o755)
  const env: Record<string, string> = process.env.DYNAMODB_ENDPOINT === undefined
    ? {}
    : { DYNAMODB_ENDPOINT: process.env.DYNAMODB_ENDPOINT }
  const server = await startServer({ DATA_DIR: join(dir, 'data'), ...env }, t)
  t.teardown(() => server.end('SIGKILL'))
  const [, commands] = /In another terminal:\n\n```sh\n([^]*?)```/.exec(readme)!
  t.match(commands, /^TOKEN=[^\n]*\ncurl [^\n]*\ncurl /)
  const { stdout } = await promisify(execFile)('/bin/sh', ['-ec',
    commands!.replaceAll('127.0.0.1:3000', `127.0.0.1:${server.port}`)], {
    env: { ...process.env, PORT: String(server.port), PATH: `${dir}${delimiter}${process.env.PATH}` }
  })
  const [put, list] = stdout.trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>)
  t.match(put, { id: 'home', url: 'https://example.com', rev: 1 })
  t.match(list, { items: [{ id: 'home' }] })
  const [, script] = /Two people[^]*?```sh\n([^]*?)```/.exec(developers)!
  const two = await promisify(execFile)('/bin/sh', ['-ec',
    script!.replaceAll('127.0.0.1:3000', `127.0.0.1:${server.port}`)])
  t.strictSame(
    two.stdout.trim().split('\n'),
    [...developers.matchAll(/`(bob has [^`]*)`/g)].map(([, line]) => line),
    'the two people, too'
  )
})

t.test('every package takes the oldest Node that the hub takes, so that npm ci warns of nothing', (t) => {
  const oldest = minVersion(manifest.engines.node)!
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { engines?: { node?: string } }>
  }
  for (const [path, { engines }] of Object.entries(packages)) {
    if (engines?.node !== undefined) t.ok(satisfies(oldest, engines.node), `${path} wants ${engines.node}`)
  }
  t.end()
})

t.test('what is pinned is pinned, and the image holds only what it needs', (t) => {
  for (
    const [name, version] of Object.entries({
      ...manifest.dependencies,
      ...manifest.optionalDependencies,
      ...manifest.devDependencies
    })
  ) t.match(version, name === 'typescript' ? /^~\d/ : /^\d+\.\d+\.\d+$/, `${name}@${version}`)
  const dockerfile = read('Dockerfile')
  const [build, image] = dockerfile.split(/^FROM node:24-slim$/m) as [string, string]
  t.match(build, /^FROM node:24-slim AS build$/m)
  t.match(image, /^USER node$/m)
  t.match(image, /^HEALTHCHECK /m)
  t.strictSame(
    [...image.matchAll(/^COPY (.*)$/gm)].map(([, what]) => what),
    ['--from=build /hub/dist dist'],
    'no node_modules, so no dev dependency and no embedded store'
  )
  t.equal(read('.nvmrc').trim(), '24')
  t.end()
})

t.test('the documents speak of the project alone', (t) => {
  for (const document of [...documents, '.env.example', 'Dockerfile', 'template.yaml']) {
    t.notMatch(read(document), /\/(?:work|root|home)\//, document)
  }
  t.notMatch(read('package-lock.json'), /"resolved":/, 'the lockfile names no registry')
  t.end()
})

t.test('docs/evidence.md counts the forbidden request shapes that there are', async (t) => {
  t.match(read('docs/evidence.md'), `${attacks('table', 'acme').length} forbidden request shapes`)
})

t.test('the registry of issuers in docs/self-hosting.md is one that the hub takes', async (t) => {
  const [, registry] = /```jsonc\n([^]*?)```/.exec(read('docs/self-hosting.md'))!
  const { issuers } = loadConfig({
    TABLE_NAME: 'hub',
    AWS_REGION: 'eu-west-1',
    DYNAMODB_ENDPOINT: 'http://127.0.0.1:8000',
    HUB_SECRET: 'x'.repeat(32),
    ISSUERS: registry!.replace(/^ *\/\/.*$/gm, '')
  })
  t.strictSame(issuers.map(({ tenant }) => tenant), [{ claim: 'custom:tenant_id' }, { fixed: 'acme' }, {
    sub: true
  }])
})
