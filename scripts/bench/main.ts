import { spawnSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ALL, amountOf, drive, OPERATIONS, USERS, verify, type Operation } from './load.ts'
import { renderTable, type Result } from './table.ts'
import { SERVERS, startServer, type Server, type ServerName } from './servers.ts'

const USAGE = `npm run bench: compares the hub with two other servers that do the same work on the same store

  npm run -s bench -- [--rounds 5] [--amount 1000] [--connections 16] [--only hub,put ...]

  hub      this project as it is deployed: npm run build, then dist/server.mjs in local mode
  plain    Express and the AWS SDK, as one would write it in an afternoon (scripts/bench/plain.ts)
  limit    node:http and hand-signed calls, nothing else (scripts/bench/limit.ts)

  --rounds       how many rounds; each measures every operation on every server in turn, and the table has medians
  --amount       requests in a measurement; a quarter of it for lists
  --connections  how many connections are open; each waits for its answer before it sends the next request
  --only         servers (hub, plain, limit) or operations (put, get, list), separated by commas

The table goes to standard output, progress to standard error. Exits with 1 if an answer was not 2xx or a bookmark
did not read back as it was written. Everything stays on 127.0.0.1 and in a temporary directory that is removed.`

interface Plan {
  rounds: number
  amount: number
  connections: number
  servers: ServerName[]
  operations: Operation[]
}

const say = (line: string) => process.stderr.write(`${line}\n`)

const undo: (() => Promise<unknown>)[] = []
let ending: Promise<void> | undefined

/** What is begun while the end is under way is ended at once. */
function defer (step: () => Promise<unknown>): void {
  if (ending === undefined) undo.push(step)
  else void step()
}

/** Undoes everything once, the last first. A step that fails does not keep the others from being done. */
function cleanUp (): Promise<void> {
  return ending ??= (async () => {
    for (const step of undo.reverse()) await step().catch((error: unknown) => say(`bench: ${String(error)}`))
  })()
}

async function main (): Promise<void> {
  const plan = readFlags()
  if (plan === undefined) return console.log(USAGE)
  const { servers: names, operations, rounds, amount, connections } = plan
  if (names.includes('hub')) build()

  const dir = mkdtempSync(join(tmpdir(), 'sync-hub-bench-'))
  defer(() => rm(dir, { recursive: true, force: true }))
  const servers: Server[] = []
  for (const name of names) servers.push(await startServer(name, dir, USERS, defer))

  for (const server of servers) {
    say(`${server.name}: writing ${ALL} bookmarks, warming up`)
    await drive(server, 'put', 0, ALL, connections)
    for (const operation of operations) {
      await drive(server, operation, 0, amountOf(operation, amount, connections), connections)
    }
  }

  const results: Result[] = []
  for (let round = 1; round <= rounds; round++) {
    for (const operation of operations) {
      for (const server of servers) {
        const figures = await drive(
          server,
          operation,
          round,
          amountOf(operation, amount, connections),
          connections
        )
        results.push({ server: server.name, operation, round, ...figures })
        say(
          `round ${round} of ${rounds}, ${OPERATIONS[operation]}, ${server.name}: ${
            Math.round(figures.rate)
          }/s`
        )
      }
    }
  }
  for (const server of servers) {
    const count = await verify(server, operations.includes('put') ? rounds : 0, amount)
    say(`${server.name}: ${count} bookmarks and their lists read back as they were written`)
  }
  console.log(
    renderTable(
      results,
      `Node.js ${process.version}, ${process.platform} ${process.arch}, ${availableParallelism()} cores shared by server, store and load generator, ${
        new Date().toISOString().slice(0, 10)
      }. Medians of ${rounds} round${
        rounds === 1 ? '' : 's'
      } of ${amount} requests (a quarter of it for lists) over ${connections} connections, ${USERS.length} users.`
    )
  )
}

/** @returns undefined where only help was asked for. @throws Error saying what a flag may be */
function readFlags (): Plan | undefined {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      amount: { type: 'string', default: '1000' },
      connections: { type: 'string', default: '16' },
      only: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean' }
    }
  })
  if (values.help === true) return undefined
  const number = (name: 'rounds' | 'amount' | 'connections', max: number) => {
    const value = Number(values[name])
    if (!Number.isInteger(value) || value < 1 || value > max) {
      throw new Error(`--${name} is a whole number from 1 to ${max}, not "${values[name]}"`)
    }
    return value
  }
  const [rounds, amount, connections] = [number('rounds', 100), number('amount', 100_000),
    number('connections', 256)]
  if (amount < connections) throw new Error(`--amount is at least --connections (${connections})`)
  const only = values.only.flatMap((names) => names.split(','))
  const all = Object.keys(OPERATIONS) as Operation[]
  const stray = only.find((name) => ![...SERVERS, ...all].includes(name as never))
  if (stray !== undefined) throw new Error(`--only takes ${[...SERVERS, ...all].join(', ')}, not "${stray}"`)
  const chosen = <T extends string>(names: readonly T[]) =>
    names.some((name) => only.includes(name)) ? names.filter((name) => only.includes(name)) : [...names]
  return { rounds, amount, connections, servers: chosen(SERVERS), operations: chosen(all) }
}

function build (): void {
  say('building dist/')
  const { status } = spawnSync(process.execPath, ['--import', 'tsx', 'scripts/build.ts'], {
    cwd: fileURLToPath(new URL('../../', import.meta.url)),
    stdio: ['ignore', 2, 2]
  })
  if (status !== 0) throw new Error('the hub could not be built')
}

// Not `once`: on Ctrl-C the signal comes twice, from the terminal and from the runner above us.
for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const) {
  process.on(signal, () => void cleanUp().then(() => process.exit(code)))
}
try {
  await main()
} catch (error) {
  if (ending === undefined) say(`bench: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
} finally {
  await cleanUp()
}
