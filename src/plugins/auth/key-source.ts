import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import buildGetJwks from 'get-jwks'
import { Problem } from '../../errors.ts'

/** One fetch for unknown key ids, and one try after a failed fetch, in this time. */
const COOLDOWN_MS = 10_000
/** The set is fetched again when it is older than this: a withdrawn key is refused from then on. */
const FRESH_MS = 600_000
/** While the issuer can't be reached, the last good set serves on for this long and no longer. */
const STALE_MS = 3_600_000
const TIMEOUT_MS = 3000
const MAX_BYTES = 262_144
/** NIST SP 800-131A: RSA below 2,048 bits is not to be trusted. */
const MIN_BITS = 2048

/** The signing keys of one trusted issuer. */
export interface KeySource {
  /**
   * @returns the public key as PEM (SPKI)
   * @throws Problem UNAUTHENTICATED where the issuer has no such key, KEYS_UNAVAILABLE where that can't be
   *   found out
   */
  keyFor(reference: KeyReference): Promise<string>
  /** True when keys are at hand, or could be fetched now. */
  ready(): Promise<boolean>
}

/** What the header of a token says of its key. */
interface KeyReference {
  readonly alg: string
  readonly kid: string
}

/** A key set as it was fetched (RFC 7517 section 5). */
interface KeySet {
  readonly keys: readonly unknown[]
  /** The set itself, as an address (RFC 2397) that get-jwks reads it from. */
  readonly address: string
  readonly loadedAt: number
  /** Keys that were found, by algorithm and key id. */
  readonly pems: Map<string, string>
}

/**
 * The guard around get-jwks that a public endpoint needs. The guard fetches the key set: bounded in time and
 * bytes, without redirects, at most once in ten seconds, one fetch at a time; get-jwks finds the key in what was
 * fetched, and reaches no network. An old set serves on where the issuer can't be reached, and never because a key
 * is absent.
 * @param jwksUri from the registry of trusted issuers; nothing in a token can lead elsewhere
 */
export function createKeySource (jwksUri: string): KeySource {
  let last: KeySet | undefined
  let triedAt = -Infinity
  let flight: Promise<void> | undefined

  /** Loads the set where it is old, or lacks this key and may have got it since. */
  async function refresh (kid?: string): Promise<void> {
    const isFresh = last !== undefined && Date.now() - last.loadedAt < FRESH_MS
    if (isFresh && (kid === undefined || last!.keys.some((key) => kidOf(key) === kid))) return
    if (flight === undefined && Date.now() - triedAt < COOLDOWN_MS) return
    await (flight ??= load())
  }

  async function load (): Promise<void> {
    triedAt = Date.now()
    // A set that can't be had leaves the last one as it is.
    last = await fetchSet(jwksUri).catch(() => last)
    flight = undefined
  }

  /** The last good set, unless it is too old to be believed. */
  function usable (): KeySet | undefined {
    return last !== undefined && Date.now() - last.loadedAt <= STALE_MS ? last : undefined
  }

  return {
    async keyFor (reference) {
      await refresh(reference.kid)
      const set = usable()
      if (set === undefined) {
        throw new Problem('KEYS_UNAVAILABLE', `The keys of ${jwksUri} can't be had.`, {
          retryAfter: COOLDOWN_MS / 1000
        })
      }
      const name = `${reference.alg} ${reference.kid}`
      const pem = set.pems.get(name) ?? await find(set, reference)
      set.pems.set(name, pem)
      return pem
    },
    async ready () {
      if (usable() === undefined) await refresh()
      return usable() !== undefined
    }
  }
}

/** @throws Problem UNAUTHENTICATED where the set has no such key, or one that is not for signatures */
async function find ({ keys, address }: KeySet, { alg, kid }: KeyReference): Promise<string> {
  const isUnique = keys.filter((key) => kidOf(key) === kid).length === 1
  const getJwks = buildGetJwks({ jwksPath: 'keys', max: 1 })
  const jwk = isUnique
    ? await getJwks.getJwk({ domain: address, alg, kid }).catch(() => undefined)
    : undefined
  const key = jwk === undefined ? undefined : publicKeyOf(jwk)
  if (key === undefined) {
    throw new Problem('UNAUTHENTICATED', 'The token is signed with a key that its issuer does not have.')
  }
  if ((key.asymmetricKeyDetails?.modulusLength ?? 0) < MIN_BITS) {
    throw new Problem('UNAUTHENTICATED', 'The token is signed with a key that is too short.')
  }
  return key.export({ type: 'spki', format: 'pem' }).toString()
}

/** RFC 7517 section 4: a public RSA key for signatures, or undefined. */
function publicKeyOf (jwk: JsonWebKey): KeyObject | undefined {
  const { kty, use = 'sig', key_ops: operations = ['verify'], d } = jwk
  const isForSignatures = use === 'sig' && Array.isArray(operations) && operations.includes('verify')
  if (kty !== 'RSA' || !isForSignatures || d !== undefined) return undefined
  try {
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    return undefined
  }
}

const kidOf = (key: unknown): unknown =>
  typeof key === 'object' && key !== null && 'kid' in key ? key.kid : undefined

/**
 * Fetches a key set. A JWKS is a few KB: one that is not is refused before it fills the memory.
 * @throws where it can't be had, or is not a key set
 */
async function fetchSet (jwksUri: string): Promise<KeySet> {
  const response = await fetch(jwksUri, {
    headers: { accept: 'application/json, application/jwk-set+json' },
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MS)
  })
  if (response.status !== 200) throw new Error(`the key set is answered with ${response.status}`)
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += (chunk as Uint8Array).byteLength
    if (bytes > MAX_BYTES) throw new Error('the key set is too large')
    chunks.push(chunk as Uint8Array)
  }
  const body = Buffer.concat(chunks)
  const { keys } = JSON.parse(body.toString()) as { keys?: unknown }
  if (!Array.isArray(keys)) throw new Error('this is not a key set')
  // get-jwks adds a path, which stands behind the fragment and so is no part of the data.
  const address = `data:application/json;base64,${body.toString('base64')}#/`
  return { keys, address, loadedAt: Date.now(), pems: new Map() }
}
