import { Tokenizer } from 'htmlparser2'

/** Bytes at the beginning in which a file says what it is. */
const HEAD = 4096

export const FORMATS = ['html', 'xbel', 'json'] as const
export type Format = (typeof FORMATS)[number]

/** A file as text. */
export interface Decoded {
  readonly text: string
  readonly encoding: string
}

/**
 * Reads bytes in the encoding of their byte order mark, else as UTF-8, else in the encoding that the file
 * names, else as Windows-1252, in which every byte is a character. Those of many old files say one thing and
 * are another.
 * @param charset that the request names
 */
export function decode (bytes: Buffer, charset: string | undefined): Decoded {
  const marked = bytes[0] === 0xff && bytes[1] === 0xfe
    ? 'utf-16le'
    : bytes[0] === 0xfe && bytes[1] === 0xff
    ? 'utf-16be'
    : undefined
  const named = marked === undefined
    ? [charset, 'utf-8', namedIn(bytes.subarray(0, HEAD).toString('latin1'))]
    : [marked]
  for (const label of named) {
    const text = label === undefined ? undefined : strictly(bytes, label)
    if (text !== undefined) return text
  }
  return { text: new TextDecoder('windows-1252').decode(bytes), encoding: 'windows-1252' }
}

function strictly (bytes: Buffer, label: string): Decoded | undefined {
  try {
    const decoder = new TextDecoder(label, { fatal: true })
    return { text: decoder.decode(bytes), encoding: decoder.encoding }
  } catch {
    return undefined
  }
}

/** The encoding that an XML declaration or a META element names. */
function namedIn (head: string): string | undefined {
  const declared = head.startsWith('<?xml')
    ? parameter(head.slice(0, Math.max(0, head.indexOf('?>'))), 'encoding')
    : undefined
  if (declared !== undefined) return declared
  let found: string | undefined
  let [name, attribute, value] = ['', '', '']
  new Tokenizer({ decodeEntities: false }, {
    onopentagname (start, end) {
      name = head.slice(start, end).toLowerCase()
    },
    onattribname (start, end) {
      ;[attribute, value] = [head.slice(start, end).toLowerCase(), '']
    },
    onattribdata (start, end) {
      value += head.slice(start, end)
    },
    onattribend () {
      if (name !== 'meta') return
      if (attribute === 'charset') found ??= value
      else if (attribute === 'content') found ??= parameter(value, 'charset')
    },
    onattribentity () {},
    onopentagend () {},
    onselfclosingtag () {},
    onclosetag () {},
    ontext () {},
    ontextentity () {},
    oncdata () {},
    oncomment () {},
    ondeclaration () {},
    onprocessinginstruction () {},
    onend () {}
  }).write(head)
  return found
}

/** The value behind `name=`, with or without quotes. */
function parameter (text: string, name: string): string | undefined {
  const at = text.toLowerCase().indexOf(`${name}=`)
  if (at === -1) return undefined
  const [, value = ''] = /^["']?([\w.:-]{1,40})/.exec(text.slice(at + name.length + 1)) ?? []
  return value === '' ? undefined : value
}

/**
 * What a text is, by how it begins: JSON with a brace, XBEL with an XML declaration or its root, and all else
 * is HTML.
 */
export function formatOf (text: string): Format {
  const head = text.slice(0, HEAD).trimStart()
  if (head.startsWith('{')) return 'json'
  return head.startsWith('<?xml') || /^<(?:!doctype\s+)?xbel\b/i.test(head) ? 'xbel' : 'html'
}
