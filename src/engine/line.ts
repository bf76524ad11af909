import { spaceName, type SpaceKey } from '../../entities/fields.ts'
import { Problem } from '../errors.ts'

/** Those of one line who may wait; more are turned away at once. */
const MAX_WAITING = 1000

/** What waits for its turn in this process, by the name of the line. */
export type Lines = Map<string, { waiting: number, last: Promise<unknown> }>

/**
 * Does what reads, decides and writes when all before it in its line have ended: each then builds on what the one
 * before it has left, where at once all but one would have to do it again. Between processes the conditions of the
 * transactions decide, as ever.
 * @param name what of the space it is about @throws Problem CONTENTION where too many wait, and what `work` throws
 */
export async function inLine<T> (
  { lines, space }: { readonly lines: Lines, readonly space: SpaceKey },
  name: string,
  work: () => Promise<T>
): Promise<T> {
  const key = `${spaceName(space)} ${name}`
  const line = lines.get(key) ?? { waiting: 0, last: Promise.resolve() }
  if (line.waiting >= MAX_WAITING) {
    throw new Problem('CONTENTION', `${MAX_WAITING} requests wait for this already; nothing was written.`, {
      retryAfter: 1
    })
  }
  lines.set(key, line)
  line.waiting++
  const done = line.last.then(work)
  line.last = done.catch(() => {})
  try {
    return await done
  } finally {
    if (--line.waiting === 0) lines.delete(key)
  }
}
