import { appendFileSync } from 'node:fs'
import type { Test } from 'tap'

const SIZES = ['quick', 'ci', 'full'] as const
type Size = typeof SIZES[number]

/** TEST_SIZE: `npm test` is quick, `npm run test:deep` and CI are ci, `npm run isolation` and soaks are full. */
const SIZE = (process.env.TEST_SIZE ?? 'quick') as Size
if (!SIZES.includes(SIZE)) throw new Error(`TEST_SIZE is "${SIZE}"; it must be one of ${SIZES.join(', ')}.`)

/** How large a test is. @param ci where it is left out, as quick */
export const sized = (quick: number, full: number, ci = quick): number => ({ quick, ci, full })[SIZE]

/**
 * Says a figure that a test has measured: as a comment, and as a line for the report of `npm run isolation`.
 */
export function figure (t: Test, name: string, value: number | string): void {
  t.comment(`${name}: ${value}`)
  const file = process.env.ISOLATION_FIGURES
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ name, value })}\n`)
}
