import type { Collector, Parser } from '../entry.ts'
import { chromeParser } from './chrome.ts'
import { firefoxParser } from './firefox.ts'
import { hubJsonParser } from './hub-json.ts'
import { instapaperParser } from './instapaper.ts'
import { karakeepParser } from './karakeep.ts'
import { linkwardenParser } from './linkwarden.ts'
import { netscapeParser } from './netscape.ts'
import { omnivoreParser } from './omnivore.ts'
import { otherCsvParser } from './other-csv.ts'
import { pinboardParser } from './pinboard.ts'
import { pocketParser } from './pocket.ts'
import { raindropParser } from './raindrop.ts'
import { safariPlistParser } from './safari-plist.ts'
import { urlsParser } from './urls.ts'
import { wallabagParser } from './wallabag.ts'
import { xbelParser } from './xbel.ts'

/** How a format is read, and what it is called in a sentence. */
interface Reader {
  readonly called: string
  /** @param text all of it; the parser is told the same text piece by piece @param now milliseconds */
  parser(text: string, collector: Collector, now: number): Parser
}

/** A parser that needs no more than the pieces. */
const piecewise = (called: string, parser: (collector: Collector, now: number) => Parser): Reader => ({
  called,
  parser: (_, collector, now) => parser(collector, now)
})

/** All formats that an import takes. The first three are those that an export writes. */
export const READERS = {
  html: { called: 'Netscape HTML', parser: netscapeParser },
  xbel: piecewise('XBEL', xbelParser),
  json: piecewise("the hub's own JSON", hubJsonParser),
  firefox: piecewise('a backup of Firefox', firefoxParser),
  chrome: piecewise('the file Bookmarks of Chrome', chromeParser),
  safari: piecewise("Safari's Bookmarks.plist", safariPlistParser),
  pinboard: piecewise('JSON of Pinboard', pinboardParser),
  wallabag: piecewise('JSON of wallabag', wallabagParser),
  omnivore: piecewise('JSON of Omnivore', omnivoreParser),
  karakeep: piecewise('JSON of Karakeep', karakeepParser),
  linkwarden: piecewise('JSON of Linkwarden', linkwardenParser),
  pocket: { called: 'CSV of Pocket', parser: pocketParser },
  raindrop: { called: 'CSV of Raindrop', parser: raindropParser },
  instapaper: { called: 'CSV of Instapaper', parser: instapaperParser },
  csv: { called: 'CSV with a column of URLs', parser: otherCsvParser },
  urls: { called: 'a list of URLs', parser: (text, collector) => urlsParser(text, collector) }
} as const satisfies Record<string, Reader>

export type Format = keyof typeof READERS
export const FORMATS = Object.keys(READERS) as Format[]
