import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startServer } from '../test/harness/server.ts'

const USAGE =
  `npm run contract: sends a hub on loopback requests that its OpenAPI document allows, and others (Schemathesis)

  npm run contract -- [--examples 5] [--seconds 300] [--seed 1]

  --examples  how many requests to try for each operation
  --seconds   how long to try at most
  --seed      the seed of the requests

Needs dist/ (npm run build) and Schemathesis (pip install schemathesis), on the PATH or named by SCHEMATHESIS. Without
Schemathesis the command says so, tests nothing, and exits with 0.`

/**
 * What the checks do not know. Requests that fit the schemas may still be refused: cursors are sealed, If-Match names a
 * revision, a number may be beyond 2^53. What is too long for a header is 431. Any text is a file of some kind.
 */
const RULES = `[checks.positive_data_acceptance]
enabled = false
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429", "431", "5xx"]
[[operations]]
include-path-regex = "/bookmarks/import$"
checks.negative_data_rejection.enabled = false
`

const { values } = parseArgs({
  options: {
    examples: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '300' },
    seed: { type: 'string', default: '1' },
    help: { type: 'boolean' }
  }
})
if (values.help === true) console.log(USAGE)
else process.exitCode = await main(process.env.SCHEMATHESIS ?? 'schemathesis')

async function main (tool: string): Promise<number> {
  if (spawnSync(tool, ['--version']).status !== 0) {
    console.log(`${tool} is not there: the contract was not asked by it (pip install schemathesis)`)
    return 0
  }
  const dir = await mkdtemp(join(tmpdir(), 'sync-hub-contract-'))
  const server = await startServer({ DATA_DIR: join(dir, 'data'), LOG_LEVEL: 'warn' })
  try {
    const rules = join(dir, 'schemathesis.toml')
    await writeFile(rules, RULES)
    const token = await server.token('acme', 'alice')
    const child = spawn(tool, ['--config-file', rules, 'run', `${server.url}/openapi.json`, '--header',
      `Authorization: Bearer ${token}`, '--max-examples', values.examples, '--seed', values.seed,
      '--max-time', values.seconds, '--phases', 'examples,coverage,fuzzing', '--workers', '1',
      '--generation-database', 'none', '--exclude-path', '/v1/sync/live', '--request-timeout', '60',
      '--suppress-health-check', 'all', '--continue-on-failure', '--no-shrink', '--no-color', '--warnings',
      'off'], {
      cwd: dir,
      stdio: 'inherit'
    })
    const [code] = await once(child, 'exit') as [number | null]
    const complaints = server.stdout.filter((line) => /"level":"(?:error|fatal)"/.test(line))
    for (const line of complaints) console.log(`the hub logged ${line}`)
    return code === 0 && complaints.length === 0 ? 0 : 1
  } finally {
    await server.end('SIGTERM')
    await rm(dir, { recursive: true, force: true })
  }
}
