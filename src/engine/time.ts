import { MAX_SKEW_MS } from '../store/clock.ts'
import type { SpaceHead } from './change.ts'

/** How far two clocks that are believed may be apart, each off to its side. */
export const MAX_APART_MS = 2 * MAX_SKEW_MS

/** Whether a stored time can be what a clock said that is believed. The order of changes comes from n, never from time. */
export const isCredible = (at: string, now: number): boolean => Date.parse(at) - now <= MAX_APART_MS

/**
 * The time of the change after `head`: not earlier than the change before it, because clocks of several processes
 * disagree by minutes. Where that one is further ahead its clock was wrong, and the space goes back to time as it is.
 */
export function timeAfter ({ at }: Pick<SpaceHead, 'at'>, now: number): string {
  return new Date(isCredible(at, now) ? Math.max(now, Date.parse(at)) : now).toISOString()
}
