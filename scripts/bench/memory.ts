import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { parseArgs } from 'node:util'
import Fastify from 'fastify'
import { buildApp } from '../../src/app.ts'
import { loadConfig, silenceSdkNotice } from '../../src/config.ts'
import { createTable } from '../../src/local/create-table.ts'
import { freePort, startEmbeddedStore } from '../../src/local/embedded-store.ts'
import { createLocalIssuer } from '../../src/local/issuer.ts'

const USAGE = `npm run bench:memory: measures the memory of a process under heavy requests

  npm run -s bench:memory -- [--megabytes 49] [--runs 24] [--readers 20]

  --megabytes  the size of the searched space as JSON, in bookmarks of 1 KB
  --runs       how many dry runs of a file of 9 MB run at once
  --readers    how many clients read exports, and pause for a while

There is one process with at most 1 GB of heap, and an embedded store in memory. "peak" is the largest resident size,
sampled every 20 ms; "after" is the size after a garbage collection. The table goes to standard output.`

const { values: { megabytes, runs, readers, help } } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '49' },
    runs: { type: 'string', default: '24' },
    readers: { type: 'string', default: '20' },
    help: { type: 'boolean' }
  }
})
const numbers = [megabytes, runs, readers].map(Number)
if (help === true) console.log(USAGE)
else if (!numbers.every((value) => Number.isInteger(value) && value > 0)) {
  console.error(`--megabytes, --runs and --readers are whole numbers above 0\n\n${USAGE}`)
  process.exitCode = 2
} else await main(...numbers as [number, number, number])

async function main (megabytes: number, runs: number, readers: number): Promise<void> {
  silenceSdkNotice()
  const store = await startEmbeddedStore(undefined)
  await createTable(store.endpoint, 'bench')
  const issuerPort = await freePort()
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' }
  })
  const issuer = createLocalIssuer(`http://127.0.0.1:${issuerPort}/local`, privateKey)
  const keys = Fastify()
  await keys.register(issuer.plugin)
  await keys.listen({ host: '127.0.0.1', port: issuerPort })
  const plain = loadConfig({})
  const config = {
    ...plain,
    limits: { ...plain.limits, spaceRecords: 1_000_000 },
    dynamodbEndpoint: store.endpoint,
    table: 'bench',
    issuers: [issuer.entry],
    secret: 'only for this run, 32 characters',
    logLevel: 'silent'
  }
  let app = await buildApp(config)
  const port = await freePort()
  const tokenOf = async (user: string) => `Bearer ${(await issuer.mint({ tenant: user, user })).access_token}`
  const owner = await tokenOf('owner')
  const ask = async (authorization: string, url: string, payload?: string) => {
    const { statusCode } = await app.inject({
      url,
      headers: { authorization, ...payload !== undefined && { 'content-type': 'application/json' } },
      ...payload !== undefined && { method: 'POST', payload }
    })
    return statusCode
  }

  const lines: string[] = []
  async function measure (name: string, work: () => Promise<string>): Promise<void> {
    globalThis.gc?.()
    const before = process.memoryUsage().rss
    let peak = before
    const timer = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss)
    }, 20)
    const said = await work()
    clearInterval(timer)
    globalThis.gc?.()
    const after = process.memoryUsage()
    const mb = (bytes: number) => (bytes / 1e6).toFixed(0)
    lines.push(
      `| ${name} | ${said} | ${mb(before)} | ${mb(peak)} | ${mb(after.heapUsed)} + ${mb(after.external)} |`
    )
    process.stderr.write(`${lines.at(-1)}\n`)
  }

  for (let from = 0; from < megabytes * 1000; from += 7000) {
    const status = await ask(
      owner,
      '/v1/bookmarks/import',
      fileOf(from, Math.min(7000, megabytes * 1000 - from))
    )
    if (status !== 200) throw new Error(`An import was answered ${status}.`)
  }
  await app.close()
  app = await buildApp(config)
  await measure(
    `first search among ${megabytes} MB`,
    async () => `${await ask(owner, '/v1/bookmarks?q=river')}`
  )
  await measure(
    '20 more at once',
    async () =>
      counted(await Promise.all(Array.from({ length: 20 }, () => ask(owner, '/v1/bookmarks?q=river'))))
  )
  await app.listen({ host: '127.0.0.1', port })
  const slow: IncomingMessage[] = []
  await measure(`${readers} readers of its export, who wait`, async () => {
    const statuses = await Promise.all(
      Array.from({ length: readers }, async (_, index) => {
        const request = get({
          host: '127.0.0.1',
          port,
          agent: false,
          path: `/v1/bookmarks/export?format=${['html', 'json', 'xbel'][index % 3]}`,
          headers: { authorization: owner }
        })
        request.on('error', () => {})
        const [response] = await Promise.race([once(request, 'response'), after(3000)]) as [IncomingMessage?]
        if (response !== undefined) slow.push(response)
        return response?.statusCode ?? 0
      })
    )
    return counted(statuses)
  })
  for (const response of slow) response.destroy()
  const file = fileOf(0, 9000)
  const tenants = await Promise.all(Array.from({ length: runs }, (_, index) => tokenOf(`tenant-${index}`)))
  await measure(
    `${runs} dry runs of ${(file.length / 1e6).toFixed(0)} MB at once`,
    async () =>
      counted(await Promise.all(tenants.map((token) => ask(token, '/v1/bookmarks/import?dryRun=true', file))))
  )
  console.log(
    [`Node.js ${process.version}, ${process.platform} ${process.arch}, at most 1 GB of heap.`, '',
      '| what | answers | before, MB | peak, MB | after: heap + outside, MB |',
      '| --- | --- | ---: | ---: | ---: |', ...lines].join('\n')
  )
  await app.close()
  await keys.close()
  await store.stop()
}

function after (ms: number): Promise<[]> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms, [])
  })
}

/** `20 x 200`; 0 is one that still waits. */
function counted (statuses: readonly number[]): string {
  const counts = new Map<number, number>()
  for (const status of statuses) counts.set(status, (counts.get(status) ?? 0) + 1)
  return [...counts].map(([status, count]) => `${count} x ${status === 0 ? 'waiting' : status}`).join(', ')
}

/** Bookmarks of 1 KB each, with words of which there are thousands. */
function fileOf (from: number, count: number): string {
  const word = (seed: number) =>
    `${'river stone music garden winter travel'.split(' ')[seed % 6]}${(seed * 7919) % 20_011}`
  return JSON.stringify({
    format: 'sync-hub-bookmarks',
    version: 1,
    bookmarks: Array.from({ length: count }, (_, index) => ({
      id: `r${from + index}`,
      url: `https://example.com/${from + index}`,
      title: `${word(from + index)} river ${word(index * 3)}`,
      tags: [word(index % 50)],
      description: Array.from({ length: 78 }, (_, at) => word((from + index) * 31 + at * at)).join(' ')
    }))
  })
}
