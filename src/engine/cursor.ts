import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { Problem } from '../errors.ts'

/**
 * Cursors: opaque, authenticated, and bound to what they were made for. They are encrypted and not only
 * signed, because a position in a public list names the tenant and the user whose row comes next
 * (AES-256-GCM, NIST SP 800-38D). They are deflated first: one that stands in a hundred groups has to fit a
 * URL.
 */
export interface Sealer {
  /** @param binding tenant, user and list, as one string. @param position any JSON */
  seal(binding: string, position: unknown): string
  /** @throws Problem INVALID_CURSOR where the text is altered, foreign or made for another binding */
  open(binding: string, text: string): unknown
}

const NONCE = 12
const TAG = 16
/** HKDF takes so many bytes; a search or a URL in a filter may have more. */
const MAX_INFO = 1024

/** @param secret at least 32 characters; cursors of another secret are refused */
export function createSealer (secret: string): Sealer {
  // A key per binding: a cursor of another user, tenant or list does not decrypt, and no key sees many
  // nonces.
  const keyOf = (binding: string) =>
    Buffer.from(hkdfSync('sha256', secret, '', infoOf(`cursor ${binding}`), 32))
  return {
    seal (binding, position) {
      const nonce = randomBytes(NONCE)
      const cipher = createCipheriv('aes-256-gcm', keyOf(binding), nonce)
      return Buffer.concat([nonce, cipher.update(deflateRawSync(JSON.stringify(position))), cipher.final(),
        cipher.getAuthTag()]).toString('base64url')
    },
    open (binding, text) {
      try {
        const bytes = Buffer.from(text, 'base64url')
        if (bytes.toString('base64url') !== text) throw new Error('not the canonical spelling')
        const decipher = createDecipheriv('aes-256-gcm', keyOf(binding), bytes.subarray(0, NONCE), {
          authTagLength: TAG
        })
        decipher.setAuthTag(bytes.subarray(-TAG))
        // Only what was sealed here is inflated.
        return JSON.parse(
          inflateRawSync(Buffer.concat([decipher.update(bytes.subarray(NONCE, -TAG)), decipher.final()]))
            .toString()
        ) as unknown
      } catch {
        throw new Problem(
          'INVALID_CURSOR',
          'Start again without a cursor, and pass cursors on unchanged, to the list and with the filters they came from.',
          { errors: [{ pointer: 'querystring/cursor', detail: 'not a cursor of this list' }] }
        )
      }
    }
  }
}

const infoOf = (text: string) =>
  Buffer.byteLength(text) <= MAX_INFO ? text : createHash('sha256').update(text).digest()
