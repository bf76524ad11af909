import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { createContext } from '@dprint/formatter'
import { getPath } from '@dprint/typescript'

const USAGE = `npm run format: formats all TypeScript by the rules of dprint.json

  npm run format -- [--check] [FILE ...]

  --check  changes nothing; names the files that are not formatted, and exits with 1 if there are any

Without FILE: every file that git tracks, and new files that it does not ignore.`

const [flags, named] = [process.argv.slice(2).filter((word) => word.startsWith('--')),
  process.argv.slice(2).filter((word) => !word.startsWith('--'))]
const unknown = flags.find((flag) => flag !== '--check' && flag !== '--help')
if (unknown !== undefined) {
  console.error(`There is no option ${unknown}.\n\n${USAGE}`)
  process.exitCode = 2
} else if (flags.includes('--help')) console.log(USAGE)
else process.exitCode = await main(named.length > 0 ? named : tracked(), flags.includes('--check'))

function tracked (): string[] {
  const list = ['ls-files', '--cached', '--others', '--exclude-standard', '--deduplicate', '*.ts', '*.tsx',
    '*.mjs']
  return execFileSync('git', list, { encoding: 'utf8' }).split('\n').filter((name) => name !== '')
}

async function main (files: readonly string[], check: boolean): Promise<number> {
  const { typescript, ...layout } = await readSettings()
  const context = createContext(layout)
  context.addPlugin(await readFile(getPath()), typescript)
  const changed: string[] = []
  for (const filePath of files) {
    const fileText = await readFile(filePath, 'utf8').catch(() => undefined)
    if (fileText === undefined) continue
    const laidOut = context.formatText({ filePath, fileText })
    if (laidOut === fileText) continue
    changed.push(filePath)
    if (!check) await writeFile(filePath, laidOut)
  }
  if (changed.length === 0) return 0
  console.log(
    check ? `Not laid out (npm run format):\n${changed.join('\n')}` : `Laid out:\n${changed.join('\n')}`
  )
  return check ? 1 : 0
}

async function readSettings (): Promise<Record<string, Record<string, unknown>>> {
  return JSON.parse(await readFile('dprint.json', 'utf8')) as Record<string, Record<string, unknown>>
}
