import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const USAGE =
  `npm run openapi:check: lints openapi.json, and compiles the clients that two generators make from it

  Redocly CLI      its recommended rules: 0 errors, 0 warnings
  TypeScript       openapi-typescript, compiled with --strict
  Python           openapi-python-client: every operation is in the client, and every module of it can be imported

npm and pip fetch the tools into a temporary folder, in the versions named here. Without python3 the command leaves out
Python, and says so.`

const [REDOCLY, TYPESCRIPT, PYTHON] = ['@redocly/cli@2.77.0', 'openapi-typescript@7.13.0',
  'openapi-python-client==0.29.1']
/** To this generator a body is JSON, a form or bytes, unless it is told. */
const BYTES = ['text/html', 'application/xml', 'text/csv', 'application/x-ndjson', 'text/event-stream']
const JSONS = ['application/problem+json', 'application/merge-patch+json']

if (process.argv.includes('--help')) console.log(USAGE)
else process.exitCode = await main(resolve('openapi.json'))

async function main (document: string): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), 'sync-hub-openapi-'))
  try {
    const checks = { lint, typescript, python }
    const failed: string[] = []
    for (const [name, check] of Object.entries(checks)) {
      const result = await check(document, dir).catch((error: unknown) => (error as Error).message)
      console.log(`${name}: ${result ?? 'passed'}`)
      if (result !== undefined && !result.startsWith('left out')) failed.push(name)
    }
    return failed.length === 0 ? 0 : 1
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function lint (document: string, dir: string): Promise<string | undefined> {
  await npm(dir, REDOCLY)
  const output = await run(join(dir, 'node_modules/.bin/redocly'), ['lint', document, '--format=json'], dir, [
    0,
    1
  ])
  const { totals } = JSON.parse(output.slice(output.indexOf('{'))) as {
    totals: { errors: number, warnings: number }
  }
  return totals.errors + totals.warnings === 0 ? undefined : `FAILED: ${output}`
}

async function typescript (document: string, dir: string): Promise<string | undefined> {
  await npm(dir, TYPESCRIPT)
  const types = join(dir, 'hub.ts')
  await run(join(dir, 'node_modules/.bin/openapi-typescript'), [document, '--output', types], dir)
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
  await run(process.execPath, [tsc, '--noEmit', '--strict', '--ignoreConfig', types], dir)
  const text = await readFile(types, 'utf8')
  const missing = (await operationsOf(document)).filter((id) => !text.includes(`operations["${id}"]`))
  return missing.length === 0 ? undefined : `FAILED: not in the client: ${missing.join(', ')}`
}

async function python (document: string, dir: string): Promise<string | undefined> {
  if (spawnSync('python3', ['--version']).status !== 0) return 'left out: there is no python3'
  await run('python3', ['-m', 'venv', 'venv'], dir)
  const bin = (name: string) => join(dir, 'venv/bin', name)
  await run(bin('pip'), ['install', '--quiet', '--disable-pip-version-check', PYTHON], dir)
  const overrides: Record<string, string> = {}
  for (const type of BYTES) overrides[type] = 'application/octet-stream'
  for (const type of JSONS) overrides[type] = 'application/json'
  await writeFile(
    join(dir, 'config.json'),
    JSON.stringify({ content_type_overrides: overrides, post_hooks: [] })
  )
  const said = await run(bin('openapi-python-client'), ['generate', '--path', document, '--output-path',
    'hub_client', '--meta', 'none', '--config', 'config.json'], dir)
  if (/warning/i.test(said)) return `FAILED: ${said}`
  const names = (await operationsOf(document)).map((id) =>
    id.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  )
  const found = await run(bin('python'), ['-c', `
import importlib, pkgutil, hub_client
for module in pkgutil.walk_packages(hub_client.__path__, 'hub_client.'):
    importlib.import_module(module.name)
    print(module.name.split('.')[-1])
`], dir)
  const missing = names.filter((name) => !found.split('\n').includes(name))
  return missing.length === 0 ? undefined : `FAILED: not in the client: ${missing.join(', ')}`
}

async function operationsOf (document: string): Promise<string[]> {
  const { paths } = JSON.parse(await readFile(document, 'utf8')) as {
    paths: Record<string, Record<string, { operationId: string }>>
  }
  return Object.values(paths).flatMap((path) => Object.values(path).map(({ operationId }) => operationId))
}

function npm (dir: string, name: string): Promise<string> {
  return run('npm', ['install', '--silent', '--no-audit', '--no-fund', '--prefix', dir, name], dir)
}

/** Runs a tool. @returns what it printed @throws Error with that, where it ends in another way than `codes` */
async function run (
  tool: string,
  args: string[],
  cwd: string,
  codes: readonly number[] = [0]
): Promise<string> {
  const child = spawn(tool, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, problems] = [child.stdout, child.stderr].map((stream) => stream.setEncoding('utf8').toArray())
  const [code] = await once(child, 'exit') as [number | null]
  const text = ((await out) as string[]).join('')
  if (code !== null && codes.includes(code)) return text
  throw new Error(`FAILED: ${tool} ${args.join(' ')}\n${text}${((await problems) as string[]).join('')}`)
}
