import { createHash } from 'node:crypto'
import type { Sealer } from '../engine/cursor.ts'

/**
 * Tokens that the hub makes for devices: `shd_` and who the device is, sealed (AES-256-GCM). What the hub did
 * not make is known without asking anyone; whether the session still is, the user's space knows.
 */
const BINDING = 'device token'
const PREFIX = 'shd_'

/** Who a device is. */
export interface Device {
  readonly tenantId: string
  readonly userId: string
  readonly sessionId: string
  /** `app`: it reads and writes, and lets nobody in. */
  readonly kind: 'device' | 'app'
  /** Milliseconds. */
  readonly expiresAt: number
}

/** What a good token says, and what its session has of it. */
export interface DeviceToken extends Device {
  readonly hash: string
}

/** No two are equal, also for the same device. */
export function sealDeviceToken (
  sealer: Sealer,
  { tenantId, userId, sessionId, expiresAt, kind }: Device
): string {
  return PREFIX + sealer.seal(BINDING, [tenantId, userId, sessionId, expiresAt, kind])
}

/** @returns undefined where the hub did not make it */
export function openDeviceToken (sealer: Sealer, token: string): DeviceToken | undefined {
  if (!token.startsWith(PREFIX)) return undefined
  try {
    const [tenantId, userId, sessionId, expiresAt, kind] = sealer.open(
      BINDING,
      token.slice(PREFIX.length)
    ) as [string, string, string, number, Device['kind']]
    return { tenantId, userId, sessionId, expiresAt, kind, hash: hashOf(token) }
  } catch {
    return undefined
  }
}

/** SHA-256, base64url: all that is kept of a token. */
export const hashOf = (token: string) => createHash('sha256').update(token).digest('base64url')
