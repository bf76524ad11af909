import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ABUSES, type Sent } from './abuses.ts'
import { quantile } from './load.ts'
import { startServer } from './servers.ts'

const USAGE =
  `npm run bench:load: measures 20 quiet tenants during each kind of abuse, and under five times the load that the hub can serve

  npm run -s bench:load -- [--seconds 10] [--only search,overload]

  --seconds  the length of each measurement, 2 to 15
  --only     only measurements whose names contain one of these texts: ${
    Object.keys(ABUSES).join(', ')
  }, overload

The hub is dist/server.mjs in local mode (npm run build first), in a process of its own on 127.0.0.1. Each quiet tenant
gets one bookmark twice a second, at fixed times that do not wait for answers; latencies count from those times. Memory
is the most that the hub's process held. If there is taskset, the hub is pinned to CPU 0, and store and load to CPU 1. The
table goes to standard output, progress to standard error. Exits with 1 if a quiet tenant saw an error.`

const QUIET = 20
const PER_SECOND = 40
const say = (line: string) => process.stderr.write(`${line}\n`)

interface Measured {
  readonly sent: number
  readonly errors: number
  readonly p50: number
  readonly p99: number
  readonly goodput: number
  readonly megabytes: number
}

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    only: { type: 'string', default: '' },
    help: { type: 'boolean', default: false }
  }
})
const seconds = Number(values.seconds)
const only = values.only.split(',')
const isWanted = (name: string) => only.some((text) => name.includes(text))
const undo: (() => Promise<unknown>)[] = []
if (values.help) console.log(USAGE)
else if (!Number.isInteger(seconds) || seconds < 2 || seconds > 15) {
  console.error(`--seconds is a whole number from 2 to 15\n\n${USAGE}`)
  process.exitCode = 2
} else {
  try {
    process.exitCode = await main()
  } finally {
    for (const step of undo.reverse()) await step()
  }
}

async function main (): Promise<number> {
  const rows: string[] = []
  let failed = false
  const row = (name: string, { sent, errors, p50, p99, goodput, megabytes }: Measured, idle?: Measured) => {
    const ratio = idle === undefined ? '-' : (p99 / idle.p99).toFixed(1)
    rows.push(
      `| ${name} | ${sent} | ${errors} | ${p50.toFixed(1)} | ${p99.toFixed(1)} | ${ratio} | ${
        goodput.toFixed(0)
      } | ${megabytes.toFixed(0)} |`
    )
    say(rows.at(-1)!)
  }
  for (const [name, abuse] of Object.entries(ABUSES)) {
    if (!isWanted(name)) continue
    const hub = await startHub()
    const idle = await hub.measure(PER_SECOND)
    row(`idle, before ${name}`, idle)
    const stop = new AbortController()
    const bully = {
      url: hub.url,
      token: (user: string) => hub.token('abuser', user),
      send: hub.send,
      signal: stop.signal
    }
    const run = (await abuse(bully))()
    const beside = await hub.measure(PER_SECOND)
    stop.abort()
    hub.cut()
    await run
    row(name, beside, idle)
    failed ||= beside.errors > 0
    await hub.stop()
  }
  if (isWanted('overload')) {
    const hub = await startHub()
    const peak = await hub.peak()
    row('peak: 32 connections', peak)
    row('overload: 5 times that', await hub.measure(peak.goodput * 5))
    await hub.stop()
  }
  console.log(
    [
      `Node.js ${process.version}, ${seconds} s each. ${
        hasTaskset() ? 'Hub on CPU 0, store and load on CPU 1.' : 'Nothing is pinned.'
      }`,
      '',
      '| beside | sent | errors | p50 ms | p99 ms | p99 ÷ idle | good answers/s | MB at most |',
      '|---|---:|---:|---:|---:|---:|---:|---:|',
      ...rows
    ].join('\n')
  )
  return failed ? 1 : 0
}

function hasTaskset (): boolean {
  return spawnSync('taskset', ['--version'], { stdio: 'ignore' }).status === 0
}

/** A hub with its quiet tenants. */
async function startHub () {
  const dir = mkdtempSync(join(tmpdir(), 'sync-hub-load-'))
  const steps: (() => Promise<unknown>)[] = [() => rm(dir, { recursive: true, force: true })]
  const stop = async () => {
    for (const step of steps.splice(0).reverse()) await step()
  }
  undo.push(stop)
  const { url, pid } = await startServer('hub', dir, [], (step) => steps.push(step))
  if (hasTaskset()) {
    spawnSync('taskset', ['-apc', '0', String(pid)], { stdio: 'ignore' })
    spawnSync('taskset', ['-apc', '1', String(process.pid)], { stdio: 'ignore' })
  }
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity })
  const [quietly, loudly] = [sender(url, agent), sender(url, new Agent({ keepAlive: true, maxSockets: 500 }))]
  const token = async (tenant: string, user: string) => {
    const answer = await fetch(`${url}/local/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ tenant, user })
    })
    return (await answer.json() as { access_token: string }).access_token
  }
  const tokens = await Promise.all(Array.from({ length: QUIET }, (_, index) => token(`quiet-${index}`, 'u')))
  const body = '{"url":"https://example.com","title":"x"}'
  for (const token of tokens) await quietly.send('/v1/bookmarks/b', { method: 'PUT', token, body })
  const get = (index: number) => quietly.send('/v1/bookmarks/b', { token: tokens[index % QUIET]! })

  async function measuring (run: (until: number, note: Note) => Promise<void>): Promise<Measured> {
    const times: number[] = []
    let [sent, errors, megabytes] = [0, 0, 0]
    const kinds = new Map<number | string, number>()
    const watch = setInterval(() => {
      megabytes = Math.max(megabytes, memoryOf(pid))
    }, 200)
    const end = performance.now() + seconds * 1000
    await run(end, async (at, answer) => {
      sent++
      const status = await answer.catch((error: unknown) => String(error))
      if (status === 200) times.push(performance.now() - at)
      else {
        errors++
        kinds.set(status, (kinds.get(status) ?? 0) + 1)
      }
    })
    clearInterval(watch)
    for (const [kind, count] of kinds) say(`${count} of ${sent} were answered with ${kind}`)
    times.sort((a, b) => a - b)
    const [p50 = NaN, p99 = NaN] = times.length === 0 ? [] : [quantile(times, 0.5), quantile(times, 0.99)]
    return { sent, errors, p50, p99, goodput: times.length / seconds, megabytes }
  }

  return {
    url,
    token,
    stop,
    send: loudly.send,
    cut: loudly.cut,
    /** So many requests a second, whether or not the earlier ones are answered. */
    measure: (perSecond: number) =>
      measuring(async (end, note) => {
        const start = performance.now()
        const under: Promise<void>[] = []
        for (let index = 0, at = start; at < end; at = start + ++index * 1000 / perSecond) {
          const ahead = at - performance.now()
          if (ahead > 1) await new Promise((resolve) => setTimeout(resolve, ahead))
          under.push(note(at, get(index)))
        }
        await Promise.all(under)
      }),
    peak: () =>
      measuring(async (end, note) => {
        await Promise.all(Array.from({ length: 32 }, async (_, index) => {
          for (let at = performance.now(); at < end; at = performance.now()) await note(at, get(index))
        }))
      })
  }
}

type Note = (at: number, answer: Promise<number>) => Promise<void>

/** Requests of one kind of client; a request that takes over 30 s has failed. */
function sender (url: string, agent: Agent) {
  const open = new Set<ReturnType<typeof request>>()
  const send = (path: string, { method = 'GET', token, body, type = 'application/json' }: Sent = {}) =>
    new Promise<number>((resolve, reject) => {
      const asked = request(`${url}${path}`, {
        method,
        agent,
        timeout: 30_000,
        headers: {
          ...token !== undefined && { authorization: `Bearer ${token}` },
          ...body !== undefined && { 'content-type': type, 'content-length': Buffer.byteLength(body) }
        }
      }, (answer) => {
        answer.resume().once('end', () => {
          resolve(answer.statusCode ?? 0)
        }).once('error', reject)
      })
      open.add(asked)
      asked.once('error', reject).once('timeout', () => asked.destroy(new Error('late'))).once(
        'close',
        () => open.delete(asked)
      )
      asked.end(body)
    })
  return {
    send,
    /** Ends what is under way. */
    cut: () => {
      for (const asked of open) asked.destroy(new Error('over'))
    }
  }
}

/** Megabytes that a process holds; 0 where the system does not say. */
function memoryOf (pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}
