import { spawn, type ChildProcess } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { silenceSdkNotice } from '../../src/config.ts'
import { loadIdentity } from '../../src/local/data-dir.ts'
import { freePort, startEmbeddedStore } from '../../src/local/embedded-store.ts'
import { createLocalIssuer } from '../../src/local/issuer.ts'

export const SERVERS = ['hub', 'plain', 'limit'] as const
export type ServerName = typeof SERVERS[number]

/** One of the servers that are compared, in a process of its own with a store of its own. */
export interface Server {
  readonly name: ServerName
  readonly url: string
  readonly pid: number
  /** What tells the server who asks: one entry per user. */
  readonly credentials: readonly Record<string, string>[]
}

/** Takes what has to be undone at the end, whatever the end is. */
export type Defer = (undo: () => Promise<unknown>) => void

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const READY_WITHIN_MS = 60_000
const STOPPED_WITHIN_MS = 5_000

/** Starts one server on loopback, with its rows in a file under `dir`: the same durability for all. */
export async function startServer (
  name: ServerName,
  dir: string,
  users: readonly string[],
  defer: Defer
): Promise<Server> {
  const dataDir = join(dir, name)
  mkdirSync(dataDir)
  silenceSdkNotice()
  const store = await startEmbeddedStore(join(dataDir, 'rows.db'), process.env.DYNOXIDE_BIN)
  defer(() => store.stop())
  const beside = ['--import', 'tsx', `scripts/bench/${name}.ts`]
  if (name === 'limit') {
    const { url, pid } = await start(name, beside, { STORE: store.endpoint }, defer)
    return { name, url, pid, credentials: users.map((user) => ({ 'x-user': user })) }
  }
  // Same kind of key, claims and tokens for both; the hub finds the key as if an earlier start had made it.
  const { privateKey } = await loadIdentity(dataDir)
  const port = await freePort()
  const issuer = createLocalIssuer(`http://127.0.0.1:${port}/local`, privateKey)
  const tokens = await Promise.all(users.map((user) => issuer.mint({ tenant: 'bench', user })))
  const { url, pid } = name === 'hub'
    ? await start(name, ['--enable-source-maps', 'dist/server.mjs'], {
      PORT: String(port),
      DATA_DIR: dataDir,
      DYNAMODB_ENDPOINT: store.endpoint,
      LOG_LEVEL: 'info'
    }, defer)
    : await start(name, beside, {
      STORE: store.endpoint,
      ISSUER: issuer.entry.issuer,
      PUBLIC_KEY: createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString()
    }, defer)
  return {
    name,
    url,
    pid,
    credentials: tokens.map(({ access_token: token }) => ({ authorization: `Bearer ${token}` }))
  }
}

/**
 * Starts a server and waits for its own word on standard error. Standard output, the hub's log, goes to the
 * null device.
 */
async function start (
  name: ServerName,
  args: string[],
  own: Record<string, string>,
  defer: Defer
): Promise<{ url: string, pid: number }> {
  // Only what is named here: a TABLE_NAME in somebody's shell must not lead the load to a real table.
  const { PATH = '' } = process.env
  const env = {
    PATH,
    NODE_ENV: 'production',
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
    ...own
  }
  const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  defer(() => stop(child))
  const said: string[] = []
  const tooLate = setTimeout(() => child.kill('SIGKILL'), READY_WITHIN_MS)
  for await (const line of createInterface({ input: child.stderr! })) {
    const url = /(?:listening on|is ready:) (http:\/\/127\.0\.0\.1:\d+)/.exec(line)?.[1]
    if (url !== undefined) {
      clearTimeout(tooLate)
      child.stderr!.pipe(process.stderr)
      return { url, pid: child.pid! }
    }
    said.push(line)
  }
  clearTimeout(tooLate)
  throw new Error(`${name} did not start: ${said.join('\n') || 'it ended without a word'}`)
}

async function stop (child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  const tooLate = setTimeout(() => child.kill('SIGKILL'), STOPPED_WITHIN_MS)
  child.kill('SIGTERM')
  await exit
  clearTimeout(tooLate)
}
