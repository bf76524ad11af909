import { KeyObject, type webcrypto } from 'node:crypto'
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  jwksCache,
  type ExportedJWKSCache,
  type JSONWebKeySet
} from 'jose'
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
  keyFor(header: { alg: string, kid: string }): Promise<string>
  /** True when keys are at hand, or could be fetched now. */
  ready(): Promise<boolean>
}

/**
 * jose's remote key set (single flight, timeout, no redirects) behind what a public endpoint needs on top: a
 * bounded body, a pause after failures, and a stale set on failures to get one only, never because a key is
 * absent.
 * @param jwksUri from the registry of trusted issuers; nothing in a token can lead elsewhere
 */
export function createKeySource (jwksUri: string): KeySource {
  // jose keeps the last good set here, with the time of its load.
  const last: Partial<ExportedJWKSCache> = {}
  const remote = createRemoteJWKSet(new URL(jwksUri), {
    timeoutDuration: TIMEOUT_MS,
    cooldownDuration: COOLDOWN_MS,
    cacheMaxAge: FRESH_MS,
    [customFetch]: fetchBounded,
    [jwksCache]: last as ExportedJWKSCache
  })
  const finders = new WeakMap<JSONWebKeySet, ReturnType<typeof createLocalJWKSet>>()
  const pems = new WeakMap<object, string>()
  let failedAt = -Infinity

  /** Loads the set where it is old, or lacks this key and may have got it since. */
  async function refresh (kid?: string): Promise<void> {
    const isLacking = kid !== undefined && !remote.coolingDown &&
      last.jwks?.keys.every((key) => key.kid !== kid)
    if (remote.fresh && !isLacking) return
    if (Date.now() - failedAt >= COOLDOWN_MS) {
      await remote.reload().catch(() => {
        failedAt = Date.now()
      })
    }
  }

  /** The last good set, unless it is too old to be believed. */
  function usable (): JSONWebKeySet | undefined {
    return last.uat !== undefined && Date.now() - last.uat <= STALE_MS ? last.jwks : undefined
  }

  return {
    async keyFor ({ alg, kid }) {
      await refresh(kid)
      const set = usable()
      if (set === undefined) {
        throw new Problem('KEYS_UNAVAILABLE', `The keys of ${jwksUri} can't be had.`, {
          retryAfter: COOLDOWN_MS / 1000
        })
      }
      const find = finders.get(set) ?? createLocalJWKSet(set)
      finders.set(set, find)
      const key = await find({ alg, kid }).catch(() => {
        throw new Problem('UNAUTHENTICATED', 'The token is signed with a key that its issuer does not have.')
      })
      const pem = pems.get(key) ?? toPem(key)
      pems.set(key, pem)
      return pem
    },
    async ready () {
      if (usable() === undefined) await refresh()
      return usable() !== undefined
    }
  }
}

function toPem (key: webcrypto.CryptoKey): string {
  const object = KeyObject.from(key)
  if ((object.asymmetricKeyDetails?.modulusLength ?? 0) < MIN_BITS) {
    throw new Problem('UNAUTHENTICATED', 'The token is signed with a key that is too short.')
  }
  return object.export({ type: 'spki', format: 'pem' }).toString()
}

/** A JWKS is a few KB: one that is not is refused before it fills the memory. */
async function fetchBounded (
  url: string,
  init: { headers: Headers, method: 'GET', redirect: 'manual', signal: AbortSignal }
): Promise<Response> {
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
