import { createHmac, randomInt, randomUUID, timingSafeEqual } from 'node:crypto'
import { Pairing } from '../../entities/pairing.ts'
import type { Config } from '../config.ts'
import { Problem } from '../errors.ts'
import type { Store } from '../store/store.ts'

/**
 * Consonants that are not mistaken for each other and spell no words (RFC 8628, section 6.1): eight of them
 * are 34.5 bits.
 */
const ALPHABET = 'BCDFGHJKLMNPQRSTVWXZ'
const LENGTH = 8
/** What finds the row; the rest is what can be tried wrongly. */
const HANDLE = 4
/** Codes that begin alike at the same time: never so many in a row. */
const MAX_TRIES = 5

/** Whose new device a code lets in. */
export interface Owner {
  readonly tenantId: string
  readonly userId: string /** The device that made the code, where it has a session. */
  readonly sessionId: string | undefined
}

/** Codes by which a new device joins those of a user who is signed in elsewhere. */
export function pairings (
  store: Store,
  { secret, limits: { pairingSeconds, pairingTries } }: Pick<Config, 'secret' | 'limits'>,
  now: () => number
) {
  // Keyed: a plain hash of 34 bits is found in minutes by whoever reads the table.
  const hashOf = (what: string, text: string) =>
    createHmac('sha256', secret).update(JSON.stringify(['pairing', what, text])).digest('base64url')
  const namesOf = (code: string) => ({
    handle: hashOf('handle', code.slice(0, HANDLE)),
    codeHash: hashOf('code', code)
  })
  const seconds = () => Math.floor(now() / 1000)

  return {
    /**
     * Makes a code that is good once, for pairingSeconds. 1 WCU. @returns the code, and when it ends in RFC
     * 3339
     */
    async make ({ tenantId, userId, sessionId }: Owner): Promise<{ code: string, expiresAt: string }> {
      const end = seconds() + pairingSeconds
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const code = Array.from({ length: LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
        const made = await Pairing.put({
          ...namesOf(code),
          tenantId,
          userId,
          sessionId,
          tries: 0,
          expiresAt: end
        })
          // Another code that is good begins with the same half: the one in a hundred thousand takes another.
          .where(({ codeHash, expiresAt }, { notExists, lte }) =>
            `${notExists(codeHash)} OR ${lte(expiresAt, seconds())}`
          )
          .go(store).then(() => true, refused)
        if (made) return { code, expiresAt: new Date(end * 1000).toISOString() }
      }
      throw new Problem('CONTENTION', 'No code was free.', { retryAfter: 1 })
    },
    /**
     * Uses a code up. Of any number who claim it at once one wins; where what it wins is refused, the code is
     * good again.
     * @param code as people type it: in any case, with blanks and hyphens
     * @param win what the winner does
     * @throws Problem PAIRING_FAILED where it is wrong, used, expired, or was tried wrongly too often:
     *   which, nobody is told; and what `win` throws
     */
    async claim<T> (code: string, win: (owner: Owner) => Promise<T>): Promise<T> {
      const { handle, codeHash } = namesOf(code.toUpperCase().replace(/[\s-]/g, ''))
      const { data: row } = await Pairing.get({ handle }).go({ ...store, consistent: true })
      // A wrong code takes as long whether another begins like it or not.
      if (row === null || row.expiresAt <= seconds()) {
        await Pairing.patch({ handle }).add({ tries: 1 }).where((attributes, { gt }) =>
          gt(attributes.expiresAt, seconds())
        ).go(store).catch(refused)
        throw pairingFailed()
      }
      if (!timingSafeEqual(Buffer.from(row.codeHash), Buffer.from(codeHash))) {
        await Pairing.patch({ handle }).add({ tries: 1 }).where((attributes, { eq }) =>
          eq(attributes.codeHash, row.codeHash)
        ).go(store).catch(refused)
        throw pairingFailed()
      }
      const claim: string = randomUUID()
      const won = await Pairing.patch({ handle }).set({ claim })
        .where((attributes, { eq, lt, gt, notExists }) =>
          `${eq(attributes.codeHash, codeHash)} AND ${lt(attributes.tries, pairingTries)} AND ${
            gt(attributes.expiresAt, seconds())
          } AND (${notExists(attributes.claim)} OR ${eq(attributes.claim, claim)})`
        )
        .go(store).then(() => true, refused)
      if (!won) throw pairingFailed()
      try {
        return await win({ tenantId: row.tenantId, userId: row.userId, sessionId: row.sessionId })
      } catch (error) {
        // Where the store may have done it after all, once is once.
        if (error instanceof Problem && error.status < 500) {
          await Pairing.patch({ handle }).remove(['claim']).where((attributes, { eq }) =>
            eq(attributes.claim, claim)
          ).go(store).catch(() => {})
        }
        throw error
      }
    }
  }
}

/** A condition did not hold. @throws what else went wrong */
function refused (error: unknown): false {
  if ((error as { cause?: Error }).cause?.name === 'ConditionalCheckFailedException') return false
  throw error
}

/** Which of its reasons it was, nobody is told. */
export const pairingFailed = () =>
  new Problem(
    'PAIRING_FAILED',
    'The code is wrong, used or expired. Create a new one on a device that is signed in.'
  )
