import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer, type AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { ConfigError } from '../config.ts'

/** A DynamoDB-compatible store on this machine. */
export interface EmbeddedStore {
  readonly endpoint: string
  /** The process that ends when the store has ended: the shell around it, where there is one. */
  readonly pid: number
  /** Called when the store ends without being asked to. */
  onExit(listener: () => void): void
  stop(): Promise<void>
}

const READY_WITHIN_MS = 5000

/**
 * Starts the embedded store (dynoxide, a static binary from an optional npm package) on a free loopback port.
 * @param file where rows are kept; undefined keeps them in memory
 * @param bin another binary than the package's (DYNOXIDE_BIN)
 * @throws ConfigError where there is no binary for this platform, naming the way out
 */
export async function startEmbeddedStore (file: string | undefined, bin?: string): Promise<EmbeddedStore> {
  const binary = bin ?? findBinary()
  // Another process may take the port between the look and the start: then the store ends, and the next port
  // is tried.
  for (let attempt = 1;; attempt++) {
    const port = await freePort()
    const child = spawnWithUs(binary, ['serve', '--host', '127.0.0.1', '--port', String(port),
      ...file === undefined ? [] : ['--db-path', file]])
    const problem = await listening(child)
    if (problem === undefined) return running(child, port)
    child.kill('SIGKILL')
    if (attempt === 3) throw new Error(`the embedded store did not start: ${problem}`)
  }
}

/** The binary of this platform, from `@dynoxide/{platform}-{arch}`. */
function findBinary (platform = process.platform, arch = process.arch): string {
  const name = `@dynoxide/${platform}-${arch}`
  try {
    const binary = join(
      dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)),
      platform === 'win32' ? 'dynoxide.exe' : 'dynoxide'
    )
    if (existsSync(binary)) return binary
  } catch { /* not installed: said below */ }
  throw new ConfigError(
    `There is no embedded store for ${platform}-${arch}: ${name} is not installed. Install it, or start any DynamoDB-compatible store (such as DynamoDB Local) and set DYNAMODB_ENDPOINT to it.`
  )
}

/**
 * Starts a child that ends when we do, also when we are killed: a shell waits for the end of its standard
 * input, which the system closes with us, and then ends the child. A store left behind would hold the file of
 * the next one.
 */
function spawnWithUs (binary: string, args: string[]): ChildProcess {
  if (process.platform === 'win32') return spawn(binary, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const script =
    'exec 3<&0; "$0" "$@" 3<&- & child=$!; (read -r _ <&3; kill $child 2>/dev/null) & exec 3<&-; wait $child'
  return spawn('/bin/sh', ['-c', script, binary, ...args], { stdio: ['pipe', 'ignore', 'pipe'] })
}

/**
 * Waits for the store's own word, not for an answer on the port: that could be another process. @returns what
 * went wrong
 */
async function listening (child: ChildProcess): Promise<string | undefined> {
  const said: string[] = []
  const lines = createInterface({ input: child.stderr! })
  const deadline = setTimeout(() => child.kill('SIGKILL'), READY_WITHIN_MS)
  try {
    for await (const line of lines) {
      if (line.includes('listening on')) {
        return undefined
      }
      said.push(line)
    }
    return said.join(' ') || 'it ended without a word'
  } finally {
    clearTimeout(deadline)
    // Closing the lines paused the stream; a store that can't write would stop.
    child.stderr!.resume()
  }
}

function running (child: ChildProcess, port: number): EmbeddedStore {
  let stopping = false
  return {
    endpoint: `http://127.0.0.1:${port}`,
    pid: child.pid!,
    onExit (listener) {
      child.once('exit', () => {
        if (!stopping) listener()
      })
    },
    async stop () {
      stopping = true
      if (child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      if (child.stdin === null) child.kill('SIGTERM')
      else child.stdin.end()
      await exit
    }
  }
}

/** A loopback port that was free a moment ago. */
export async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
