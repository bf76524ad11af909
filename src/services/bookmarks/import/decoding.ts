import { decodeWindows1252 } from './windows-1252.ts'

/** Bytes at the beginning in which a file says what it is. */
const HEAD = 4096

/** A file as text. */
export interface Decoded {
  readonly text: string
  readonly encoding: string
  /** Some bytes were none of the encoding: each is U+FFFD, and spoils what it is in. */
  readonly spoilt: boolean
}

/**
 * Reads bytes in the encoding of their byte order mark, else in the one that the request names, else as UTF-8,
 * else in the encoding that the file names, else as Windows-1252, in which every byte is a character. A few
 * bytes that are not UTF-8 in a file that is UTF-8 otherwise spoil what they are in, and nothing else.
 * @param charset that the request names
 */
export function decode (bytes: Buffer, charset: string | undefined): Decoded {
  const marked = markOf(bytes)
  if (marked !== undefined) {
    return { text: new TextDecoder(marked).decode(bytes), encoding: marked, spoilt: false }
  }
  const named = namedIn(bytes.subarray(0, HEAD).toString('latin1'))
  for (const label of [charset, 'utf-8']) {
    const text = label === undefined ? undefined : strictly(bytes, label)
    if (text !== undefined) return text
  }
  const mostly = mostlyUtf8(bytes, isUtf8(charset) || isUtf8(named))
  if (mostly !== undefined) return mostly
  return (named === undefined ? undefined : strictly(bytes, named)) ??
    { text: decodeWindows1252(bytes), encoding: 'windows-1252', spoilt: false }
}

function markOf (bytes: Buffer): string | undefined {
  const [first, second] = bytes
  if (first === 0xff && second === 0xfe) return 'utf-16le'
  if (first === 0xfe && second === 0xff) return 'utf-16be'
  // Without a mark, but markup or JSON begins with a character of ASCII.
  if (second === 0 && first !== 0 && bytes[3] === 0) return 'utf-16le'
  return first === 0 && second !== 0 && bytes[2] === 0 ? 'utf-16be' : undefined
}

const isUtf8 = (label: string | undefined) => label !== undefined && /^utf-?8$/i.test(label)

function strictly (bytes: Buffer, label: string): Decoded | undefined {
  try {
    const decoder = new TextDecoder(label, { fatal: true })
    const { encoding } = decoder
    const text = encoding === 'windows-1252' ? decodeWindows1252(bytes) : decoder.decode(bytes)
    return { text, encoding, spoilt: false }
  } catch {
    return undefined
  }
}

/** As UTF-8, where no more of it is wrong than right; one wrong byte where the file says that it is UTF-8. */
function mostlyUtf8 (bytes: Buffer, isSaid: boolean): Decoded | undefined {
  const text = new TextDecoder('utf-8').decode(bytes)
  let [wrong, right] = [0, 0]
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit === 0xfffd) wrong++
    else if (unit >= 0x80) right++
  }
  return wrong <= Math.max(right, isSaid ? 1 : 0) ? { text, encoding: 'utf-8', spoilt: true } : undefined
}

/** The encoding that an XML declaration or a META element names. */
function namedIn (head: string): string | undefined {
  const declared = /^\s*<\?xml\s[^>]{0,200}?encoding\s{0,9}=\s{0,9}["']([\w.:-]{1,40})/i.exec(head)?.[1]
  return declared ?? /<meta\s[^>]{0,400}?charset\s{0,9}=\s{0,9}["']?([\w.:-]{1,40})/i.exec(head)?.[1]
}
