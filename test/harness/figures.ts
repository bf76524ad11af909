import { appendFileSync } from 'node:fs'
import type { Test } from 'tap'

/** Sizes of a test: `npm test` takes a sample, `npm run isolation` (ISOLATION=full) all of it. */
export const sized = (sample: number, full: number): number =>
  process.env.ISOLATION === 'full' ? full : sample

/**
 * Says a figure that a test has measured: as a comment, and as a line for the report of `npm run isolation`.
 */
export function figure (t: Test, name: string, value: number | string): void {
  t.comment(`${name}: ${value}`)
  const file = process.env.ISOLATION_FIGURES
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ name, value })}\n`)
}
