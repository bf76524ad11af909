/** Where an icon begins in a file of a browser: HTML's attribute, and members of JSON. */
const ICON = /[\s"]icon(?:_?uri)?"?\s?[=:]\s?"data:/gi
/** Longer than what says that an icon begins. */
const HELD = 32
/** What no icon goes beyond, whatever it is: a quote, an angle bracket, white space. */
const END = /["<>\s]/g

/**
 * Steps over icons in a file while it comes: most of what Firefox exports is pictures, which the hub has no
 * place for. What says that there was one stays, so that it is counted.
 */
export function createIconFilter (): { write(chunk: Buffer): Buffer, end(): Buffer } {
  let held = Buffer.alloc(0)
  let isIn = false
  return {
    write (chunk) {
      const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      // One character a byte, whatever the encoding.
      const text = bytes.toString('latin1')
      const kept: Buffer[] = []
      let from = 0
      while (from < bytes.length) {
        const pattern = isIn ? END : ICON
        pattern.lastIndex = from
        const found = pattern.exec(text)
        if (isIn) {
          from = found?.index ?? bytes.length
          isIn = found === null
          if (isIn) break
        }
        if (found !== null && pattern === ICON) {
          kept.push(bytes.subarray(from, pattern.lastIndex))
          from = pattern.lastIndex
          isIn = true
        } else if (pattern === ICON) break
      }
      const until = isIn ? from : Math.max(from, bytes.length - HELD)
      kept.push(bytes.subarray(from, until))
      held = Buffer.from(bytes.subarray(until))
      return kept.length === 1 ? kept[0]! : Buffer.concat(kept)
    },
    end: () => held
  }
}
