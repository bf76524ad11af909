import { KeyObject, type webcrypto } from 'node:crypto'
import { createLocalJWKSet, createRemoteJWKSet, customFetch, errors, type JWSHeaderParameters } from 'jose'
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
   * @throws Problem UNAUTHENTICATED where the issuer has no such key, KEYS_UNAVAILABLE where that can't be found out
   */
  keyFor (header: { alg: string, kid: string }): Promise<string>
  /** True when keys are at hand, or could be fetched now. */
  ready (): Promise<boolean>
}

/**
 * jose's remote key set (single flight, timeout, cooldown, no redirects) behind what a public endpoint needs on top:
 * a bounded body, a pause after failures, and a stale set on transport errors only, never because a key is absent.
 * @param jwksUri from the registry of trusted issuers; nothing in a token can lead elsewhere
 */
export function createKeySource (jwksUri: string): KeySource {
  const remote = createRemoteJWKSet(new URL(jwksUri), { timeoutDuration: TIMEOUT_MS, cooldownDuration: COOLDOWN_MS, cacheMaxAge: FRESH_MS, [customFetch]: fetchBounded })
  const pems = new WeakMap<object, string>()
  let failedAt = -Infinity
  let loadedAt = -Infinity

  async function lookUp (header: JWSHeaderParameters) {
    if (remote.fresh || Date.now() - failedAt >= COOLDOWN_MS) {
      const wasLoading = !remote.fresh
      try {
        const key = await remote(header)
        if (wasLoading || remote.coolingDown) loadedAt = Date.now()
        return key
      } catch (error) {
        if (isAnswer(error)) throw error
        failedAt = Date.now()
      }
    }
    const last = remote.jwks()
    if (last === undefined || Date.now() - loadedAt > STALE_MS) throw new Problem('KEYS_UNAVAILABLE', `The keys of ${jwksUri} can't be had.`, { retryAfter: COOLDOWN_MS / 1000 })
    return createLocalJWKSet(last)(header)
  }

  return {
    async keyFor ({ alg, kid }) {
      const key = await lookUp({ alg, kid }).catch((error: unknown) => {
        throw error instanceof Problem ? error : new Problem('UNAUTHENTICATED', 'The token is signed with a key that its issuer does not have.')
      })
      const pem = pems.get(key) ?? toPem(key)
      pems.set(key, pem)
      return pem
    },
    async ready () {
      if (remote.jwks() !== undefined && Date.now() - loadedAt <= STALE_MS) return true
      // Any key id will do: the set is loaded to look for it.
      const error: unknown = await lookUp({ alg: 'RS256', kid: '-' }).catch((cause: unknown) => cause)
      return !(error instanceof Problem)
    }
  }
}

/** The set was read and has no (one) such key: an answer, and not a failure to get one. */
function isAnswer (error: unknown): boolean {
  return error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys || error instanceof errors.JOSENotSupported
}

function toPem (key: webcrypto.CryptoKey): string {
  const object = KeyObject.from(key)
  if ((object.asymmetricKeyDetails?.modulusLength ?? 0) < MIN_BITS) throw new Problem('UNAUTHENTICATED', 'The token is signed with a key that is too short.')
  return object.export({ type: 'spki', format: 'pem' }).toString()
}

/** A JWKS is a few KB: one that is not is refused before it fills the memory. */
async function fetchBounded (url: string, init: { headers: Headers, method: 'GET', redirect: 'manual', signal: AbortSignal }): Promise<Response> {
  const response = await fetch(url, init)
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += (chunk as Uint8Array).byteLength
    if (bytes > MAX_BYTES) throw new Error('the key set is too large')
    chunks.push(chunk as Uint8Array)
  }
  return new Response(Buffer.concat(chunks), { status: response.status })
}
