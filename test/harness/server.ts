import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { freePort } from '../../src/local/embedded-store.ts'
import { watchLog, type Failing, type WatchedLog } from './watched-log.ts'

/** The hub as `npm start` runs it: dist/server.mjs (see `npm run build`) in a process of its own. */
export interface ServerProcess extends Pick<WatchedLog, 'expectLog' | 'mayLog'> {
  readonly child: ChildProcess
  readonly url: string
  readonly port: number
  /** Milliseconds from the start of the process to the first 200 of /ready. */
  readonly readyAfter: number
  /** Lines of standard error and standard output so far. */
  readonly stderr: string[]
  readonly stdout: string[]
  /** A token of the local issuer. */
  token(tenant: string, user: string): Promise<string>
  /** Sends a signal and waits for the end. @returns the exit code, null after a kill */
  end(signal: NodeJS.Signals): Promise<number | null>
}

/** For scripts, which have no test to fail. */
const UNWATCHED: Failing = { teardown: () => {}, fail: () => false, ended: false }

/**
 * Starts a server in local mode and waits until it is ready.
 * @param env DATA_DIR at least; PORT where it matters
 * @param t the test that looks through its log at the end
 * @throws Error with what the server said, where it ends instead
 */
export async function startServer (
  env: Record<string, string>,
  t: Failing = UNWATCHED
): Promise<ServerProcess> {
  const port = Number(env.PORT ?? await freePort())
  const url = `http://127.0.0.1:${port}`
  const startedAt = performance.now()
  const { write, expectLog, mayLog } = watchLog(t)
  const { child, stdout, stderr } = run({ ...env, PORT: String(port) })
  createInterface({ input: child.stdout }).on('line', write)
  const exit = once(child, 'exit')
  let ended = false
  void exit.then(() => {
    ended = true
  })
  while (!await fetch(`${url}/ready`).then(({ ok }) => ok, () => false)) {
    if (ended) throw new Error(stderr.join('\n'))
    await new Promise((resolve) => {
      setTimeout(resolve, 5)
    }) // no event tells that another process answers
  }
  return {
    child,
    url,
    port,
    readyAfter: performance.now() - startedAt,
    stdout,
    stderr,
    expectLog,
    mayLog,
    async token (tenant, user) {
      const response = await fetch(`${url}/local/token`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ tenant, user })
      })
      return (await response.json() as { access_token: string }).access_token
    },
    async end (signal) {
      if (!ended) child.kill(signal)
      await exit
      return child.exitCode
    }
  }
}

/** Runs the server until it ends by itself. @returns its exit code and what it said */
export async function runToEnd (
  env: Record<string, string>
): Promise<{ code: number | null, stderr: string }> {
  const { child, stderr } = run(env)
  await once(child, 'close')
  return { code: child.exitCode, stderr: stderr.join('\n') }
}

function run (env: Record<string, string>) {
  const child = spawn(process.execPath, ['--enable-source-maps', 'dist/server.mjs'], {
    env: {
      PATH: process.env.PATH,
      ...process.env.LOCAL_IAM !== undefined && { LOCAL_IAM: process.env.LOCAL_IAM },
      ...env
    },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const lines = (stream: NodeJS.ReadableStream) => {
    const said: string[] = []
    createInterface({ input: stream }).on('line', (line) => said.push(line))
    return said
  }
  return { child, stdout: lines(child.stdout), stderr: lines(child.stderr) }
}
