import type { Change } from './change.ts'

/** DynamoDB takes 4 MB a transaction; a margin covers keys and encoding. A record has 150 KB at most. */
export const TRANSACTION_BYTES = 3_000_000
/** What the hub adds to the content of a record: whose it is, its stamps, and the names of both. */
const STAMP_BYTES = 500

/** About how many bytes a change writes. A tombstone keeps the content of its record: it is no smaller. */
export function weightOf ({ act, content }: Pick<Change, 'act' | 'content'>): number {
  return act === 'check' ? 0 : Buffer.byteLength(JSON.stringify(content)) + STAMP_BYTES
}

/** Whether changes fit one transaction by what they write. */
export const fitTogether = (changes: readonly Change[]): boolean =>
  changes.reduce((sum, change) => sum + weightOf(change), 0) <= TRANSACTION_BYTES

/** How changes are portioned so that each portion is written in one transaction: their numbers, in order. */
export function portionsByWeight (changes: readonly Change[]): number[] {
  const counts: number[] = []
  let weight = Infinity
  for (const change of changes) {
    const own = weightOf(change)
    weight += own
    if (weight > TRANSACTION_BYTES) {
      counts.push(0)
      weight = own
    }
    counts[counts.length - 1]!++
  }
  return counts
}
