import { blank, type Collector, type Parser } from '../entry.ts'
import { createScanner } from './scanner.ts'

/** A URL at the beginning of a line, and what it is called behind it. */
const LINE = /^(?:[-*]\s{1,9})?(\S+)(?:\s+(?:\|\s*)?(.*))?$/
const ABSOLUTE = /^[a-z][a-z0-9+.-]{1,20}:\S/i

/** A URL a line, with a title behind it where there is one (as OneTab has it: `URL | title`). */
export function urlsParser (text: string, collector: Collector): Parser & { steps(): number } {
  const scanner = createScanner(text)
  let told = 0

  function readTo (offset: number): void {
    while (scanner.at < Math.min(offset, text.length)) {
      const end = scanner.find('\n')
      const [from, to] = [scanner.at, end === -1 ? text.length : end]
      const [, url = '', title = ''] = LINE.exec(text.slice(from, to).trim()) ?? []
      scanner.steps += to - from
      scanner.at = to + 1
      if (url === '' || url.startsWith('#')) continue
      const entry = collector.add(blank('bookmark', undefined, scanner.lineAt(from)))
      if (ABSOLUTE.test(url)) Object.assign(entry, { url, title })
      else {Object.assign(entry, {
          title: text.slice(from, to).trim(),
          refused: 'the line begins with no URL'
        })}
    }
  }

  return {
    steps: () => scanner.steps,
    write (piece) {
      readTo(told += piece.length)
    },
    end () {
      readTo(text.length)
      return collector
    }
  }
}

/** Whether most lines at the beginning of a text are URLs. */
export function isUrls (head: string): boolean {
  const lines = head.split('\n', 50).map((line) => line.trim()).filter((line) =>
    line !== '' && !line.startsWith('#')
  )
  const urls = lines.filter((line) => ABSOLUTE.test(line.replace(/^[-*]\s+/, '')) && !/^\S+\s*:\s/.test(line))
  return urls.length > 0 && urls.length * 2 >= lines.length
}
