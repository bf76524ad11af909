import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import t from 'tap'
import { packClient } from '../../scripts/client-package.ts'
import { newUser } from '../harness/app-device.ts'
import { startHub } from '../harness/hub.ts'

/** The package as an app gets it: packed, installed elsewhere, compiled against, run. */

const MAX_BYTES = 34_000
const MAX_GZIP = 13_500
const run = promisify(execFile)
const app = await realpath(await mkdtemp(join(tmpdir(), 'sync-hub-app-')))
t.teardown(() => rm(app, { recursive: true, force: true }))
const source = join(app, 'source')
const { bytes, gzip } = await packClient(source)
const installed = join(app, 'node_modules/@sync-hub/client')

t.test('it is packed and installed without anything else, and is small', async (t) => {
  const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', app], { cwd: source })
  await writeFile(join(app, 'package.json'), JSON.stringify({ name: 'app', private: true, type: 'module' }))
  await run(
    'npm',
    ['install', '--offline', '--no-audit', '--no-fund', '--silent', join(app, stdout.trim())],
    {
      cwd: app
    }
  )
  t.comment(`${bytes} bytes, ${gzip} compressed`)
  t.ok(bytes <= MAX_BYTES, `${bytes} bytes`)
  t.ok(gzip <= MAX_GZIP, `${gzip} bytes compressed`)
  const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))
  t.match(manifest, { name: '@sync-hub/client', type: 'module', license: 'MIT' })
  for (const name of ['dependencies', 'peerDependencies', 'optionalDependencies', 'scripts']) {
    t.notOk(name in manifest, `no ${name}`)
  }
  t.strictSame(await readdir(join(app, 'node_modules/@sync-hub')), ['client'])
  for (const file of (await readdir(installed)).filter((name) => name.endsWith('.d.ts'))) {
    t.notMatch(await readFile(join(installed, file), 'utf8'), /from ['"](?!\.\/[\w-]+\.js['"])/, file)
  }
})

t.test('its types compile under bundler and nodenext, and know what a bookmark is', async (t) => {
  await writeFile(
    join(app, 'use.ts'),
    `import { createClient, type Client } from '@sync-hub/client'
const client: Client = await createClient({ url: 'http://hub', token: () => null })
const title: string | undefined = client.bookmarks.get('b')?.title
await client.bookmarks.put('b', { url: 'https://example.com', title: title ?? '', tags: [] })
// @ts-expect-error: a bookmark has a title
await client.bookmarks.put('b', { url: 'https://example.com', tags: [] })
// @ts-expect-error: a role is one of three
client.memberships()[0]?.role === 'king'
export {}
`
  )
  const tsc = resolve('node_modules/typescript/bin/tsc')
  for (const [module, resolution] of [['preserve', 'bundler'], ['nodenext', 'nodenext']] as const) {
    const config = {
      compilerOptions: {
        module,
        moduleResolution: resolution,
        target: 'es2022',
        lib: ['es2023', 'dom'],
        strict: true,
        noEmit: true,
        types: []
      },
      files: ['use.ts']
    }
    await writeFile(join(app, 'tsconfig.json'), JSON.stringify(config))
    const compiled = run(process.execPath, [tsc, '-p', '.'], { cwd: app })
    t.equal(await compiled.then(() => '', ({ stdout }: { stdout: string }) => stdout), '', resolution)
  }
})

t.test('the examples compile against it, and run', async (t) => {
  const examples = join(app, 'examples')
  await mkdir(examples)
  await cp('docs/examples', examples, { recursive: true })
  for (
    const name of ['react', 'react-dom', '@types/react', '@types/react-dom', 'csstype', '@types/prop-types']
  ) {
    await mkdir(join(app, 'node_modules/@types'), { recursive: true })
    await symlink(resolve('node_modules', name), join(app, 'node_modules', name)).catch(() => {})
  }
  const tsc = run(process.execPath, [resolve('node_modules/typescript/bin/tsc'), '-p', examples])
  t.equal(await tsc.then(() => '', ({ stdout }: { stdout: string }) => stdout), '')

  const hub = await startHub(t)
  const url = await hub.app.listen({ port: 0, host: '127.0.0.1' })
  const { token } = await hub.as(newUser())
  await writeFile(
    join(examples, 'run.tsx'),
    `import { renderToStaticMarkup } from 'react-dom/server'
import { createClient } from '@sync-hub/client'
import { Bookmarks, HubProvider } from './react.tsx'
const client = await createClient({ url: process.env.HUB!, token: process.env.TOKEN! })
await client.bookmarks.put('b', { url: 'https://example.com', title: 'Home', tags: [] })
const show = () => renderToStaticMarkup(<HubProvider value={client}><Bookmarks /></HubProvider>)
console.log(show())
await client.sync()
console.log(show())
await client.close()
`
  )
  await build({
    entryPoints: [join(examples, 'run.tsx')],
    outfile: join(examples, 'run.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    jsx: 'automatic',
    external: ['react', 'react-dom', '@sync-hub/client'],
    logLevel: 'silent'
  })
  const { stdout } = await run(process.execPath, ['run.mjs'], {
    cwd: examples,
    env: { ...process.env, HUB: url, TOKEN: token }
  })
  const list = '<ul><li>Home<button>☆</button></li></ul>'
  t.strictSame(stdout.trim().split('\n'), [`<p>waiting: 1</p>${list}`, `<p>in-step</p>${list}`])
})
