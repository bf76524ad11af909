import { readFileSync } from 'node:fs'
import autocannon, { type Request } from 'autocannon'
import type { Server } from './servers.ts'

/** 50 users with 60 bookmarks each: a list of 50 has a next page. */
export const USERS = Array.from({ length: 50 }, (_, index) => `user-${index}`)
const BOOKMARKS = 60
export const ALL = USERS.length * BOOKMARKS

export const OPERATIONS = { put: 'PUT bookmark', get: 'GET bookmark', list: 'list 50 bookmarks' } as const
export type Operation = keyof typeof OPERATIONS

/** Lists weigh as much as several of the others: a measurement takes fewer of them. */
export const amountOf = (operation: Operation, amount: number, connections: number) =>
  operation === 'list' ? Math.max(connections, Math.ceil(amount / 4)) : amount

export interface Figures {
  /** Requests a second, from the first one sent to the last one answered. */
  readonly rate: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  /**
   * Microseconds a request, user and system, all threads of the server; undefined where there is no /proc.
   */
  readonly cpu: number | undefined
}

/**
 * Linux counts the CPU time of processes in hundredths of a second (USER_HZ), whatever the kernel's own tick.
 */
const TICK_US = 10_000

/**
 * Where request `k` of a run goes: one user after the other, and to the same bookmark again only after ALL
 * requests.
 */
function placeOf (k: number): { user: number, id: string } {
  return { user: k % USERS.length, id: `bookmark-${Math.floor(k / USERS.length) % BOOKMARKS}` }
}

/** What request `k` of a round writes: something else than the round before, so that no write is idle. */
function contentOf (k: number, round: number): object {
  const { user, id } = placeOf(k)
  return {
    url: `https://example.com/${user}/${id}?round=${round}`,
    title: `Bookmark ${id} of user ${user}`,
    description: 'A page that somebody wants to find again, on each of their devices.',
    tags: ['read', 'later', `round-${round}`],
    folderId: `folder-${user % 7}`,
    position: `a${user}`,
    favorite: user % 3 === 0
  }
}

function requestOf (operation: Operation, k: number, round: number, { credentials }: Server): Request {
  const { user, id } = placeOf(k)
  const headers = { ...credentials[user] }
  if (operation === 'list') return { method: 'GET', path: '/v1/bookmarks', headers }
  const path = `/v1/bookmarks/${id}`
  if (operation === 'get') return { method: 'GET', path, headers }
  return {
    method: 'PUT',
    path,
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(contentOf(k, round))
  }
}

/**
 * Sends `amount` requests over `connections` connections, each of which sends its next request when the last
 * is answered.
 * @throws Error where any answer is not 2xx
 */
export async function drive (
  server: Server,
  operation: Operation,
  round: number,
  amount: number,
  connections: number
): Promise<Figures> {
  const latencies: number[] = []
  let clients = 0
  let first = 0
  let last = 0
  const before = cpuOf(server.pid)
  const { errors, timeouts, '2xx': good, statusCodeStats } = await autocannon({
    url: server.url,
    amount,
    connections,
    timeout: 60,
    sampleInt: 20, // how soon it notices that it is done
    // Every client would walk the same list of requests: each is given its own share, built before the clock
    // starts.
    setupClient (client) {
      const share = clients++
      client.setRequests(
        Array.from(
          { length: Math.ceil((amount - share) / connections) },
          (_, index) => requestOf(operation, index * connections + share, round, server)
        )
      )
      client.on('response', (_status: number, _bytes: number, milliseconds: number) => {
        latencies.push(milliseconds)
        last = performance.now()
      })
      first = performance.now()
    }
  })
  const after = cpuOf(server.pid)
  if (good !== amount || errors > 0) {
    throw new Error(
      `${OPERATIONS[operation]} on ${server.name}: ${good} of ${amount} answers were 2xx (status codes ${
        JSON.stringify(statusCodeStats)
      }, ${errors} errors, ${timeouts} of them timeouts)`
    )
  }
  latencies.sort((a, b) => a - b)
  return {
    rate: amount / (last - first) * 1000,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    cpu: before === undefined || after === undefined ? undefined : (after - before) / amount
  }
}

/**
 * Holds a sample of bookmarks, and a list, against what the last round wrote. @throws Error naming the one
 * that differs
 */
export async function verify (server: Server, round: number, amount: number): Promise<number> {
  const read = async (path: string, user: number) =>
    (await (await fetch(server.url + path, { headers: server.credentials[user]! })).json()) as Record<
      string,
      unknown
    >
  const written = Math.min(amount, ALL)
  const sample = Array.from({ length: 25 }, (_, index) => Math.floor(index * written / 25))
  for (const k of sample) {
    const { user, id } = placeOf(k)
    const stored = await read(`/v1/bookmarks/${id}`, user)
    const wrong = Object.entries(contentOf(k, round)).find(([name, value]) =>
      JSON.stringify(stored[name]) !== JSON.stringify(value)
    )
    if (wrong !== undefined) {
      throw new Error(
        `${server.name}: ${id} of user ${user} reads back with ${wrong[0]} ${
          JSON.stringify(stored[wrong[0]])
        } and not ${JSON.stringify(wrong[1])}`
      )
    }
    const { items } = await read('/v1/bookmarks', user) as { items?: unknown[] }
    if (items?.length !== 50) {
      throw new Error(`${server.name}: the list of user ${user} has ${items?.length} items and not 50`)
    }
  }
  return sample.length
}

/** The value below which the share `q` of sorted values lies. */
export function quantile (sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!
}

/** CPU microseconds that a process has used so far, or undefined where the system doesn't say. */
function cpuOf (pid: number): number | undefined {
  if (process.platform !== 'linux') return undefined
  // The second field is the program's name in brackets, which may hold spaces; utime and stime are 12th and
  // 13th after it.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_US
}
