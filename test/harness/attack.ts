import { randomBytes } from 'node:crypto'
import { ScanCommand } from '@aws-sdk/lib-dynamodb'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { LRUCache } from 'lru-cache'
import type { Subject } from '../../src/local/issuer.ts'
import { shardOf } from '../../src/services/settings.ts'
import { openClient } from '../../src/store/client.ts'
import { pastTheHub, type Hub } from './hub.ts'
import { logOf } from './log.ts'

/** One request to be made: what it names of its target is set, who makes it is not. */
export interface Shot {
  readonly place: string
  readonly method: string
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly payload?: unknown
  /** In place of the attacker's own Authorization. */
  readonly authorization?: (token: string) => string | string[]
  /** Names the target in the request id, which every answer and log line repeats. */
  readonly requestId?: string
}

/** What came back, by where it was seen. */
export interface Sight {
  readonly status: number
  readonly requestId: string
  readonly parts: Readonly<Record<'status' | 'header' | 'body', string>>
}

/**
 * Lower case and digits, as every id and name in the hub may be; of one length, so that answers that hold one
 * stay as long.
 */
export const mark = (): string => randomBytes(5).readUIntBE(0, 5).toString(36).padStart(8, '0')

/**
 * Every route of an app, as `GET /v1/settings/:id`, from the router itself: what is hidden from the OpenAPI
 * document too.
 */
export function routesOf (app: FastifyInstance): string[] {
  const path: string[] = []
  return app.printRoutes({ commonPrefix: false }).split('\n').filter((line) => line !== '').flatMap(
    (line) => {
      const [, indent, part, methods = ''] =
        /^((?:│ {3}| {4})*)[├└]── (\S+)(?: \(([A-Z, ]+)\))?$/.exec(line) ?? []
      if (indent === undefined || part === undefined) throw new Error(`not a line of the router: ${line}`)
      path.splice(indent.length / 4, Infinity, part)
      return methods.split(', ').filter(Boolean).map((method) => `${method} ${path.join('')}`)
    }
  )
}

/** Makes a request as the holder of `token` (none: anonymous). */
export async function fire (
  { app }: Hub,
  token: string,
  {
    method,
    url,
    headers,
    payload,
    authorization = (token) => token === '' ? [] : `Bearer ${token}`,
    requestId
  }: Shot
): Promise<Sight> {
  const id = `${requestId ?? 'probe'}.${mark()}${mark()}`
  const bearer = authorization(token)
  const response = await app.inject({
    method,
    url,
    headers: {
      ...payload !== undefined && { 'content-type': 'application/json' },
      'x-request-id': id,
      ...headers,
      ...bearer.length > 0 && { authorization: bearer }
    },
    ...payload !== undefined && { payload: typeof payload === 'string' ? payload : JSON.stringify(payload) }
  } as InjectOptions)
  // What an answer repeats of its request, its id and (in a redirect) its query, is no news to whoever sent
  // it.
  const query = url.split('?')[1] ?? ''
  const text = (part: string) =>
    (query === '' ? part : part.replaceAll(query, '<query>')).replaceAll(id, '<request>')
  return {
    status: response.statusCode,
    requestId: id,
    parts: {
      status: `${response.statusCode} ${response.statusMessage}`,
      header: text(
        Object.entries(response.headers).map(([name, value]) => `${name}: ${String(value)}`).join('\n')
      ),
      body: text(response.payload)
    }
  }
}

/**
 * What of `secrets` can be read in a text, also through percent-encoding and through base64 within base64.
 * @param own what the reader has of itself: a secret that is one of these, or stands only within one of them by its
 *   nature (tenant `abcd` holds `abc`), is none to it
 */
export function readable (text: string, secrets: readonly string[], own: readonly string[]): string[] {
  return secretsIn(text, secrets).filter((secret) => {
    if (own.includes(secret)) return false
    const covers = own.filter((name) => name.includes(secret))
    return covers.reduce((rest, cover) => rest.replaceAll(cover, '\0'), views(text)).includes(secret)
  })
}

/** Answers are the same again and again: refusals, and the long texts of the documentation. */
const known = new WeakMap<readonly string[], LRUCache<string, readonly string[]>>()

function secretsIn (text: string, secrets: readonly string[]): readonly string[] {
  const cache = known.get(secrets) ?? new LRUCache<string, readonly string[]>({ max: 1000 })
  known.set(secrets, cache)
  let found = cache.get(text)
  if (found === undefined) {
    const seen = views(text)
    found = secrets.filter((secret) => seen.includes(secret))
    cache.set(text, found)
  }
  return found
}

/** A text, and after it all that can be decoded from it. */
const views = (text: string): string => decoded(text, 3).join('\n')

function decoded (text: string, depth: number): string[] {
  const found = [text]
  if (/%[0-9a-f]{2}/i.test(text)) {
    found.push(
      text.replace(/(?:%[0-9a-f]{2})+/gi, (codes) => Buffer.from(codes.replaceAll('%', ''), 'hex').toString())
    )
  }
  if (depth > 0) {
    for (const [code] of text.matchAll(/[A-Za-z0-9+/_-]{16,}/g)) {
      found.push(...decoded(Buffer.from(code, 'base64').toString('latin1'), depth - 1))
    }
  }
  return found
}

/** Whom an attacker acts as; `token` is '' for nobody. */
export interface Attacker {
  readonly name: string
  readonly token: string
  readonly own: readonly string[]
  /** The answer of every route that needs a token. */
  readonly refused?: number
  /** It is found out once the request has been read: what is not well-formed is 400, 413 or 415 before. */
  readonly late?: true
}

/** Everyone who might get at what `victim` has. */
export async function attackersOf (hub: Hub, { tenant, user }: Subject): Promise<Attacker[]> {
  const who: Record<string, Subject & { readonly refused?: number }> = {
    'the same user id in another tenant, as its administrator': {
      tenant: `w${mark()}`,
      user,
      roles: ['admin', 'owner', 'operator']
    },
    "a tenant whose id begins with the victim's": { tenant: `${tenant}d`, user },
    "a tenant whose id the victim's begins with": { tenant: tenant.slice(0, -1), user },
    "a tenant whose id is the victim's and -x": { tenant: `${tenant}-x`, user },
    'another user of the tenant': { tenant, user: `bob-${mark()}`, roles: ['admin'] },
    "a user whose id begins with the victim's": { tenant, user: `${user}-x` },
    'the case twin of the user': { tenant, user: user.replace(/^./, (first) => first.toUpperCase()) },
    'the case twin of the tenant': { tenant: tenant.toUpperCase(), user, refused: 400 },
    'a token without a tenant': { tenant: undefined as unknown as string, user, refused: 401 }
  }
  const attackers = await Promise.all(
    Object.entries(who).map(async ([name, { refused, ...subject }]): Promise<Attacker> => ({
      name,
      token: (await hub.issuer.mint(subject)).access_token,
      own: [subject.tenant, subject.user].filter((id) => id !== undefined),
      ...refused !== undefined && { refused }
    }))
  )
  return [...attackers, { name: 'anyone', token: '', own: [], refused: 401 }]
}

/** A row as it is stored; what is not a key may be absent. */
export type StoredRow = Readonly<
  & Record<'pk' | 'sk' | 'tenantId' | 'spaceKind' | 'spaceId' | 'publicId', string>
  & Partial<Record<'gsi1pk' | 'gsi2pk', string>>
>

/** Every row of the hub's table, and what the logs of some spaces say: read past the hub, by a test alone. */
export async function readPast (
  { config }: Hub,
  spaces: readonly Pick<Subject, 'tenant' | 'user'>[]
): Promise<{ rows: StoredRow[], logs: Awaited<ReturnType<typeof logOf>>[] }> {
  const client = openClient(pastTheHub(config))
  const rows: StoredRow[] = []
  let from: Record<string, unknown> | undefined
  do {
    const page = await client.send(
      new ScanCommand({ TableName: config.table, ConsistentRead: true, ExclusiveStartKey: from })
    )
    rows.push(...page.Items as StoredRow[])
    from = page.LastEvaluatedKey
  } while (from !== undefined)
  const logs = await Promise.all(
    spaces.map(({ tenant, user }) => logOf({ client, table: config.table }, user, tenant))
  )
  client.destroy()
  return { rows, logs }
}

/**
 * Rows that do not stand where what they say of themselves puts them, in the table and in its indexes, or
 * under a public name of another row.
 */
export function misplaced (rows: readonly StoredRow[]): string[] {
  const names = new Map(rows.map(({ pk, sk, publicId }) => [publicId, `${pk} ${sk}`]))
  return rows.filter(({ pk }) => !pk.startsWith('OPS#')).flatMap(
    ({ pk, sk, tenantId, spaceKind, spaceId, gsi1pk = pk, gsi2pk, publicId }) => {
      const [space, directory] = [`TENANT#${tenantId}#${spaceKind}#${spaceId}`, `TENANT#${tenantId}`]
      const fits = pk === space || (pk === directory && sk === `SPACE#${spaceKind}#${spaceId}`)
      const isPublic = gsi2pk !== undefined
      return fits && gsi1pk === pk &&
          (!isPublic ||
            (gsi2pk === `PUBLIC#SETTING#${shardOf(publicId)}` && names.get(publicId) === `${pk} ${sk}`))
        ? []
        : [`${pk} ${sk}`]
    }
  )
}
