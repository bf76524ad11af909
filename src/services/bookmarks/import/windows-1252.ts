/** What the bytes 0x80 to 0x9F are in Windows-1252; five of them are nothing. */
const UPPER =
  '\u20ac\ufffd\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\ufffd\u017d\ufffd' +
  '\ufffd\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\ufffd\u017e\u0178'

/**
 * Windows-1252 by a table of our own: some versions of Node decode these bytes as control characters
 * (nodejs/node#60888).
 */
export const decodeWindows1252 = (bytes: Buffer) =>
  bytes.toString('latin1').replace(/[\x80-\x9f]/g, (unit) => UPPER[unit.charCodeAt(0) - 0x80]!)
