import type { Pace } from '../../turns.ts'

/**
 * A part of a search index that does not change: its words in the order of their code units, and by word the
 * documents that have it. Kept as one text and four arrays of numbers: 8 bytes and its letters for a word, and
 * 6 for each document that has it, where a map of maps takes 50 to 500.
 */
export interface Segment {
  readonly count: number
  /** All words, one behind the other, and where each begins. */
  readonly letters: string
  readonly starts: Uint32Array
  /** Where the documents of each word begin; documents in ascending order, and what the word counts in each. */
  readonly lists: Uint32Array
  readonly documents: Uint32Array
  readonly weights: Uint16Array
  readonly bytes: number
}

/** Documents by word, with what it counts in each: document, weight, document, weight ... */
export type Collected = Map<string, number[]>

const MAX_WEIGHT = 65_535

/** Makes a segment of some thousand words, at once. */
export function segmentOf (collected: Collected): Segment {
  const terms = [...collected.keys()].sort()
  let size = 0
  for (const pairs of collected.values()) size += pairs.length / 2
  const builder = createBuilder(terms.length, size)
  for (const term of terms) {
    builder.begin(term)
    const pairs = collected.get(term)!
    for (let at = 0; at < pairs.length; at += 2) builder.put(pairs[at]!, pairs[at + 1]!)
  }
  return builder.end()
}

/**
 * Makes one segment of several, which follow each other in their documents. What is dead is left out.
 * @param isAlive whether a document still is
 */
export async function merged (
  segments: readonly Segment[],
  isAlive: (document: number) => boolean,
  pace: Pace
): Promise<Segment> {
  const builder = createBuilder(
    segments.reduce((sum, { count }) => sum + count, 0),
    segments.reduce((sum, { documents }) => sum + documents.length, 0)
  )
  const at = segments.map(() => 0)
  const heads = segments.map((segment) => segment.count > 0 ? termAt(segment, 0) : undefined)
  for (;;) {
    let first: string | undefined
    for (const head of heads) if (head !== undefined && (first === undefined || head < first)) first = head
    if (first === undefined) return builder.end()
    builder.begin(first)
    for (const [index, segment] of segments.entries()) {
      if (heads[index] !== first) continue
      const term = at[index]!
      at[index] = term + 1
      for (let entry = segment.lists[term]!; entry < segment.lists[term + 1]!; entry++) {
        const document = segment.documents[entry]!
        if (isAlive(document)) builder.put(document, segment.weights[entry]!)
        if (pace.due()) await pace.turn()
      }
      heads[index] = term + 1 < segment.count ? termAt(segment, term + 1) : undefined
    }
    if (pace.due(segments.length)) await pace.turn()
  }
}

function createBuilder (terms: number, entries: number) {
  const [starts, lists] = [new Uint32Array(terms + 1), new Uint32Array(terms + 1)]
  const [documents, weights] = [new Uint32Array(entries), new Uint16Array(entries)]
  let [count, filled, length] = [0, 0, 0]
  let pending: string | undefined
  const pieces: string[] = []
  let piece: string[] = []
  const keep = () => {
    // A word that nothing is left of is no word.
    if (pending === undefined || lists[count] === filled) return
    piece.push(pending)
    if (piece.length === 1000) {
      pieces.push(piece.join(''))
      piece = []
    }
    length += pending.length
    starts[++count] = length
    lists[count] = filled
  }
  return {
    begin (term: string): void {
      keep()
      pending = term
    },
    put (document: number, weight: number): void {
      documents[filled] = document
      weights[filled++] = Math.min(weight, MAX_WEIGHT)
    },
    end (): Segment {
      keep()
      const letters = [...pieces, ...piece].join('')
      return {
        count,
        letters,
        starts: starts.slice(0, count + 1),
        lists: lists.slice(0, count + 1),
        documents: filled === documents.length ? documents : documents.slice(0, filled),
        weights: filled === weights.length ? weights : weights.slice(0, filled),
        bytes: 2 * letters.length + 8 * count + 6 * filled + 500
      }
    }
  }
}

export const termAt = ({ letters, starts }: Segment, term: number): string =>
  letters.slice(starts[term], starts[term + 1])

/** @returns the first word that is not before `text` */
export function firstFrom (segment: Segment, text: string): number {
  let [low, high] = [0, segment.count]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (termAt(segment, middle) < text) low = middle + 1
    else high = middle
  }
  return low
}

/** Whether a word begins with `text`. */
export const begins = ({ letters, starts }: Segment, term: number, text: string): boolean =>
  letters.startsWith(text, starts[term]) && starts[term]! + text.length <= starts[term + 1]!

/**
 * Calls `visit` for each word from `from` on that is at most `most` edits (Levenshtein) away from `word`. What
 * begins alike is compared once, and passed over as a whole where it can't come near any more.
 */
export async function nearly (
  segment: Segment,
  { word, most, from }: { readonly word: string, readonly most: number, readonly from: number },
  pace: Pace,
  visit: (term: number, distance: number) => void
): Promise<void> {
  const { letters, starts, count } = segment
  const width = word.length + 1
  const deepest = word.length + most
  // A row for each letter of a word: how far its beginning is from each beginning of `word`.
  const rows = new Uint8Array(width * (deepest + 2))
  for (let column = 0; column < width; column++) rows[column] = column
  let [term, known, before] = [from, 0, 0]
  while (term < count) {
    const [start, length] = [starts[term]!, starts[term + 1]! - starts[term]!]
    let depth = 0
    while (
      depth < known && depth < length &&
      letters.charCodeAt(before + depth) === letters.charCodeAt(start + depth)
    ) depth++
    let isNear = true
    while (isNear && depth < length) {
      isNear = depth < deepest &&
        extend(rows, { word, depth, code: letters.charCodeAt(start + depth) }) <= most
      depth++
      if (pace.due()) await pace.turn()
    }
    ;[before, known] = [start, isNear ? depth : depth - 1]
    if (isNear) {
      const distance = rows[length * width + width - 1]!
      if (distance <= most) visit(term, distance)
      term++
    } else term = firstBehind(segment, term, depth)
  }
}

/** Fills the row below `depth`. @returns the least number in it */
function extend (
  rows: Uint8Array,
  { word, depth, code }: { readonly word: string, readonly depth: number, readonly code: number }
): number {
  const width = word.length + 1
  const [above, row] = [depth * width, (depth + 1) * width]
  let least = rows[row] = Math.min(depth + 1, 255)
  for (let column = 1; column < width; column++) {
    const changed = rows[above + column - 1]! + (word.charCodeAt(column - 1) === code ? 0 : 1)
    const value = Math.min(changed, rows[above + column]! + 1, rows[row + column - 1]! + 1)
    rows[row + column] = value
    if (value < least) least = value
  }
  return least
}

/** @returns the first word behind all that have their first `length` letters in common with one */
function firstBehind (segment: Segment, term: number, length: number): number {
  const { letters, starts, count } = segment
  const prefix = letters.slice(starts[term], starts[term]! + length)
  // In steps that grow: the next is mostly near.
  let [low, step] = [term + 1, 1]
  while (low + step < count && begins(segment, low + step, prefix)) {
    low += step
    step *= 2
  }
  let high = Math.min(count, low + step + 1)
  while (low < high) {
    const middle = (low + high) >>> 1
    if (begins(segment, middle, prefix)) low = middle + 1
    else high = middle
  }
  return low
}
