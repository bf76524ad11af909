import { Problem } from '../errors.ts'
import type { SpaceHead, Write } from './change.ts'

/**
 * What closing leaves on HEAD. What a space holds is only what was in it before: this is where a put that was
 * under way when its group ended is refused, by HEAD's own condition.
 * @param expiresAt of HEAD, where this is the last write: after all else of it
 * @throws Problem NOT_FOUND, as for who is not in the group
 */
export function closed (
  { closing, changes }: Write,
  { closedAt }: SpaceHead,
  at: string,
  expiresAt: number
): Partial<SpaceHead> {
  if (closing === 'begins') return { closedAt: at }
  if (closing === 'ends') return { expiresAt }
  const puts = changes.some(({ act, definition }) => act === 'put' && definition.pushable)
  if (closedAt !== undefined && closing === undefined && puts) {
    throw new Problem('NOT_FOUND', 'There is no such space.')
  }
  return {}
}
