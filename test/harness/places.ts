import type { Shot } from './attack.ts'
import { encode } from './tokens.ts'

/**
 * What an attacker may know or guess of someone: names, never contents. The hub must treat all of it as if
 * nobody had it.
 */
export interface Target {
  readonly tenant: string
  readonly user: string
  /** Ids of records, by kind. The first of a kind is never written by an attacker. */
  readonly ids: Readonly<Record<string, readonly string[]>>
  /** An id that only attackers use, so that what is sent for two targets never meets in one record. */
  readonly own: string
  readonly rev: number
  readonly key: string
  readonly publicId: string
  readonly cursors: readonly string[]
  /** Writes that were made with an Idempotency-Key, by route. */
  readonly replays: Readonly<
    Record<string, { readonly url: string, readonly payload?: unknown, readonly key: string }>
  >
}

/** What the matrix has to know of a route. */
export interface Spec {
  /** The kind of record that its path names. */
  readonly kind?: string
  /** For a list: its query parameters beyond limit and cursor. */
  readonly list?: readonly string[]
  /** A body that it takes. */
  readonly body?: object
  /** What its path has for `:type`. */
  readonly type?: string
  /** False where no name of a target makes a request of it succeed. */
  readonly replay?: false
  /**
   * False where it depends on what was done before whether there is an outcome to keep under an
   * Idempotency-Key.
   */
  readonly keyed?: false
  /**
   * Answers without a token: `shared` where what it shows is by intent someone's, `same` where it is
   * nobody's.
   */
  readonly open?: 'same' | 'shared'
}

/**
 * Where an id can ride, and what can be sent there: the same number of shots for any two targets, which
 * differ in names alone.
 */
type Place = (
  route: {
    readonly name: string,
    readonly method: string,
    readonly spec: Spec,
    readonly at: (id: string) => string,
    readonly here: string
  },
  of: Target
) => Partial<Shot>[]

const PLACES: Readonly<Record<string, Place>> = {
  path ({ method, at, spec }, { tenant, user, ids, key, publicId }) {
    if (at('a') === at('b')) return []
    const own = ids[spec.kind ?? ''] ?? []
    const [untouched = 'a', ...written] = own
    // A record may be called as someone's tenant is: an attacker's own one, and then to be seen in the
    // attacker's lists.
    const reading = method === 'PUT' ? [] : [untouched, tenant, user, 'HEAD']
    const tricks = [`${tenant}#USER#${user}`, `TENANT#${tenant}#USER#${user}`, `../${untouched}`,
      `${untouched}\0`, `${untouched},x`, `$records#${spec.kind}_1#id_${untouched}`, `IDEM#${key}`, '*', '']
    return [...reading, ...written, ...Object.values(ids).flat().slice(0, method === 'PUT' ? 0 : Infinity),
      ...tricks, publicId].map((id) => ({ url: at(encodeURIComponent(id)) }))
  },
  query ({ spec, here }, { tenant, user, ids, publicId }) {
    const aliens = {
      tenantId: tenant,
      tenant,
      userId: user,
      user,
      spaceId: user,
      space: `user:${user}`,
      sub: user,
      owner: user,
      pk: `TENANT#${tenant}#USER#${user}`,
      id: ids.bookmark![0]!,
      groupId: tenant,
      impersonate: user,
      publicId
    }
    const known = (spec.list ?? []).flatMap((name) =>
      [...ids.bookmark!, user, `https://${ids.bookmark![0]}.example/`].map((value) => [name, value])
    )
    return [...Object.entries(aliens), ...known].map(([name, value]) => ({
      url: `${here}?${new URLSearchParams([[name!, value!]]).toString()}`
    }))
  },
  cursor ({ spec, here }, { tenant, user, ids, cursors }) {
    const [id] = ids.bookmark!
    const keys = { pk: `TENANT#${tenant}#USER#${user}`, sk: `$records#bookmark_1#id_${id}` }
    const made = [{ id, createdAt: '2026-01-01T00:00:00.000Z' }, keys, {
      ...keys,
      gsi1pk: keys.pk,
      gsi1sk: ''
    }, { shard: 0, cursor: encode(keys) }, 'null'].map(encode)
    const altered = cursors.slice(0, 2).flatMap((
      cursor
    ) => [cursor.slice(1), `${cursor}A`, `${cursor}=`,
      cursor.replace(/^./, (first) => first === 'A' ? 'B' : 'A'), cursor.toLowerCase()]
    )
    const all = spec.list === undefined ? cursors.slice(0, 1) : [...cursors, ...made, ...altered]
    return all.map((cursor, index) => ({
      url: `${here}?cursor=${encodeURIComponent(cursor)}${index % 2 === 1 ? '&limit=1' : ''}`
    }))
  },
  body ({ name, method, spec, at }, { tenant, user, ids, own, key, publicId, rev }) {
    if (spec.body === undefined) {
      return method === 'DELETE'
        ? [{ payload: { tenantId: tenant, userId: user, id: ids.bookmark![0] } }]
        : []
    }
    const pk = `TENANT#${tenant}#USER#${user}`
    const fields = {
      tenantId: tenant,
      tenant,
      userId: user,
      spaceId: user,
      spaceKind: 'USER',
      scope: { tenantId: tenant, userId: user },
      owner: user,
      sub: user,
      pk,
      sk: 'HEAD',
      gsi1pk: pk,
      gsi2pk: 'PUBLIC#SETTING#0',
      publicShard: '0',
      publicId,
      id: ids.bookmark![0],
      rev,
      key,
      space: user
    }
    const alien = Object.entries(fields).map(([field, value]) => ({
      payload: { ...spec.body, [field]: value }
    }))
    const hidden = ['__proto__', 'constructor'].map((field) => ({
      payload: JSON.stringify(spec.body).replace(
        /\}$/,
        `,"${field}":${JSON.stringify({ tenantId: tenant, spaceId: user })}}`
      )
    }))
    const folder = name.includes('bookmarks')
      ? ids.bookmark!.map((folderId) => ({ payload: { ...spec.body, folderId } }))
      : []
    // In a PATCH as a list: an object would be merged with the one before it.
    const nested = 'value' in spec.body
      ? named({ tenant, user, publicId }).map((value, index) => ({
        ...method === 'PUT' && { url: at(`${own}-${index}`) },
        payload: { value: method === 'PATCH' ? [value] : value, isPublic: true }
      }))
      : []
    const push = (change: object) => ({ payload: { ...spec.body, changes: [change] } })
    const pushed = !('changes' in spec.body)
      ? []
      : [
        ...[...Object.entries(fields), ...[tenant, user, ...ids.group!].map((id) => ['space', `group:${id}`])]
          .map(([field, value]) =>
            push({ ...(spec.body as { changes: object[] }).changes[0], [String(field)]: value })
          ),
        ...ids.bookmark!.slice(1).map((id) =>
          push({ type: 'bookmark', id, act: 'put', record: { url: 'https://attacker.example/', title: own } })
        )
      ]
    return [...alien, ...hidden, ...pushed, ...folder, ...nested, {
      payload: [spec.body, { tenantId: tenant }]
    }, { payload: { ...spec.body, tags: [{ tenantId: tenant, id: own }] } }]
  },
  header ({ method, spec, at }, { tenant, user, ids, key, publicId, rev }) {
    const claims = unsigned(tenant, user)
    const event = JSON.stringify({
      authorizer: { jwt: { claims: { sub: user, 'custom:tenant_id': tenant } } },
      identity: { user }
    })
    const plain = {
      'x-tenant-id': tenant,
      'x-tenant': tenant,
      'x-user-id': user,
      'x-user': user,
      'x-space-id': user,
      'x-group-id': tenant,
      'x-session-id': user,
      'x-roles': 'admin,operator',
      'x-forwarded-for': tenant,
      'x-forwarded-host': `${tenant}.example`,
      'x-forwarded-user': user,
      'x-forwarded-prefix': `/${tenant}`,
      forwarded: `for=${user};host=${tenant}.example`,
      host: `${tenant}.example`,
      origin: `https://${tenant}.example`,
      referer: `https://${tenant}.example/${user}`,
      'x-original-url': `/v1/bookmarks/${ids.bookmark![0]}`,
      'x-rewrite-url': `/v1/settings/${ids.setting![0]}`,
      'x-http-method-override': 'DELETE',
      'x-original-user': user,
      'x-amzn-oidc-identity': user,
      'x-amzn-oidc-data': claims,
      'x-amzn-request-context': event,
      'x-amzn-lambda-context': event,
      'x-apigateway-event': event,
      'x-amz-security-token': claims,
      'x-amzn-trace-id': `Root=${user}`,
      'x-amz-tagging': `tenant_id=${tenant}`,
      cookie: `token=${claims}; tenant=${tenant}; session=${user}`,
      'last-event-id': publicId,
      traceparent: `00-${user}`,
      baggage: `tenant=${tenant},user=${user}`,
      'if-modified-since': tenant,
      range: `bytes=0-${rev}`,
      prefer: `tenant=${tenant}`
    }
    const url = at(ids[spec.kind ?? '']?.[0] ?? ids.bookmark![0]!)
    const reading = method === 'GET' || method === 'HEAD'
    const conditions = (reading ? ['if-none-match', 'if-match'] : ['if-match']).flatMap((name) =>
      [`"${rev}"`, `W/"${rev}"`, '*', user].map((value) => ({ url, headers: { [name]: value } }))
    )
    return [...Object.entries(plain).map(([name, value]) => ({ headers: { [name]: value } })), ...conditions,
      ...spec.keyed === false
        ? []
        : [key, `${tenant}#USER#${user}#${key}`].map((key) => ({ headers: { 'idempotency-key': key } })), {
      requestId: `rq.${tenant}.${user}`
    }]
  },
  replay ({ name }, { replays }) {
    const replay = replays[name]
    if (replay === undefined) return []
    const { key, ...request } = replay
    const headers = { 'idempotency-key': key }
    return [{ ...request, headers }, { ...request, headers }, {
      ...request,
      headers,
      ...request.payload !== undefined &&
        { payload: { ...request.payload, description: 'another body', value: 'another body' } }
    }, { ...request, headers: { 'idempotency-key': key.toUpperCase() } }]
  },
  token ({ here }, { tenant, user }) {
    const forged = unsigned(tenant, user)
    const places = ['proxy-authorization', 'x-forwarded-authorization', 'x-id-token', 'x-access-token',
      'x-amzn-oidc-accesstoken', 'authentication'].map((name) => ({
        headers: { [name]: `Bearer ${forged}` }
      }))
    return [...places, { url: `${here}?access_token=${forged}` }, { authorization: () => `Bearer ${forged}` },
      { authorization: (token) => [`Bearer ${token}`, `Bearer ${forged}`] }, {
      authorization: (token) => [`Bearer ${forged}`, `Bearer ${token}`]
    }, { authorization: (token) => `Bearer ${token}, Bearer ${forged}` }, {
      authorization: (token) =>
        `Bearer ${[token.split('.')[0], forged.split('.')[1], token.split('.')[2]].join('.')}`
    }]
  }
}

/**
 * Values that name someone as a row does. An attacker may keep one in a setting of its own, and sees it again
 * there as it is.
 */
export function named ({ tenant, user, publicId }: Pick<Target, 'tenant' | 'user' | 'publicId'>): object[] {
  const all = { tenantId: tenant, userId: user, spaceId: user, spaceKind: 'USER', publicId, publicShard: '0' }
  return [all, { ...all, publicId: undefined }, { tenantId: tenant, spaceId: user }, { spaceId: user }, {
    tenantId: tenant
  }, { publicId }]
}

const unsigned = (tenant: string, user: string) =>
  `${encode({ alg: 'none', typ: 'JWT' })}.${
    encode({ sub: user, 'custom:tenant_id': tenant, token_use: 'access', client_id: 'local', exp: 9e9 })
  }.${encode('x')}`

/** Everything there is to try on a route with the names of a target. */
export function shotsAt (name: string, spec: Spec, of: Target): Shot[] {
  const [method, path] = name.split(' ') as [string, string]
  // Where the path names something within a group, it is the target's group.
  const inside = /:groupId\/.*:/.test(path)
  const pattern = path.replace(':type', spec.type ?? '').replace(
    inside ? ':groupId' : '',
    inside ? of.ids.group![0]! : ''
  )
  const at = (id: string) => pattern.replace(/:\w+|\*$/, () => id)
  const here = at(
    pattern.includes(':publicId') ? of.publicId : pattern.includes(':groupId') ? of.ids.group![0]! : of.own
  )
  return Object.entries(PLACES).flatMap(([place, shots]) =>
    shots({ name, method, spec, at, here }, of).map((shot): Shot => ({
      place,
      method,
      url: here,
      ...spec.body !== undefined && { payload: spec.body },
      ...shot
    }))
  )
}
