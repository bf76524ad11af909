/**
 * Turns for work that is long. All of a process is one thread: whoever computes for a second keeps everyone
 * waiting for it. Long work counts its steps and gives way; each turn of the event loop then takes up one piece
 * of one work, however many there are.
 */

/** Steps between two looks at the clock. A step is of the size of a microsecond: a word, an entry of a list. */
const CLOCK_EVERY = 200
/** How long a piece of work may take before others get their turn. */
const SLICE_MS = 5
/** Steps after which a turn is due whatever the clock says: it may stand still, and a test reads none. */
export const MOST_STEPS = 4000

/** What long work of this process has done since it began: for tests and benchmarks. */
export const work = { steps: 0, turns: 0 }

/** The pace of one piece of work. */
export interface Pace {
  /**
   * Counts steps.
   * @returns whether a turn is due. `if (pace.due()) await pace.turn()`: what costs nothing awaits nothing
   */
  due(steps?: number): boolean
  /** Gives way to whatever else waits in the event loop. */
  turn(): Promise<void>
}

const line: (() => void)[] = []

function next (): void {
  line.shift()?.()
  if (line.length > 0) setImmediate(next)
}

/** @see Pace */
export function createPace (): Pace {
  let [steps, looked, since, owed] = [0, 0, performance.now(), false]
  return {
    due (count = 1) {
      steps += count
      work.steps += count
      // What is due stays due until it is taken.
      if (owed || steps < looked + CLOCK_EVERY) return owed
      looked = steps
      owed = steps >= MOST_STEPS || performance.now() - since > SLICE_MS
      return owed
    },
    async turn () {
      await new Promise<void>((resolve) => {
        if (line.push(resolve) === 1) setImmediate(next)
      })
      work.turns += 1
      ;[steps, looked, since, owed] = [0, 0, performance.now(), false]
    }
  }
}

/** Items that are sorted at once. */
const RUN = 500

/** Sorts as `toSorted` does, giving way in between. */
export async function sorted<T> (
  items: readonly T[],
  compare: (a: T, b: T) => number,
  pace: Pace
): Promise<T[]> {
  let runs: T[][] = []
  for (let at = 0; at < items.length; at += RUN) {
    runs.push(items.slice(at, at + RUN).sort(compare))
    if (pace.due(RUN)) await pace.turn()
  }
  while (runs.length > 1) {
    const wider: T[][] = []
    for (let at = 0; at < runs.length; at += 2) {
      const [first, second = []] = runs.slice(at, at + 2)
      const both: T[] = []
      for (let [left, right] = [0, 0]; left < first!.length || right < second.length;) {
        const isLeft = right === second.length ||
          (left < first!.length && compare(first![left]!, second[right]!) <= 0)
        both.push(isLeft ? first![left++]! : second[right++]!)
        if (pace.due()) await pace.turn()
      }
      wider.push(both)
    }
    runs = wider
  }
  return runs[0] ?? []
}

/** The order that texts have without a language. */
export function byCodeUnits (a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
