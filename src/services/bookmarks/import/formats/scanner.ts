/** A text that is read from its beginning to its end. */
export interface Scanner {
  readonly text: string
  /** Where reading stands. */
  at: number
  /**
   * Characters that were looked at: what a parser costs. Every search goes through here, so that a test can
   * hold that it is linear.
   */
  steps: number
  /**
   * @param from where a search for `wanted` has to begin; never before that of the search for it before
   * @returns where it is, or -1. What is found is remembered until reading is beyond it, so that looking for
   *   what is far away, or nowhere, again and again costs its way once
   */
  find(wanted: string, from?: number): number
  /** The line that an offset is in, counted from 1. Offsets never go back. */
  lineAt(offset: number): number
}

export function createScanner (text: string): Scanner {
  const found = new Map<string, number>()
  let line = 1
  let nextBreak: number | undefined

  function breakAfter (from: number): number {
    const at = text.indexOf('\n', from)
    scanner.steps += (at === -1 ? text.length : at) - from + 1
    return at
  }

  const scanner: Scanner = {
    text,
    at: 0,
    steps: 0,
    find (wanted, from = scanner.at) {
      const known = found.get(wanted)
      if (known !== undefined && (known === -1 || known >= from)) return known
      const at = text.indexOf(wanted, from)
      scanner.steps += (at === -1 ? text.length : at) - from + 1
      found.set(wanted, at)
      return at
    },
    lineAt (offset) {
      nextBreak ??= breakAfter(0)
      while (nextBreak !== -1 && nextBreak < offset) {
        line++
        nextBreak = breakAfter(nextBreak + 1)
      }
      return line
    }
  }
  return scanner
}
