import { buildApp } from './app.ts'
import { ConfigError, loadConfig, readEnvFile } from './config.ts'
import { startLocalCloud, type LocalCloud } from './local/cloud.ts'
import { assertNoArguments } from './misspelt.ts'

/**
 * Node and container entry: a hub on a port, until SIGTERM or SIGINT. Standard output is the log, standard
 * error is for people.
 */
async function main (): Promise<void> {
  assertNoArguments(process.argv.slice(2))
  readEnvFile()
  const given = loadConfig()
  const cloud = given.local ? await startLocalCloud(given) : undefined
  const config = cloud?.config ?? given
  const app = await buildApp(config, { ...await prettyLog(), ...cloud && { plugin: cloud.plugin } })

  let stopping = false
  const stop = async (reason: string, code: number) => {
    if (stopping) return
    stopping = true
    app.log.info({ reason }, 'shutting down')
    await app.drain(config.shutdownGraceSeconds)
    await cloud?.stop()
    process.exit(code)
  }
  process.once('SIGTERM', () => void stop('SIGTERM', 0))
  process.once('SIGINT', () => void stop('SIGINT', 0))
  cloud?.onExit(() => void stop('the embedded store ended', 1))

  try {
    const address = await app.listen({ host: config.host, port: config.port })
    if (cloud !== undefined) await welcome(address, cloud)
  } catch (error) {
    await app.close()
    await cloud?.stop()
    throw error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
      ? new ConfigError(`PORT ${config.port} is in use on ${config.host}. Set PORT to another one.`)
      : error
  }
}

/** Lines for a person where standard output is a terminal, JSON lines everywhere else. */
async function prettyLog (): Promise<object> {
  if (!process.stdout.isTTY) return {}
  const { default: pretty } = await import('pino-pretty')
  return { logStream: pretty({ translateTime: 'HH:MM:ss', ignore: 'requestId' }) }
}

async function welcome (address: string, cloud: LocalCloud): Promise<void> {
  const token = await cloud.token({ tenant: 'default', user: 'demo' })
  process.stderr.write(`
Sync Hub is ready: ${address} (local mode: embedded store in ${cloud.config.dataDir}, any token for the asking)
Try it:

  curl -s ${address}/v1/tenant -H 'authorization: Bearer ${token}'

More: ${address}/docs to read the API and try it; npm run -s token -- --help for other tenants and users.
`)
}

main().catch((error: unknown) => {
  process.stderr.write(
    error instanceof ConfigError
      ? `sync-hub: ${error.message}\n`
      : `sync-hub: could not start\n${error instanceof Error ? error.stack : String(error)}\n`
  )
  process.exitCode = 1
})
