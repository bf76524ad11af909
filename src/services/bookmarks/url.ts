import { Problem } from '../../errors.ts'

/** What a browser may safely open from a list that someone else wrote. */
const SCHEMES = ['http:', 'https:', 'ftp:', 'mailto:']
/** Query parameters that say where a visitor came from, and nothing of the page. Those of `utm_` besides. */
const TRACKING = new Set(['fbclid', 'gclid', 'dclid', 'gbraid', 'wbraid', 'msclkid', 'mc_cid', 'mc_eid',
  'igshid', 'yclid', '_ga'])

/**
 * @returns why the hub does not keep a URL, as a sentence, or undefined where it does. Parsed as a browser
 * would (WHATWG URL), so that `java\nscript:` is seen for what it is
 */
export function refusalOf (url: string): string | undefined {
  const scheme = URL.canParse(url) ? new URL(url).protocol : undefined
  if (scheme === undefined) {
    return 'This is not an absolute URL; it needs a scheme, as in https://example.com.'
  }
  return SCHEMES.includes(scheme)
    ? undefined
    : `The scheme "${scheme}" is not kept; http:, https:, ftp: and mailto: are.`
}

/** A URL is stored as it was sent. @throws Problem URL_NOT_ALLOWED naming the scheme that was refused */
export function assertUrl (url: string): void {
  const detail = refusalOf(url)
  if (detail !== undefined) {
    throw new Problem('URL_NOT_ALLOWED', detail, { errors: [{ pointer: '/url', detail }] })
  }
}

/**
 * A URL as the WHATWG standard spells it: `HTTP://Example.com` is `http://example.com/`. What is none stays
 * as it is.
 */
export function spelled (url: string): string {
  return URL.canParse(url) ? new URL(url).href : url
}

/**
 * The host that a URL leads to, as DNS spells it: in lower case, and IDNA in ASCII. Undefined where there is
 * none.
 */
export function hostOf (url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname || undefined : undefined
}

/**
 * What two URLs of one page have in common: compared without http or https, `www.`, a default port, a closing
 * slash, a fragment (but `#/...` and `#!...`, which are pages), parameters of trackers, and with the other
 * parameters in order.
 */
export function pageOf (url: string): string {
  if (!URL.canParse(url)) return url
  const parsed = new URL(url)
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') return parsed.href
  const host = parsed.host.replace(/^www\./, '').replace(/:(?:80|443)$/, '')
  const path = parsed.pathname.endsWith('/') ? parsed.pathname.slice(0, -1) : parsed.pathname
  const fragment = /^#[/!]/.test(parsed.hash) ? parsed.hash : ''
  return `//${credentialsOf(parsed)}${host}${path}${queryOf(parsed.search)}${fragment}`
}

const credentialsOf = ({ username, password }: URL) =>
  username === '' && password === '' ? '' : `${username}:${password}@`

function queryOf (search: string): string {
  if (search.length <= 1) return ''
  const kept = search.slice(1).split('&').filter((part) => {
    const name = part.split('=', 1)[0]!.toLowerCase()
    return part !== '' && !name.startsWith('utm_') && !TRACKING.has(name)
  })
  return kept.length === 0 ? '' : `?${kept.sort().join('&')}`
}
