import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { parseArgs } from 'node:util'
import { startBench } from './setup.ts'

const USAGE =
  `npm run bench:sync: how soon a change reaches a listener, and how the cost of a pull grows with a space

  npm run -s bench:sync -- [--changes 200] [--records 1000,50000]

  --changes  how many changes to send to an event stream and to a long poll, in turn; the table has medians and 99th
             percentiles
  --records  the sizes of the spaces, separated by commas; in each, 50 records are edited and pulled

One process on 127.0.0.1 with an embedded store in memory. Tables go to standard output, progress to standard error.`

const { values: { changes, records, help } } = parseArgs({
  options: {
    changes: { type: 'string', default: '200' },
    records: { type: 'string', default: '1000,50000' },
    help: { type: 'boolean' }
  }
})
const sizes = records.split(',').map(Number)
if (help === true) console.log(USAGE)
else if (!sizes.every(isSize) || !isSize(Number(changes))) {
  console.error(`--changes and --records are whole numbers above 0\n\n${USAGE}`)
  process.exitCode = 2
} else await main(Number(changes), sizes)

function isSize (value: number): boolean {
  return Number.isInteger(value) && value > 0
}

async function main (count: number, sizes: number[]): Promise<void> {
  const bench = await startBench()
  const app = await bench.hub()
  const url = await app.listen({ host: '127.0.0.1', port: 0 })

  async function person (user: string) {
    const token = await bench.token('bench', user)
    return async (method: string, path: string, body?: unknown) => {
      const answer = await fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...body !== undefined && { 'content-type': 'application/json' }
        },
        ...body !== undefined && { body: JSON.stringify(body) }
      })
      if (!answer.ok) throw new Error(`${method} ${path}: ${await answer.text()}`)
      return { token, body: await answer.json() as { cursor: string, more: boolean, changes: object[] } }
    }
  }

  const lines = [await live(), await growth()]
  console.log(lines.join('\n\n'))
  await app.close()
  await bench.stop()

  /**
   * From the answer to a write until another connection of the user has the change; negative where it had it
   * first.
   */
  async function live (): Promise<string> {
    const ask = await person('live')
    const { token, body } = await ask('GET', '/v1/sync')
    let { cursor } = body
    const request = get(`${url}/v1/sync/live?cursor=${cursor}`, {
      headers: { authorization: `Bearer ${token}` }
    })
    const [response] = await once(request, 'response') as [IncomingMessage]
    let told = (_time: number) => {}
    response.on('data', (chunk) => {
      if (String(chunk).includes('event: changes')) told(performance.now())
    })
    const times: Record<string, number[]> = { stream: [], 'long poll': [] }
    const after: Record<string, number[]> = { stream: [], 'long poll': [] }
    for (let index = 0; index < count; index++) {
      const event = new Promise<number>((resolve) => {
        told = resolve
      })
      const poll = ask('GET', `/v1/sync?cursor=${cursor}&wait=20`).then((answer) => ({
        cursor: answer.body.cursor,
        at: performance.now()
      }))
      await new Promise((resolve) => {
        setTimeout(resolve, 30)
      }) // until the poll waits
      const sentAt = performance.now()
      await ask('PUT', `/v1/bookmarks/b${index % 50}`, { url: 'https://example.com', title: `${index}` })
      const answeredAt = performance.now()
      const toldAt = await event
      const polled = await poll
      for (const [name, at] of [['stream', toldAt], ['long poll', polled.at]] as const) {
        times[name]!.push(at - sentAt)
        after[name]!.push(at - answeredAt)
      }
      cursor = polled.cursor
    }
    request.destroy()
    const show = (all: number[]) => `${quantile(all, 0.5).toFixed(1)} | ${quantile(all, 0.99).toFixed(1)}`
    const rows = Object.keys(times).map((name) =>
      `| ${name} | ${show(after[name]!)} | ${show(times[name]!)} |`
    )
    return [`${count} changes, told to another connection of the same process, in milliseconds:`,
      '| told by | after the write was answered, p50 | p99 | after it was sent, p50 | p99 |',
      '|---|---:|---:|---:|---:|', ...rows].join('\n')
  }

  async function growth (): Promise<string> {
    const rows: string[] = []
    for (const size of sizes) {
      const ask = await person(`size-${size}`)
      const change = (index: number, title: string) => ({
        type: 'bookmark',
        id: `r${String(index).padStart(6, '0')}`,
        act: 'put',
        record: { url: 'https://example.com/some/page', title }
      })
      for (let from = 0; from < size; from += 98) {
        if (from % 9800 === 0) process.stderr.write(`${from} of ${size} records\n`)
        await ask('POST', '/v1/sync', {
          changes: Array.from({ length: Math.min(98, size - from) }, (_, index) => change(from + index, 'x'))
        })
      }
      bench.reset()
      let [cursor, pages, startedAt] = ['', 0, performance.now()]
      for (let more = true; more; pages++) {
        ;({ cursor, more } = (await ask('GET', `/v1/sync?limit=1000${cursor && `&cursor=${cursor}`}`)).body)
      }
      const snapshot = { units: bench.units(), ms: performance.now() - startedAt }
      for (let index = 0; index < 50; index++) {
        await ask('PUT', `/v1/bookmarks/r${String(Math.floor(index * size / 50)).padStart(6, '0')}`, {
          url: 'https://example.com/some/page',
          title: 'edited'
        })
      }
      bench.reset()
      startedAt = performance.now()
      const { body } = await ask('GET', `/v1/sync?cursor=${cursor}`)
      if (body.changes.length !== 50) throw new Error(`${body.changes.length} changes and not 50`)
      rows.push(
        `| ${size.toLocaleString('en')} | ${bench.units()} | ${
          (performance.now() - startedAt).toFixed(0)
        } | ${snapshot.units.toLocaleString('en')} | ${pages} | ${snapshot.ms.toFixed(0)} |`
      )
    }
    return ['| records in the space | pull of 50 edits, RCU | ms | first sync, RCU | answers | ms |',
      '|---:|---:|---:|---:|---:|---:|', ...rows].join('\n')
  }
}

function quantile (numbers: number[], share: number): number {
  return numbers.sort((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))]!
}
