import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'

/** What these hold is that replicas agree under faults and deaths; the calls they make of the store, others make too. */
const ELSEWHERE = new Set(['sync-model', 'sync-storm', 'killed-imports', 'processes', 'faults',
  'space-faults', 'read-model-faults', 'mutants'])
/** The longest first, so that none of them is the last one running. */
const FIRST = ['matrix', 'deep/tokens-mutations', 'deep/interleaving', 'groups', 'bookmark-files']
/** A suite that takes so long hangs. */
const HANGS_AFTER_MS = 1_800_000
/** How often the suites that run are named. */
const STILL_MS = 30_000

const USAGE = `npm run isolation: proves the four walls at full size, and prints a report for a reviewer

  npm run isolation -- [--sample] [--suites iam,matrix] [--all] [--jobs 2] [--no-mutants]

  The suites run behind the policies of template.yaml (LOCAL_IAM), and the tests of isolation run at full size. The planted
  isolation bugs follow. Takes under ten minutes on two quiet cores.

  --sample      use the sizes of npm test instead
  --suites      run only these test files
  --all         also run the suites about faults and deaths: ${[...ELSEWHERE].join(', ')}
  --jobs        how many suites, and planted bugs, run at the same time
  --no-mutants  leave out the planted bugs

Progress goes to standard error, a line for each suite; the report goes to standard output. Exits with 1 if a test failed,
something leaked, a call of the hub was denied, or a planted bug survived. The end of the report names it.`

const WALLS = `| wall | what it is | proven alone by |
|---|---|---|
| 1 token | issuer by exact string in our registry, keys from that entry only, every claim required | \`test/tokens*.test.ts\`, \`test/keys.test.ts\`, \`test/authorizer.test.ts\` |
| 2 scope | tenant and user set once from the verified token, frozen; no service method takes a tenant | \`test/matrix.test.ts\`, \`test/deep/interleaving.test.ts\` |
| 3 keys | partition keys from the scope alone, checked grammar, rows asserted to be the space's own | \`test/entities.test.ts\`, \`test/matrix.test.ts\` |
| 4 IAM | the tenant role's policy, by session tag; the hub's own role reaches no item | \`test/iam.test.ts\`, \`test/template-roles.test.ts\`, \`test/store.test.ts\` |`

const { values } = parseArgs({
  options: {
    sample: { type: 'boolean', default: false },
    suites: { type: 'string' },
    all: { type: 'boolean', default: false },
    jobs: { type: 'string', default: String(Math.min(4, availableParallelism())) },
    'no-mutants': { type: 'boolean', default: false },
    help: { type: 'boolean' }
  }
})
const startedAt = Date.now()
const say = (line: string) => {
  process.stderr.write(`${clock(Date.now() - startedAt)} ${line}\n`)
}
if (values.help === true) console.log(USAGE)
else process.exitCode = await main()

async function main (): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), 'sync-hub-isolation-'))
  try {
    const file = join(dir, 'figures')
    const suites = values.suites?.split(',') ?? await allSuites()
    say(`${suites.length} suites, behind the policies of template.yaml`)
    const failures = await runSuites(suites, {
      ...process.env,
      LOCAL_IAM: 'template.yaml',
      ISOLATION_FIGURES: file,
      // Without the runner around it a test file has 30 s.
      TAP_TIMEOUT: String(HANGS_AFTER_MS / 1000),
      ...!values.sample && { TEST_SIZE: 'full' }
    })
    const mutants = failures.length > 0 || values['no-mutants']
      ? { code: 0, output: 'Planted bugs: not run.' }
      : await runMutants()
    const figures = total(await readFile(file, 'utf8').catch(() => ''))
    console.log(report(figures, mutants.output, failures))
    say(failures.length === 0 && mutants.code === 0 ? 'all passed' : 'FAILED:')
    for (const failure of failures) say(failure.split('\n', 1)[0]!)
    if (mutants.code !== 0) say('planted bugs: not all were caught')
    return failures.length === 0 && mutants.code === 0 ? 0 : 1
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function allSuites (): Promise<string[]> {
  const files = await readdir('test', { recursive: true })
  const names = files.flatMap((file) => /^(.*)\.test\.ts$/.exec(file)?.[1] ?? [])
  return names.filter((name) => values.all || !ELSEWHERE.has(name.split('/').at(-1)!)).sort((one, other) =>
    rank(one) - rank(other) || one.localeCompare(other)
  )
}

function rank (name: string): number {
  const place = FIRST.indexOf(name)
  return place === -1 ? FIRST.length : place
}

/** @returns what failed: the suite, and the names of its tests and assertions */
async function runSuites (suites: readonly string[], env: NodeJS.ProcessEnv): Promise<string[]> {
  const [waiting, running, failures] = [[...suites], new Set<string>(), [] as string[]]
  let ended = 0
  const still = setInterval(() => {
    say(`still running: ${[...running].join(', ')}`)
  }, STILL_MS)
  const work = async () => {
    for (let suite = waiting.shift(); suite !== undefined; suite = waiting.shift()) {
      running.add(suite)
      const from = Date.now()
      const { code, output } = await run(['--import', 'tsx', `test/${suite}.test.ts`], env)
      running.delete(suite)
      ended++
      const found = code === 0 ? [] : failuresIn(output)
      failures.push(...found.map((failure) => `${suite}: ${failure}`))
      const result = code === 0
        ? 'passed'
        : `FAILED (${code === null ? 'ended by a signal' : `exit code ${code}`})`
      say(`${ended} of ${suites.length}: ${suite}: ${result}, ${clock(Date.now() - from)}`)
      for (const failure of found) say(`  ${failure.replaceAll('\n', '\n  ')}`)
    }
  }
  await Promise.all(Array.from({ length: Number(values.jobs) }, work))
  clearInterval(still)
  return failures
}

/** The assertions of a TAP stream that failed, with the tests that they are in, and what they say. */
function failuresIn (output: string): string[] {
  const lines = output.split('\n')
  const path: string[] = []
  const found = lines.flatMap((line, index) => {
    const [, indent = '', title] = /^( *)# Subtest: (.*)$/.exec(line) ?? []
    if (title !== undefined) path.splice(indent.length / 4, Infinity, title)
    const [, depth, failed] = /^( *)not ok \d+ - (.*)$/.exec(line) ?? []
    // A test that failed is told by what failed in it.
    if (failed === undefined || path[depth!.length / 4] === failed.replace(/ # time=.*$/, '')) return []
    const rest = lines.slice(index + 1)
    const diagnosis = rest.slice(0, rest.findIndex((later) => /^ *\.\.\.$/.test(later)) + 1).slice(0, 40)
    return [[...path.slice(0, depth!.length / 4), failed].join(' > '), ...diagnosis].join('\n')
  })
  return found.length > 0 ? found : [lines.slice(-20).join('\n').trim() || 'it said nothing']
}

async function runMutants (): Promise<{ code: number | null, output: string }> {
  say('planted bugs')
  return run(['node_modules/tsx/dist/cli.mjs', 'scripts/mutants.ts', '--promise', 'isolation', '--passed',
    '--jobs', values.jobs], process.env)
}

/** Runs a script of Node and keeps what it prints; what it says of itself is shown. */
async function run (
  args: string[],
  env: NodeJS.ProcessEnv
): Promise<{ code: number | null, output: string }> {
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const limit = setTimeout(() => child.kill('SIGKILL'), HANGS_AFTER_MS)
  const [output, [code]] = await Promise.all([text(child.stdout),
    once(child, 'exit') as Promise<[number | null]>])
  clearTimeout(limit)
  return { code, output }
}

function clock (milliseconds: number): string {
  return `${Math.floor(milliseconds / 60_000)}:${
    String(Math.floor(milliseconds / 1000) % 60).padStart(2, '0')
  }`
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

function report (
  figures: ReadonlyMap<string, number | string>,
  mutants: string,
  failures: readonly string[]
): string {
  const rows = [...figures].sort(([one], [other]) => one.localeCompare(other)).map(([name, value]) =>
    `| ${name} | ${value.toLocaleString('en')} |`
  )
  return [
    `Tenant isolation, ${new Date().toISOString().slice(0, 10)}, Node ${process.version}${
      values.sample ? ', samples only' : ''
    }, ${clock(Date.now() - startedAt)} min: ${
      failures.length === 0 ? 'every test passed' : `${failures.length} ASSERTIONS FAILED`
    }`,
    WALLS,
    ['| measured | |', '|---|---|', ...rows].join('\n'),
    mutants.trim(),
    ...failures.length === 0 ? [] : ['Failed:', ...failures]
  ].join('\n\n')
}
