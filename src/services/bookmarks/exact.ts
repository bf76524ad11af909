/**
 * What HTML and XBEL have no place for (a favourite, milliseconds, a comma within a tag, white space and
 * control characters that their parsers change) travels in an attribute of its own, as JSON in ASCII. Others
 * ignore it.
 */
export interface Exact {
  kind?: 'note'
  address?: string
  title?: string
  url?: string
  description?: string
  tags?: string[]
  favorite?: boolean
  createdAt?: string
}

/** @returns JSON without any character beyond ASCII, or undefined where there is nothing to be said */
export function packExact (exact: Exact): string | undefined {
  if (Object.values(exact).every((value) => value === undefined)) return undefined
  return JSON.stringify(exact).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  )
}

/** @returns what can be read of it; nothing where it is not what the hub writes */
export function unpackExact (text: string | undefined): Exact {
  if (text === undefined) return {}
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return {}
  }
  if (typeof value !== 'object' || value === null) return {}
  const { kind, address, title, url, description, tags, favorite, createdAt } = value as Record<
    string,
    unknown
  >
  return {
    // A note is text: whoever wrote the file, it can't become a link.
    ...kind === 'note' && { kind, url: undefined },
    ...kind === 'note' && typeof address === 'string' && { address },
    ...typeof title === 'string' && { title },
    ...typeof url === 'string' && kind !== 'note' && { url },
    ...typeof description === 'string' && { description },
    ...Array.isArray(tags) && tags.every((tag) => typeof tag === 'string') && { tags },
    ...typeof favorite === 'boolean' && { favorite },
    ...typeof createdAt === 'string' && !Number.isNaN(Date.parse(createdAt)) &&
      { createdAt: new Date(createdAt).toISOString() }
  }
}
