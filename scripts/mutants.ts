import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { MUTANTS, placesOf, PROMISES, type Mutant } from './mutants/list.ts'

const USAGE =
  `npm run mutants: plants known bugs, one at a time, in a copy of the project, and runs the suite that should catch each

  npm run mutants -- [--promise isolation] [--suite iam] [--only text] [--jobs 2] [--passed]

  --promise  only bugs that break this promise: writes, changes, fidelity, isolation, secrecy or load; may be repeated
  --suite    only bugs that this suite must catch; may be repeated
  --only     only bugs whose name contains the text
  --jobs     how many copies run at the same time
  --passed   do not run the suites without a bug first, because they are known to pass

Every suite must first pass without a bug. A bug that its suite does not catch, or that no longer fits the code, is a
failure (exit code 1). Prints a table, which also names a suite that a bug only kept from ending.`

const { values: { promise = [...PROMISES], suite, only = '', jobs, passed, help } } = parseArgs({
  options: {
    promise: { type: 'string', multiple: true },
    suite: { type: 'string', multiple: true },
    only: { type: 'string' },
    jobs: { type: 'string', default: '2' },
    passed: { type: 'boolean', default: false },
    help: { type: 'boolean' }
  }
})
if (help === true) console.log(USAGE)
else process.exitCode = await main(MUTANTS.filter(isWanted))

function isWanted (mutant: Mutant): boolean {
  return promise.includes(mutant.promise) && (suite ?? [mutant.suite]).includes(mutant.suite) &&
    mutant.name.includes(only)
}

async function main (mutants: readonly Mutant[]): Promise<number> {
  const copies = await Promise.all(Array.from({ length: Number(jobs) }, copyProject))
  try {
    const failing: string[] = []
    if (!passed) {
      await share([...new Set(mutants.map(({ suite }) => suite))], copies, async (copy, suite) => {
        if (await run(copy, suite) !== 'passed') failing.push(suite)
      })
    }
    if (failing.length > 0) {
      console.error(`${failing.join(', ')}: fails without any mutant; mend that first`)
      return 1
    }
    const results = new Map<Mutant, string>()
    await share(mutants, copies, async (copy, mutant) => {
      results.set(mutant, await plant(copy, mutant))
      console.error(`${results.size} of ${mutants.length}: ${mutant.name}: ${results.get(mutant)}`)
    })
    const caught = [...results.values()].filter((result) => result.startsWith('caught')).length
    const rows = mutants.map((mutant) =>
      `| ${mutant.name} | ${mutant.file} | ${mutant.suite} | ${results.get(mutant)} |`
    )
    console.log(
      ['| planted bug | in | suite | result |', '|---|---|---|---|', ...rows, '',
        `${caught} of ${mutants.length} planted bugs caught`].join('\n')
    )
    return caught === mutants.length ? 0 : 1
  } finally {
    await Promise.all(copies.map((copy) => rm(copy, { recursive: true, force: true })))
  }
}

/** A copy of what the suites need, with the same node_modules. */
async function copyProject (): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'sync-hub-mutants-'))
  for (
    const part of ['src', 'entities', 'test', 'scripts', 'dist', 'package.json', 'tsconfig.json', '.taprc',
      'template.yaml', '.env.example']
  ) await cp(part, join(copy, part), { recursive: true })
  await symlink(resolve('node_modules'), join(copy, 'node_modules'))
  return copy
}

/** Works a list off, one worker for each copy. */
async function share<T> (
  items: readonly T[],
  copies: readonly string[],
  work: (copy: string, item: T) => Promise<void>
): Promise<void> {
  const rest = [...items]
  await Promise.all(copies.map(async (copy) => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await work(copy, item)
  }))
}

/** Plants one bug, runs its suite, and takes the bug out again. */
async function plant (copy: string, { file, find, replace, suite }: Mutant): Promise<string> {
  const path = join(copy, file)
  const original = await readFile(path, 'utf8')
  const [place, ...others] = placesOf(find, original)
  if (place === undefined || others.length > 0) return 'does not fit the code any more'
  await writeFile(path, original.slice(0, place.from) + replace + original.slice(place.to))
  const result = await run(copy, suite)
  await writeFile(path, original)
  return { passed: 'SURVIVED', failed: 'caught', late: 'caught by the clock alone' }[result]
}

/**
 * Runs one suite in the copy, up to its first failure. `late`: it did not fail, and did not end in time
 * either.
 */
async function run (cwd: string, suite: string): Promise<'passed' | 'failed' | 'late'> {
  const child = spawn(process.execPath, ['node_modules/tap/dist/esm/run.mjs', '--disable-coverage', '--bail',
    '--timeout=400', '--reporter=tap', `test/${suite}.test.ts`], { cwd, stdio: ['ignore', 'pipe', 'ignore'] })
  const [text, [code]] = await Promise.all([child.stdout.toArray(),
    once(child, 'exit') as Promise<[number | null]>])
  if (code === 0) return 'passed'
  return /^ *not ok .*timeout!/m.test(Buffer.concat(text as Buffer[]).toString()) ? 'late' : 'failed'
}
