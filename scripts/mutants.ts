import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { MUTANTS, type Mutant } from './mutants/list.ts'

const USAGE = `npm run mutants: plants known bugs, one at a time, in a copy of the project, and runs the suite that should notice

  npm run mutants -- [--only text]     only the mutants whose name holds the text

Every suite must pass unchanged first; a mutant that its suite does not notice, or that no longer fits the code, is a
failure (exit code 1). Prints a table.`

const { values: { only = '', help } } = parseArgs({ options: { only: { type: 'string' }, help: { type: 'boolean' } } })
if (help === true) console.log(USAGE)
else process.exitCode = await main(MUTANTS.filter(({ name }) => name.includes(only)))

async function main (mutants: readonly Mutant[]): Promise<number> {
  const copy = await mkdtemp(join(tmpdir(), 'sync-hub-mutants-'))
  try {
    for (const part of ['src', 'entities', 'test', 'scripts', 'dist', 'package.json', 'tsconfig.json', '.taprc', 'template.yaml', '.env.example']) await cp(part, join(copy, part), { recursive: true })
    await symlink(resolve('node_modules'), join(copy, 'node_modules'))
    for (const suite of new Set(mutants.map(({ suite }) => suite))) {
      if (await passes(copy, suite)) continue
      console.error(`${suite} fails without any mutant: mend that first`)
      return 1
    }
    const rows: string[] = []
    let survived = 0
    for (const [index, { name, file, find, replace, suite }] of mutants.entries()) {
      const path = join(copy, file)
      const original = await readFile(path, 'utf8')
      const fits = original.split(find).length === 2
      await writeFile(path, original.replace(find, () => replace))
      const result = !fits ? 'does not fit the code any more' : await passes(copy, suite) ? 'SURVIVED' : 'caught'
      await writeFile(path, original)
      if (result !== 'caught') survived++
      rows.push(`| ${name} | ${file} | ${suite} | ${result} |`)
      console.error(`${index + 1} of ${mutants.length}: ${name}: ${result}`)
    }
    console.log(['| planted bug | in | suite | result |', '|---|---|---|---|', ...rows, '', `${mutants.length - survived} of ${mutants.length} planted bugs caught`].join('\n'))
    return survived === 0 ? 0 : 1
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
}

/** Runs one suite in the copy, up to its first failure. */
async function passes (cwd: string, suite: string): Promise<boolean> {
  const child = spawn(process.execPath, ['node_modules/tap/dist/esm/run.mjs', '--disable-coverage', '--bail', '--reporter=silent', `test/${suite}.test.ts`], { cwd, stdio: 'ignore' })
  const [code] = await once(child, 'exit') as [number | null]
  return code === 0
}
