import { Problem } from '../../../errors.ts'

const HOW =
  'Export your bookmarks as HTML where they are (every browser and service can), and send that file.'

/**
 * What is said of a file that is none of bookmarks.
 * @param looks what it looks like, with its article: "a PNG image"
 * @param instead what to send in its place
 */
export function notBookmarks (looks: string, instead = HOW): Problem {
  const detail = `looks like ${looks}, and not like bookmarks`
  return new Problem('NOT_BOOKMARKS', `The file ${detail}. ${instead}`, { errors: [{ pointer: '', detail }] })
}

/** What is said of a file of a format that is known, in which there is nothing. */
export function noEntries (format: string): Problem {
  const detail = `is ${format}, and there is no bookmark and no folder in it`
  return new Problem('NOT_BOOKMARKS', `The file ${detail}; nothing was written.`, {
    errors: [{ pointer: '', detail }]
  })
}

/** @param at where: a line, or a member of JSON */
export function malformed (detail: string, at = '', cause?: unknown): Problem {
  return new Problem('MALFORMED_BODY', `${detail}${at === '' ? '' : ` (${at})`}.`, {
    errors: [{ pointer: at, detail }]
  }, { cause })
}
