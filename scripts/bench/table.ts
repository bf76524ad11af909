import { OPERATIONS, type Figures, type Operation } from './load.ts'
import type { ServerName } from './servers.ts'

/** One measurement: one operation on one server in one round. */
export interface Result extends Figures {
  readonly server: ServerName
  readonly operation: Operation
  readonly round: number
}

const FOOTNOTE =
  `CPU is the server's own process, all threads, user and system, from /proc (where there is none: -); store and load generator are not in it. Ratios are taken round by round against plain, then their median. Each server has a store process of its own, with its rows in a file.

- **hub**: \`dist/server.mjs\` in local mode, log level info with the log going to /dev/null, rate limits off. A PUT is one transaction of three rows (the space's head with quota and number, its log entry, the bookmark on its revision) on a table with two indexes.
- **plain**: Express 5 and DynamoDBDocumentClient. It verifies the same kind of RS256 token and checks the body by hand, but a PUT is one PutItem that overwrites: no log (so no sync, live updates or undo), no quota, no revisions, ETags or conditions, no creation time, no idempotency keys; no request log, request ids, rate limits or OpenAPI, cursors that are not sealed, and a table without indexes.
- **limit**: node:http, calls signed by hand over kept-alive sockets; a bookmark is one string. It checks nothing, the token and the body included.`

/**
 * The results as Markdown: one row an operation and server, medians over the rounds, and what the figures
 * leave out.
 */
export function renderTable (results: readonly Result[], heading: string): string {
  const rows = (Object.keys(OPERATIONS) as Operation[]).flatMap((operation) => {
    const ofOperation = results.filter((result) => result.operation === operation)
    return [...new Set(ofOperation.map(({ server }) => server))].map((server) => {
      const own = ofOperation.filter((result) => result.server === server)
      const over = (name: 'rate' | 'cpu') =>
        median(own.map((figures) => {
          const plain = ofOperation.find(({ server, round }) => server === 'plain' && round === figures.round)
          return divide(figures[name], plain?.[name])
        }))
      return [OPERATIONS[operation], server, show(median(own.map(({ rate }) => rate)), 0),
        show(median(own.map(({ p50 }) => p50)), 1), show(median(own.map(({ p99 }) => p99)), 1),
        show(median(own.map(({ cpu }) => cpu)), 0), show(over('rate'), 2), show(over('cpu'), 2)]
    })
  })
  const head = ['operation', 'server', 'req/s', 'p50 ms', 'p99 ms', 'CPU µs/req', 'req/s ÷ plain',
    'CPU ÷ plain']
  const lines = [head, ['---', '---', ...head.slice(2).map(() => '---:')], ...rows].map((cells) =>
    `| ${cells.join(' | ')} |`
  )
  return `${heading}\n\n${lines.join('\n')}\n\n${FOOTNOTE}`
}

/** The median of what is there, or undefined where a value is missing. */
function median (values: readonly (number | undefined)[]): number | undefined {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b)
  if (sorted.length < values.length) return undefined
  const middle = sorted.length / 2
  return (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle) - 1]!) / 2
}

const divide = (a: number | undefined, b: number | undefined) =>
  a === undefined || b === undefined || b === 0 ? undefined : a / b
const show = (value: number | undefined, digits: number) => value?.toFixed(digits) ?? '-'
