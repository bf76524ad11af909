import type { IncomingMessage } from 'node:http'
import { Problem } from '../errors.ts'
import { createIconFilter } from '../services/bookmarks/import/icons.ts'

/** How many times what is kept of a file may come, where icons are stepped over. */
const ICONS_SHARE = 10

/**
 * Reads a file of bookmarks as it comes. Icons are stepped over and do not count.
 * @param most bytes of all else
 * @throws Problem BODY_TOO_LARGE naming importBytes
 */
export const readFileBody = (payload: IncomingMessage, most: number) =>
  new Promise<Buffer>((resolve, reject) => {
    const icons = createIconFilter()
    const pieces: Buffer[] = []
    let [kept, came] = [0, 0]

    function keep (piece: Buffer): void {
      kept += piece.length
      pieces.push(piece)
    }
    function take (chunk: Buffer): void {
      came += chunk.length
      keep(icons.write(chunk))
      if (kept <= most && came <= most * ICONS_SHARE) return
      payload.off('data', take)
      // What is still to come is read and let go, so that whoever sends it hears the answer.
      payload.resume()
      reject(tooLarge(most, Number(payload.headers['content-length'])))
    }

    payload.on('data', take)
    payload.once('end', () => {
      keep(icons.end())
      if (kept > most) reject(tooLarge(most))
      else resolve(Buffer.concat(pieces))
    })
    payload.once('error', reject)
    payload.once('close', () => {
      reject(new Problem('MALFORMED_REQUEST', 'The body ended before it was complete.'))
    })
  })

function tooLarge (most: number, sent = NaN): Problem {
  const help =
    'Icons do not count. Export one folder after the other, or without icons; who runs the hub may raise LIMIT_IMPORT_BYTES.'
  return new Problem('BODY_TOO_LARGE', `A file may have ${most} bytes. ${help}`, {
    limit: { name: 'importBytes', value: most, ...Number.isFinite(sent) && { sent } },
    headers: { connection: 'close' }
  })
}
