import type { BookmarkRecord } from '../../../entities/bookmark.ts'

/** What is searched of a bookmark. */
export const FIELDS = ['title', 'tags', 'url', 'description'] as const
export type Field = typeof FIELDS[number]

/**
 * A description counts with so many characters, so that one bookmark does not take the time of a thousand.
 */
const MAX_TEXT = 4000
/** Characters of a text that are one step of work (`Pace`). */
export const CHARACTERS_A_STEP = 4
/** Parts of nearly every URL: whoever types one means nothing by it. And what is nothing but marks. */
const IGNORED = new Set(['http', 'https', 'www', ''])

/** Runs of letters, marks and digits (Unicode, UAX #44); and emoji, each for itself, flags as a whole. */
const RUN = /[\p{L}\p{M}\p{N}]+|\p{Extended_Pictographic}|\p{Regional_Indicator}{2}/gu
/** Scripts that put no spaces between words: a run of them is found by its pairs of letters. */
const UNSPACED =
  /(?=[\p{L}\p{M}\p{N}])[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Thai}\p{scx=Laoo}\p{scx=Khmr}\p{scx=Mymr}\p{scx=Tibt}]/u
const PARTS = new RegExp(`(?:${UNSPACED.source})+|(?:(?!${UNSPACED.source})[^])+`, 'gu')
/** A letter of a run with the marks on it. */
const LETTERS = /[^\p{M}]\p{M}*|\p{M}+/gu
/** Letters that have no form without their stroke in Unicode (NFKD), as people write them who lack them. */
const PLAIN: Readonly<Record<string, string>> = {
  œ: 'oe',
  æ: 'ae',
  ß: 'ss',
  ø: 'o',
  ł: 'l',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ħ: 'h',
  ı: 'i'
}

/** A word in a text: where it is, in UTF-16 code units, and what it is searched by. */
export interface Word {
  readonly at: number
  readonly length: number
  readonly term: string
  /**
   * Left out for the words that follow each other in the text. `whole`: what `parts` words before it are
   * together (`1.2.3`, `c++`). `end`: the last letter of a run of pairs, so that each letter begins something.
   */
  readonly also?: 'whole' | 'end'
  readonly parts?: number
}

/** What is searched of a record, as text. */
export function textsOf ({ title, tags, url = '', description = '' }: BookmarkRecord): Record<Field, string> {
  return { title, tags: tags.join('\n'), url, description: description.slice(0, MAX_TEXT) }
}

/** All that a text is found by, searched without case and diacritics. */
export function wordsOf (text: string): Word[] {
  const words: Word[] = []
  /** Where a number with dots began: `1.2.3` is three runs. */
  let version: { at: number, first: number } | undefined
  const put = (word: Word) => {
    if (!IGNORED.has(word.term)) words.push(word)
  }
  for (const { 0: run, index } of text.matchAll(RUN)) {
    if (version === undefined && /^v?\p{N}+$/iu.test(run)) version = { at: index, first: words.length }
    const end = index + run.length
    const from = words.length
    if (isAscii(run) || !UNSPACED.test(run)) put(wordAt(index, run))
    else for (const { 0: part, index: at } of run.matchAll(PARTS)) putPart(part, index + at, put)
    const whole = from + 1 === words.length ? signed(text, index, end) : undefined
    if (whole !== undefined) put({ ...whole, also: 'whole', parts: 1 })
    if (version === undefined || /^\.\p{N}/u.test(text.slice(end, end + 3))) continue
    const { at, first } = version
    version = undefined
    if (words.length - first < 2) continue
    const term = folded(text.slice(at, end)).replace(/^v/, '')
    if (/^[\p{N}.]+$/u.test(term)) {
      put({ at, length: end - at, term, also: 'whole', parts: words.length - first })
    }
  }
  return words
}

const wordAt = (at: number, word: string): Word => ({ at, length: word.length, term: folded(word) })

/** A part of a run that is of one kind of script. */
function putPart (part: string, at: number, put: (word: Word) => void): void {
  if (!UNSPACED.test(part)) return put(wordAt(at, part))
  const letters = [...part.matchAll(LETTERS)].map(({ 0: letter, index }) => wordAt(at + index, letter))
  if (letters.length === 1) return put(letters[0]!)
  for (const [index, { at, length, term }] of letters.entries()) {
    const next = letters[index + 1]
    if (next === undefined) put({ at, length, term, also: 'end' })
    else put({ at, length: length + next.length, term: `${term}${next.term}` })
  }
}

/** A word with the signs that belong to it: `C++`, `F#`, `.NET`. */
function signed (text: string, from: number, to: number): Omit<Word, 'also'> | undefined {
  const before = text[from - 1] === '.' && !/[\p{L}\p{M}\p{N}./:]/u.test(text[from - 2] ?? ' ') ? 1 : 0
  const sign = text[to]
  const after = sign === '+' || sign === '#'
    ? /^(?:\+\+(?!\p{L})|[+#](?![\p{L}\p{N}+#]))/u.exec(text.slice(to, to + 4))
    : null
  const length = after?.[0].length ?? 0
  if (before + length === 0) return undefined
  return {
    at: from - before,
    length: to - from + before + length,
    term: folded(text.slice(from - before, to + length))
  }
}

/** What someone means who types a text: a word with its signs in place of the word, and a number as a whole. */
export function askedOf (text: string): string[] {
  const asked: string[] = []
  for (const { term, also, parts = 0 } of wordsOf(text)) {
    if (also === 'whole') asked.splice(asked.length - parts)
    if (also !== 'end') asked.push(term)
  }
  return asked
}

/** The words of a text in their order, as a phrase is compared. */
export const inOrder = (text: string): string[] =>
  wordsOf(text).filter(({ also }) => also === undefined).map(({ term }) => term)

/** `c` of `c++`; undefined where a term has no signs. */
export function stemOf (term: string): string | undefined {
  const stem = /^\.?([\p{L}\p{M}\p{N}]+)[+#]*$/u.exec(term)?.[1]
  return stem === term ? undefined : stem
}

/** Whether a term is of a script of which one letter says something. */
export const isUnspaced = (term: string): boolean => !isAscii(term) && UNSPACED.test(term)

/** Text as it is compared: in lower case, compatible forms as one, without diacritics. */
export function folded (text: string): string {
  return isAscii(text)
    ? text.toLowerCase()
    : text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().replace(
      /[œæßøłđðþħı]/g,
      (letter) => PLAIN[letter]!
    )
}

const isAscii = (text: string) => /^[\0-\x7f]*$/.test(text)
