import { blank, paragraphs, type Collector, type Entry, type Parser } from '../entry.ts'
import { notBookmarks } from '../not-bookmarks.ts'
import { setTime } from '../times.ts'
import { createXml } from './xml.ts'

/** What Safari calls its own folders. */
const NAMES: Readonly<Record<string, string>> = {
  BookmarksBar: 'Favourites',
  BookmarksMenu: 'Bookmarks Menu',
  'com.apple.ReadingList': 'Reading List'
}
const TEXTS = new Set(['key', 'string', 'date', 'integer', 'real'])
const KNOWN = new Set(['WebBookmarkType', 'WebBookmarkUUID', 'WebBookmarkFileVersion', 'Title', 'title',
  'URLString', 'DateAdded', 'PreviewText', 'WebBookmarkIdentifier'])
/** Dictionaries in a bookmark whose members are its own: its title, and what is in the reading list. */
const OWN = new Set(['URIDictionary', 'ReadingList'])

interface Dict {
  /** A bookmark or folder, or none where it is a part of the one around it. */
  readonly entry: Entry | undefined
  readonly isOwn: boolean
  key: string
}

/** Safari's `Bookmarks.plist` as XML: dictionaries with a list `Children`. */
export function safariPlistParser (collector: Collector, now: number): Parser {
  const dicts: Dict[] = []
  let text: string[] | undefined
  let isSafari = false
  const dropped = new Set<Entry>()
  const xml = createXml({
    open ({ name }) {
      if (name === 'dict') openDict()
      else if (TEXTS.has(name)) text = []
    },
    close (name) {
      if (name === 'dict') closeDict()
      else if (TEXTS.has(name)) closeText(name)
    },
    text (piece) {
      text?.push(piece)
    }
  })

  function openDict (): void {
    const around = dicts.at(-1)
    if (around === undefined || around.key === 'Children') {
      const entry = collector.add(blank('folder', around?.entry, xml.line))
      dicts.push({ entry, isOwn: false, key: '' })
    } else {
      const isOwn = around.entry !== undefined && OWN.has(around.key)
      if (around.entry !== undefined && !isOwn) collector.ignore(around.key)
      dicts.push({ entry: isOwn ? around.entry : undefined, isOwn, key: '' })
    }
  }

  function closeDict (): void {
    const dict = dicts.pop()
    if (dict?.entry !== undefined && !dict.isOwn && dicts.length === 0) dropped.add(dict.entry)
  }

  function closeText (name: string): void {
    const [dict, value] = [dicts.at(-1), (text ?? []).join('').trim()]
    text = undefined
    if (dict === undefined) return
    if (name === 'key') dict.key = value
    else if (dict.entry !== undefined) put(dict.entry, dict.key, value)
  }

  function put (entry: Entry, key: string, value: string): void {
    if (key === 'WebBookmarkType') {
      isSafari = true
      if (value === 'WebBookmarkTypeLeaf') entry.kind = 'bookmark'
      else if (value === 'WebBookmarkTypeProxy') dropped.add(entry)
    } else if (key === 'Title' || key === 'title') entry.title = NAMES[value] ?? value
    else if (key === 'URLString') entry.url = value
    else if (key === 'DateAdded') setTime(entry, value, now)
    else if (key === 'PreviewText') entry.description = paragraphs(value)
    else if (!KNOWN.has(key)) collector.ignore(key)
  }

  return {
    write: xml.write,
    end () {
      xml.end()
      if (!isSafari) throw notBookmarks('a property list of something else')
      const entries = collector.entries.filter((entry) => !dropped.has(entry))
      for (const entry of entries) {
        if (entry.parent !== undefined && dropped.has(entry.parent)) entry.parent = undefined
      }
      return { ignored: collector.ignored, entries }
    }
  }
}
