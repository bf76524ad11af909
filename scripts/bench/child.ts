import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What the two servers beside the hub share: nothing that costs anything per request. */

// The channel closes with the benchmark, also when that is killed: a server left behind would hold its port
// and its CPU.
process.once('disconnect', () => process.exit())

/** An environment variable that the benchmark sets. @throws Error naming it */
export function required (name: string): string {
  const value = process.env[name]
  if (value === undefined) throw new Error(`${name} is missing: start this server through npm run bench`)
  return value
}

/** Says on standard error where the server listens: the benchmark waits for that line. */
export function announce (server: Server): void {
  process.stderr.write(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}\n`)
}
