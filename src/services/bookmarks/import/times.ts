import type { Entry } from './entry.ts'

/** Microseconds from 1601, where the clock of Windows and WebKit begins, to 1970. */
const WEBKIT_EPOCH = 11_644_473_600_000_000
const DAY_MS = 86_400_000
/** ISO 8601, extended or basic (as KDE has it), with a space for the T (as databases have it). */
const ISO =
  /^(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d):?(\d\d)(?::?(\d\d)(\.\d{1,9})?)?)?\s?(Z|UTC|[+-]\d\d:?\d\d)?$/i
/** As e-mail has it; what names no zone would be of the machine's. */
const RFC_2822 = /^[A-Z][a-z]{2}, .{8,30} (?:GMT|UTC|[+-]\d{4})$/

/**
 * A time as files have it: seconds, milliseconds or microseconds since 1970, told apart by their size;
 * microseconds since 1601; or text, which is UTC where it names no zone.
 * @param now milliseconds
 * @returns RFC 3339 in UTC, undefined where there is no time (empty, or 0), null where it can't be read, is
 *   before 1970 or more than a day from now: a bookmark is not from the future
 */
export function timeOf (text: string | undefined, now: number): string | undefined | null {
  const given = text?.trim() ?? ''
  const number = Number(given)
  if (given === '' || number === 0) return undefined
  const ms = Number.isNaN(number) ? written(given) : counted(number, now)
  return ms >= 0 && ms <= now + DAY_MS ? new Date(Math.floor(ms)).toISOString() : null
}

function counted (number: number, now: number): number {
  if (number < 1e11) return number * 1000
  if (number < 1e14) return number
  return number / 1000 > now + DAY_MS ? (number - WEBKIT_EPOCH) / 1000 : number / 1000
}

function written (text: string): number {
  const [, year, month, day, hour = '00', minute = '00', second = '00', part = '', zone = 'Z'] =
    ISO.exec(text) ?? []
  if (year === undefined) return RFC_2822.test(text) ? Date.parse(text) : NaN
  const offset = /^[+-]/.test(zone) ? `${zone.slice(0, 3)}:${zone.slice(-2)}` : 'Z'
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${part.slice(0, 4)}${offset}`)
}

/** Puts a time into an entry, or a remark where it is none that can be kept. */
export function setTime (entry: Entry, text: string | undefined, now: number): void {
  const time = timeOf(text, now)
  if (time !== null) {
    entry.createdAt = time ?? entry.createdAt
    return
  }
  entry.createdAt = undefined
  entry.remarks.push(
    `its date "${text!.slice(0, 40)}" can't be read, is before 1970 or in the future: it counts as made now`
  )
}
