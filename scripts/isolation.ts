import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'

const USAGE = `npm run isolation: proves the four walls at full size, and prints a report for a reviewer

  npm run isolation -- [--sample] [--suites iam,matrix] [--no-mutants]

  The whole suite runs behind the policies of template.yaml (LOCAL_IAM), its isolation tests at full size; then the
  planted isolation bugs. Takes some 15 minutes on two cores.

  --sample      the sizes of npm test instead
  --suites      only these test files
  --no-mutants  without the planted bugs

Exit code 1 where anything failed, leaked, was denied to the product or survived.`

const WALLS = `| wall | what it is | proven alone by |
|---|---|---|
| 1 token | issuer by exact string in our registry, keys from that entry only, every claim required | \`test/tokens*.test.ts\`, \`test/keys.test.ts\`, \`test/authorizer.test.ts\` |
| 2 scope | tenant and user set once from the verified token, frozen; no service method takes a tenant | \`test/matrix.test.ts\`, \`test/interleaving.test.ts\` |
| 3 keys | partition keys from the scope alone, checked grammar, rows asserted to be the space's own | \`test/entities.test.ts\`, \`test/matrix.test.ts\` |
| 4 IAM | the tenant role's policy, by session tag; the hub's own role reaches no item | \`test/iam.test.ts\`, \`test/template-roles.test.ts\`, \`test/store.test.ts\` |`

const { values } = parseArgs({
  options: {
    sample: { type: 'boolean', default: false },
    suites: { type: 'string' },
    'no-mutants': { type: 'boolean', default: false },
    help: { type: 'boolean' }
  }
})
if (values.help === true) console.log(USAGE)
else process.exitCode = await main()

async function main (): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), 'sync-hub-isolation-'))
  try {
    const file = join(dir, 'figures')
    const suites = values.suites?.split(',').map((name) => `test/${name}.test.ts`) ?? []
    const env = {
      ...process.env,
      LOCAL_IAM: 'template.yaml',
      ISOLATION_FIGURES: file,
      ...!values.sample && { ISOLATION: 'full' }
    }
    console.error('the suite, behind the policies of template.yaml ...')
    const suite = await run(
      ['node_modules/tap/dist/esm/run.mjs', '--disable-coverage', '--timeout=1800', '--reporter=terse',
        ...suites],
      env,
      false
    )
    const plants = suite.code === 0 && !values['no-mutants']
    if (plants) console.error('planted bugs ...')
    const mutants = !plants
      ? { code: 0, output: 'Planted bugs: not run.' }
      : await run(
        ['node_modules/tsx/dist/cli.mjs', 'scripts/mutants.ts', '--promise', 'isolation', '--passed'],
        process.env,
        true
      )
    const figures = total(await readFile(file, 'utf8').catch(() => ''))
    console.log(report(figures, mutants.output, suite.code === 0))
    return suite.code === 0 && mutants.code === 0 ? 0 : 1
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** Runs a script of Node; what it prints is shown, or kept. */
async function run (
  args: string[],
  env: NodeJS.ProcessEnv,
  keep: boolean
): Promise<{ code: number | null, output: string }> {
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', keep ? 'pipe' : 2, 'inherit'] })
  const [output, [code]] = await Promise.all([child.stdout === null ? '' : text(child.stdout),
    once(child, 'exit') as Promise<[number | null]>])
  return { code, output }
}

/** The figures that the tests have measured, by name: numbers added up, words as they are. */
function total (lines: string): Map<string, number | string> {
  const figures = new Map<string, number | string>()
  for (
    const { name, value } of lines.split('\n').filter(Boolean).map((line) =>
      JSON.parse(line) as { name: string, value: number | string }
    )
  ) {
    const before = figures.get(name)
    figures.set(name, typeof value === 'number' && typeof before === 'number' ? before + value : value)
  }
  return figures
}

function report (figures: ReadonlyMap<string, number | string>, mutants: string, passed: boolean): string {
  const rows = [...figures].sort(([one], [other]) => one.localeCompare(other)).map(([name, value]) =>
    `| ${name} | ${value.toLocaleString('en')} |`
  )
  return [
    `Tenant isolation, ${new Date().toISOString().slice(0, 10)}, Node ${process.version}${
      values.sample ? ', samples only' : ''
    }: ${passed ? 'every test passed' : 'TESTS FAILED'}`,
    WALLS,
    ['| measured | |', '|---|---|', ...rows].join('\n'),
    mutants.trim()
  ].join('\n\n')
}
