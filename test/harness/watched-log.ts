/** The log of a hub, of which no line may be a warning or an error that its test did not expect. */
export interface WatchedLog {
  /** All lines so far. */
  readonly lines: string[]
  readonly write: (line: string) => void
  /** Such warnings and errors are what the test is about: there has to be one at least. */
  readonly expectLog: (pattern: RegExp) => void
  /** Such warnings and errors may come, where chance decides. */
  readonly mayLog: (pattern: RegExp) => void
}

/** Who reads the first few needs no more. */
const MOST = 5
const UNWANTED = new Set(['warn', 'error', 'fatal'])

/** What of a test is needed to fail it. */
export interface Failing {
  readonly ended: boolean
  readonly fail: (message: string) => boolean
  readonly teardown: (handler: () => void) => void
  readonly parent?: { readonly fail?: (message: string) => boolean } | undefined
}

/** A log of which each line that nobody expected fails `t` as it comes. */
export function watchLog (t: Failing): WatchedLog {
  const lines: string[] = []
  let unexpected = 0
  const [expected, possible]: RegExp[][] = [[], []]
  // After its end a test can't fail any more; whoever waits for it can. To throw would leave other things running.
  const fail = (message: string) => (t.ended ? t.parent?.fail?.(message) : undefined) ?? t.fail(message)
  t.teardown(() => {
    const missing = expected!.filter((pattern) =>
      !lines.some((line) => isUnwanted(line) && pattern.test(line))
    )
    if (missing.length > 0) fail(`the hub's log has no line like ${missing.join(', ')}`)
  })
  return {
    lines,
    write: (line) => {
      lines.push(line)
      if (!isUnwanted(line) || [...expected!, ...possible!].some((pattern) => pattern.test(line))) return
      if (++unexpected <= MOST) {
        fail(`a line of the hub's log that the test did not expect (see harness/watched-log.ts): ${line}`)
      }
    },
    expectLog: (pattern) => {
      expected!.push(pattern)
    },
    mayLog: (pattern) => {
      possible!.push(pattern)
    }
  }
}

/** A warning, an error, or nothing that a hub writes: its lines are JSON. */
function isUnwanted (line: string): boolean {
  try {
    return UNWANTED.has((JSON.parse(line) as { level: string }).level)
  } catch {
    return true
  }
}
