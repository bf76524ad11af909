import { isFirefox } from './formats/firefox.ts'
import { JSON_FORMAT } from './formats/hub-json.ts'
import type { Format } from './formats/index.ts'
import { hasUrls } from './formats/other-csv.ts'
import { columnsOf } from './formats/tables.ts'
import { isUrls } from './formats/urls.ts'
import { notBookmarks } from './not-bookmarks.ts'

/** Characters at the beginning by which a text is recognised. */
const HEAD = 65_536

const UNPACK = 'Unpack it, and send the file of bookmarks that is in it.'
const DATABASE =
  'Export the bookmarks from the browser itself (in Firefox: Manage bookmarks, Import and Backup, Export to HTML), and send that file.'
const SAFARI =
  'In Safari choose File, Export Bookmarks; or convert it with: plutil -convert xml1 Bookmarks.plist.'
const OPERA = 'In Opera choose Export, Export Bookmarks as HTML.'

/** How files begin that people send and that are none of bookmarks. */
const SIGNATURES: readonly (readonly [bytes: string, looks: string, instead?: string])[] = [['\x1f\x8b',
  'a gzip archive', UNPACK], ['\x89PNG', 'a PNG image'], ['\xff\xd8\xff', 'a JPEG image'], ['GIF8',
  'a GIF image'], ['RIFF', 'a WebP image or a sound'], ['%PDF', 'a PDF'], ['SQLite format 3\0',
  'an SQLite database (places.sqlite, favicons or history)', DATABASE], ['bplist00',
  'a binary property list of Safari', SAFARI], ['7z\xbc\xaf\x27\x1c', 'a 7-Zip archive', UNPACK], ['Rar!',
  'a RAR archive', UNPACK], ['\xfd7zXZ\0', 'an xz archive', UNPACK], ['BZh', 'a bzip2 archive', UNPACK], [
  '\x28\xb5\x2f\xfd',
  'a Zstandard archive',
  UNPACK
], ['\xd0\xcf\x11\xe0', 'a document of Microsoft Office'], ['\x7fELF', 'a program'], ['MZ', 'a program'], [
  'PK',
  'an empty zip archive'
]]

/** @throws Problem NOT_BOOKMARKS where bytes are of a kind of file that holds no bookmarks, or no text */
export function assertText (bytes: Buffer): void {
  const head = bytes.toString('latin1', 0, 512)
  for (const [signature, looks, instead] of SIGNATURES) {
    if (head.startsWith(signature)) throw notBookmarks(looks, instead)
  }
  // Text in UTF-16 has zero bytes, and some texts hold one for no reason.
  const isUtf16 = /^(?:\xff\xfe|\xfe\xff|[^\0]\0[^\0]\0|\0[^\0]\0[^\0])/.test(head)
  if (head.includes('\0') && !isUtf16 && !/^(?:\xef\xbb\xbf)?\s*[<{[]/.test(head)) {
    throw notBookmarks('a binary file')
  }
}

/**
 * What a text is, by what it holds; what a request calls it says little.
 * @throws Problem NOT_BOOKMARKS saying what it looks like
 */
export function formatOf (text: string): Format {
  const head = text.slice(0, HEAD).trimStart()
  if (head === '') throw notBookmarks('an empty file')
  if (/^[[{]/.test(head)) return jsonFormat(head, text.slice(-1000))
  if (head.startsWith('<')) return markupFormat(head)
  if (/^Opera Hotlist/i.test(head)) throw notBookmarks('a hotlist of old Opera', OPERA)
  const columns = columnsOf(head)
  if (hasUrls(columns)) return tableFormat(columns)
  if (isUrls(head)) return 'urls'
  if (/<(?:dl|dt|h3|a)[\s>]/i.test(head)) return 'html'
  if (/^\d{1,10}$/.test(head)) throw notBookmarks('a number')
  if (/^\[InternetShortcut\]/im.test(head)) throw notBookmarks('a shortcut of Windows')
  if (columns.length > 2) {
    throw notBookmarks(
      'a table without a column of URLs, or plain text',
      'A table needs a column that is called url.'
    )
  }
  throw notBookmarks('plain text')
}

function jsonFormat (head: string, tail: string): Format {
  const has = (...names: string[]) => names.every((name) => new RegExp(`"${name}"\\s*:`).test(head))
  if (head.startsWith('[')) {
    if (has('href') && (has('extended') || has('toread') || has('shared'))) return 'pinboard'
    if (has('url', 'is_archived') || has('url', 'is_starred')) return 'wallabag'
    if (has('url', 'savedAt')) return 'omnivore'
  } else {
    if (head.includes(JSON_FORMAT) || tail.includes(JSON_FORMAT)) return 'json'
    if (isFirefox(head)) return 'firefox'
    if (has('roots') && (has('bookmark_bar') || has('date_added'))) return 'chrome'
    if (/"collections"\s*:\s*\[/.test(head)) return 'linkwarden'
    if (has('bookmarks')) return /"content"\s*:\s*\{/.test(head) ? 'karakeep' : 'json'
  }
  const names = new Set([...head.slice(0, 2000).matchAll(/"([\w .-]{1,40})"\s*:/g)].map(([, name]) => name!))
  const some = [...names].slice(0, 5).join(', ')
  throw notBookmarks(`JSON of something else${some === '' ? '' : ` (${some})`}`)
}

function markupFormat (head: string): Format {
  const isXml = head.startsWith('<?xml')
  // What stands before the root: a declaration, comments, and a document type, which names the root.
  const root =
    /^(?:<\?[^>]{0,500}>|<!--(?:[^-]|-(?!->)){0,2000}-->|\s){0,20}<(?:!doctype\s{1,9})?([a-z][\w:.-]{0,40})/i
      .exec(head)?.[1]?.toLowerCase()
  if (root === 'xbel') return 'xbel'
  if (root === 'plist') return 'safari'
  if (root === 'rss' || root === 'feed' || root === 'rdf:rdf') throw notBookmarks('a feed of news')
  if (root === 'opml') throw notBookmarks('a list of feeds (OPML)')
  if (root === 'svg') throw notBookmarks('an SVG image')
  const isHtml = root === undefined ||
    /^(?:html|netscape-bookmark-file-1|head|body|meta|title|d[ltd]|h[1-6]|a|[uo]l|p|li)$/.test(root)
  if (isXml && !isHtml) throw notBookmarks(`XML of something else (<${root}>)`)
  return 'html'
}

function tableFormat (columns: readonly string[]): Format {
  const has = (...names: string[]) => names.every((name) => columns.includes(name))
  if (has('time_added', 'url')) return 'pocket'
  if (has('url', 'excerpt', 'folder')) return 'raindrop'
  return has('url', 'selection', 'folder') ? 'instapaper' : 'csv'
}
