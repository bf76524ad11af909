import type { StagedChange } from './staged-change.ts'

/**
 * What one transaction of a commit takes beside HEAD, the log entry and the batch itself, and what one row
 * holds.
 */
export const PART_CHANGES = 96
const PART_BYTES = 300_000
export const OPEN_SECONDS = 2 * 3600
/** Rows are swept so much later: a commit that was begun in time is never left without them. */
export const KEPT_SECONDS = 7 * 24 * 3600

/** Changes as the text of one row, and how many they are. */
export interface Part {
  readonly text: string
  readonly size: number
}

/** Changes in the portions of one transaction each. */
export function partsOf (changes: readonly StagedChange[]): Part[] {
  const parts: Part[] = []
  let [lines, bytes]: [string[], number] = [[], 0]
  const close = () => {
    if (lines.length > 0) parts.push({ text: `[${lines.join(',')}]`, size: lines.length })
  }
  for (const change of changes) {
    const line = JSON.stringify(change)
    const size = Buffer.byteLength(line)
    if (lines.length === PART_CHANGES || (bytes > 0 && bytes + size > PART_BYTES)) {
      close()
      ;[lines, bytes] = [[], 0]
    }
    lines.push(line)
    bytes += size
  }
  close()
  return parts
}
