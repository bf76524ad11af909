import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import type { InjectOptions } from 'fastify'
import { startBench } from './setup.ts'

const USAGE =
  `npm run bench:bookmarks: measures imports, exports and searches, and how long they block the event loop

  npm run -s bench:bookmarks -- [--links 5000] [--most 50000] [--queries 300]

  --links    how many links the first imported file has
  --most     how many bookmarks the searched space has; files of 10,000 are imported until it holds them
  --queries  how many searches of each kind

There is one process with an embedded store in memory. Requests go through inject, without a network. CPU is that of the
process, without the store's. The delay is the longest time in which the event loop did nothing else; on a shared machine
it includes the time of other programs. The table goes to standard output, progress to standard error.`

const WORDS =
  'apple river stone music garden winter travel coffee engine silver market window planet doctor forest bridge camera butter circle dragon filter guitar hammer island jungle kitchen ladder magnet needle orange pencil rabbit saddle tunnel violet walnut yellow zipper anchor basket'
    .split(' ')

const { values: { links, most, queries, help } } = parseArgs({
  options: {
    links: { type: 'string', default: '5000' },
    most: { type: 'string', default: '50000' },
    queries: { type: 'string', default: '300' },
    help: { type: 'boolean' }
  }
})
const numbers = [links, most, queries].map(Number)
if (help === true) console.log(USAGE)
else if (!numbers.every((value) => Number.isInteger(value) && value > 0)) {
  console.error(`--links, --most and --queries are whole numbers above 0\n\n${USAGE}`)
  process.exitCode = 2
} else await main(...numbers as [number, number, number])

async function main (links: number, most: number, queries: number): Promise<void> {
  const bench = await startBench({ spaceRecords: 100_000 })
  let app = await bench.hub()

  const tokens: Record<string, string> = {}
  for (const user of ['few', 'many']) {
    tokens[user] = await bench.token('bench', user)
  }

  async function ask (
    user: string,
    method: 'GET' | 'POST' | 'PUT',
    url: string,
    payload?: string,
    type = 'text/html'
  ): Promise<string> {
    const answer = await app.inject(
      {
        method,
        url,
        headers: {
          authorization: `Bearer ${tokens[user]}`,
          ...payload !== undefined && { 'content-type': type }
        },
        ...payload !== undefined && { payload }
      } as InjectOptions
    )
    if (answer.statusCode >= 300) throw new Error(`${method} ${url}: ${answer.payload}`)
    return answer.payload
  }

  const rows: string[] = []
  async function measure<T> (name: string, work: () => Promise<T>): Promise<T> {
    const delay = monitorEventLoopDelay({ resolution: 5 })
    bench.reset()
    delay.enable()
    const cpu = process.cpuUsage()
    const startedAt = performance.now()
    const result = await work()
    const ms = performance.now() - startedAt
    delay.disable()
    const { user, system } = process.cpuUsage(cpu)
    rows.push(
      `| ${name} | ${ms.toFixed(0)} | ${((user + system) / 1000).toFixed(0)} | ${
        (delay.max / 1e6).toFixed(0)
      } | ${Math.round(bench.units()).toLocaleString('en')} |`
    )
    process.stderr.write(`${rows.at(-1)}\n`)
    return result
  }

  await ask(
    'few',
    'PUT',
    '/v1/bookmarks/warm',
    '{"url":"https://example.com","title":"x"}',
    'application/json'
  )
  await measure(
    `import ${links.toLocaleString('en')} links of a browser`,
    () => ask('few', 'POST', '/v1/bookmarks/import', fileOf(0, links))
  )
  await measure('the same file again', () => ask('few', 'POST', '/v1/bookmarks/import', fileOf(0, links)))
  await measure(
    'dry run of 50,000 links',
    () => ask('few', 'POST', '/v1/bookmarks/import?dryRun=true', fileOf(0, 49_000, false))
  )
  await measure(
    'dry run of a file nested 10,000 deep',
    () =>
      ask(
        'few',
        'POST',
        '/v1/bookmarks/import?dryRun=true',
        `${'<DL><p><DT><H3>f</H3>'.repeat(10_000)}<DT><A HREF="https://example.com/deep">x</A>`
      )
  )
  for (let from = 0; from < most; from += 9000) {
    await measure(
      `import up to ${Math.min(most, from + 9000).toLocaleString('en')}`,
      () => ask('many', 'POST', '/v1/bookmarks/import', fileOf(from, Math.min(9000, most - from)))
    )
  }
  for (const format of ['html', 'xbel', 'json']) {
    await measure(
      `export ${most.toLocaleString('en')} as ${format}`,
      () => ask('many', 'GET', `/v1/bookmarks/export?format=${format}`)
    )
  }
  await app.close()
  app = await bench.hub()
  await measure(
    'first look of a process at that space: its folders',
    () => ask('many', 'GET', '/v1/bookmarks/tree')
  )
  let searches: string[] = []
  await search()
  console.log(
    [
      `Node.js ${process.version}, ${process.platform} ${process.arch}, ${
        new Date().toISOString().slice(0, 10)
      }.`,
      '',
      '| what | ms | CPU ms | longest delay, ms | units |',
      '| --- | ---: | ---: | ---: | ---: |',
      ...rows,
      ...searches
    ].join('\n')
  )
  await app.close()
  await bench.stop()

  async function search (): Promise<void> {
    const random = (from: number) => from + Math.floor(Math.random() * most)
    const kinds: Record<string, () => string> = {
      'a rare word': () => titleWords(random(0))[2]!,
      'two words': () => `${pick(random(0) * 11)} ${titleWords(random(0))[3]!}`,
      'the beginning of a word': () => titleWords(random(0))[2]!.slice(0, -1),
      'three letters': () => titleWords(random(0))[2]!.slice(0, 3),
      'a typo': () => titleWords(random(0))[4]!.replace(/^(.)(.)/, '$2$1'),
      'a common word': () => pick(random(0)),
      'a phrase': () => `"${titleWords(random(0)).slice(0, 2).join(' ')}"`,
      'tag: and a word': () => `tag:${pick(random(0))} ${pick(random(0))}`,
      'site: and a word': () => `site:${pick(random(0))}${random(0) % 500}.example.com ${pick(random(0))}`,
      'folder: and a word': () => `folder:"Folder ${random(0) % 90}" ${pick(random(0))}`
    }
    await measure(
      `first search of a process among ${most.toLocaleString('en')}`,
      () => ask('many', 'GET', '/v1/bookmarks?q=first')
    )
    const all: number[] = []
    const lines: string[] = []
    for (const [name, make] of Object.entries(kinds)) {
      const times: number[] = []
      bench.reset()
      for (let run = 0; run < queries; run++) {
        const url = `/v1/bookmarks?limit=20&q=${encodeURIComponent(make())}`
        const startedAt = performance.now()
        await ask('many', 'GET', url)
        times.push(performance.now() - startedAt)
      }
      all.push(...times)
      lines.push(
        `| ${name} | ${quantile(times, 0.5).toFixed(1)} | ${quantile(times, 0.95).toFixed(1)} | ${
          quantile(times, 1).toFixed(1)
        } | ${(bench.units() / queries).toFixed(2)} |`
      )
      process.stderr.write(`${lines.at(-1)}\n`)
    }
    lines.push(
      `| all | ${quantile(all, 0.5).toFixed(1)} | ${quantile(all, 0.95).toFixed(1)} | ${
        quantile(all, 1).toFixed(1)
      } | |`
    )
    searches = ['',
      `| search among ${most.toLocaleString('en')}, ${queries} each | p50 ms | p95 ms | max ms | RCU |`,
      '| --- | ---: | ---: | ---: | ---: |', ...lines]
  }
}

function quantile (numbers: number[], share: number): number {
  return numbers.sort((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))]!
}

function pick (seed: number): string {
  return WORDS[(seed * 2654435761 >>> 7) % WORDS.length]!
}

/** Two words of forty, and three of which there are thousands. */
function titleWords (index: number): string[] {
  return [pick(index * 11), pick(index * 13),
    ...[index % 4999, index % 7919, index].map((number) => `${pick(number)}${number.toString(36)}`)]
}

/**
 * A file as a browser writes it: folders of 100 links each, titles of five words, three of them from
 * thousands.
 */
function fileOf (from: number, count: number, icons = true): string {
  const lines: string[] = ['<!DOCTYPE NETSCAPE-Bookmark-file-1>', '<DL><p>']
  for (let index = from; index < from + count; index++) {
    if (index % 100 === 0 || index === from) {
      lines.push(
        ...index === from ? [] : ['</DL><p>'],
        `<DT><H3 ADD_DATE="1600000000">Folder ${Math.floor(index / 100)}</H3>`,
        '<DL><p>'
      )
    }
    const title = titleWords(index)
    lines.push(
      `<DT><A HREF="https://${pick(index * 3)}${index % 500}.example.com/${pick(index * 5)}/${
        title[2]
      }?id=${index}" ADD_DATE="${1_600_000_000 + index}" TAGS="${pick(index)},${pick(index * 7)}"${
        icons ? ' ICON="data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABAAAAAQ"' : ''
      }>${title.join(' ')}</A>`
    )
    if (index % 3 === 0) {
      lines.push(`<DD>${pick(index * 17)} ${pick(index * 19)} and ${pick(index * 23)}, said by ${title[3]}`)
    }
  }
  return lines.join('\n')
}
