import { generateKeyPair, randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ConfigError } from '../config.ts'

/** What a local hub keeps beside its rows: made at the first start, readable by this user only. */
export interface Identity {
  /** RSA private key, PEM (PKCS #8), of the local issuer. */
  readonly privateKey: string
  readonly secret: string
}

/**
 * Takes a data directory for this process: two stores on one file would not be refused by the store itself. A
 * lock that a killed hub left behind is taken over.
 * @returns releases it
 * @throws ConfigError where another hub runs on it
 */
export async function lockDataDir (dir: string): Promise<() => Promise<void>> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const file = join(dir, 'hub.lock')
  // Written first and linked then: a lock is never seen empty. A stale one is moved aside before it is
  // removed, so that
  // of several who find it only one takes it away, and nobody takes away the lock of the one who was faster.
  const own = `${file}.${process.pid}`
  await writeFile(own, String(process.pid))
  try {
    for (let attempt = 1; attempt <= 5; attempt++) {
      if (await link(own, file).then(() => true, () => false)) return () => rm(file, { force: true })
      const holder = Number(await readFile(file, 'utf8').catch(() => ''))
      if (holder !== process.pid && isAlive(holder)) {
        throw new ConfigError(
          `DATA_DIR ${dir} is in use by another hub (process ${holder}). Stop it, or set DATA_DIR to another directory. If process ${holder} is not a hub, delete ${file}.`
        )
      }
      const aside = `${file}.${process.pid}.stale`
      await rename(file, aside).catch(() => {})
      const moved = Number(await readFile(aside, 'utf8').catch(() => ''))
      if (moved !== holder && isAlive(moved)) await link(aside, file).catch(() => {})
      await rm(aside, { force: true })
    }
    throw new ConfigError(`DATA_DIR ${dir} could not be locked; are several hubs starting on it at once?`)
  } finally {
    await rm(own, { force: true })
  }
}

/**
 * Waits for the store of a hub that was killed: it ends by itself, but perhaps not before we are here.
 * @returns records the process of the new one
 * @throws ConfigError where it does not end
 */
export async function awaitFormerStore (dir: string): Promise<(pid: number) => Promise<void>> {
  const file = join(dir, 'store.pid')
  const pid = Number(await readFile(file, 'utf8').catch(() => ''))
  for (let waited = 0; isAlive(pid); waited += 20) {
    if (waited > 5000) {
      throw new ConfigError(
        `The store of an earlier hub (process ${pid}) still runs on DATA_DIR ${dir}. Stop it; if process ${pid} is not a store, delete ${file}.`
      )
    }
    await pause(20)
  }
  return (next) => writeFile(file, String(next))
}

/**
 * The identity of the hub in `dir`, made on first use. Written aside and renamed: a kill in between leaves
 * none or all of it.
 */
export async function loadIdentity (dir: string): Promise<Identity> {
  const file = join(dir, 'identity.json')
  const kept = await readFile(file, 'utf8').catch(() => undefined)
  if (kept !== undefined) return JSON.parse(kept) as Identity
  const { privateKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' }
  })
  const identity: Identity = { privateKey, secret: randomBytes(32).toString('base64url') }
  await writeFile(`${file}.new`, JSON.stringify(identity), { mode: 0o600 })
  await rename(`${file}.new`, file)
  return identity
}

function isAlive (pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
