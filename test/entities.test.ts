import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { Type } from 'typebox'
import { bookmark, BookmarkInput, BOOKMARK_LIMITS } from '../entities/bookmark.ts'
import { define, type AnyEntity, type Definition } from '../entities/definition.ts'
import { DOTTED_ID, PLAIN_ID, TENANT_ID, spaceKey } from '../entities/fields.ts'
import { group } from '../entities/group.ts'
import { member } from '../entities/group-member.ts'
import { block } from '../entities/block.ts'
import { invitation } from '../entities/invitation.ts'
import { membership } from '../entities/membership.ts'
import { registry, ROWS, type Resource } from '../entities/index.ts'
import { SessionSeen, session } from '../entities/session.ts'
import { setting } from '../entities/setting.ts'
import { Batch, BatchPart } from '../entities/batch.ts'
import { DirectoryEntry, Head, IdempotencyRow, LogEntry } from '../entities/space.ts'
import { faultOf } from './harness/rows.ts'

type Kind = Resource | 'head' | 'log' | 'idempotency' | 'directory' | 'batch' | 'batch-part' | 'session-seen'
/** What a row is about. Two rows with different names must never share a key. */
interface Name {
  tenantId: string
  spaceKind: 'USER' | 'GROUP'
  spaceId: string
  kind: Kind
  id: string
}
interface Keys {
  pk: string
  sk: string
  gsi1pk?: string
  gsi1sk?: string
  gsi2pk?: string
  gsi2sk?: string
}

const AT = '2026-01-01T00:00:00.000Z'
const INPUTS: Record<Resource, object> = {
  bookmark: bookmark.store({ url: 'https://example.com', title: '' }),
  setting: { ...setting.store({ value: 1, isPublic: true }), publicId: 'p'.repeat(22), publicShard: '3' },
  membership: membership.store({ role: 'viewer' }),
  group: group.store({ name: 'x' }),
  member: member.store({ role: 'viewer' }),
  invitation: invitation.store({ name: 'x', role: 'viewer', invitedBy: 'a', expiresAt: AT }),
  session: session.store({ name: 'x', platform: 'y' }),
  block: block.store({})
}
const KINDS: Kind[] = [...Object.keys(registry) as Resource[], 'head', 'log', 'idempotency', 'directory',
  'batch', 'batch-part', 'session-seen']
/** Kinds with one row a space have no id; a log entry's is its number. */
const idsOf = (kind: Kind, ids: string[]) =>
  kind === 'head' || kind === 'directory'
    ? ['']
    : kind === 'log'
    ? ids.map((_, index) => String(10 ** index))
    : ids

/** The row as the write path would put it, from ElectroDB itself. */
function keysOf ({ kind, id, ...space }: Name): Keys {
  const put = (entity: unknown, row: object) =>
    (entity as AnyEntity).put(row as never).params<{ Item: Keys }>({ table: '-' }).Item
  if (kind === 'head') return put(Head, { ...space, n: 1, at: AT, epoch: 1, floor: 0, bytes: 0, count: 0 })
  if (kind === 'log') return put(LogEntry, { ...space, n: Number(id), at: AT, ops: [], expiresAt: 1 })
  if (kind === 'idempotency') {
    return put(IdempotencyRow, { ...space, key: id, requestHash: 'h', outcome: '{}', expiresAt: 1 })
  }
  if (kind === 'batch') {
    return put(Batch, {
      ...space,
      id,
      state: 'open',
      target: 'me',
      sizes: [],
      bytes: 0,
      createdAt: AT,
      expiresAt: 1
    })
  }
  if (kind === 'batch-part') return put(BatchPart, { ...space, id, part: 1, changes: '[]', expiresAt: 1 })
  if (kind === 'session-seen') return put(SessionSeen, { ...space, id, at: AT, expiresAt: 1 })
  if (kind === 'directory') return put(DirectoryEntry, { ...space, createdAt: AT })
  return put(registry[kind].entity, { ...space, id, rev: 1, createdAt: AT, updatedAt: AT, ...INPUTS[kind] })
}

/** IAM's StringLike as a regular expression: `*` is any text, `?` any character. */
const like = (pattern: string) =>
  `^${pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.')}$`
/** The keys that the deployed policy lets a tenant's credentials touch. */
const policyOf = (tenantId: string) =>
  new RegExp(`${like(`TENANT#${tenantId}`)}|${like(`TENANT#${tenantId}#*`)}`, 's')

const TENANTS = ['abc', 'abcd', 'ab-c', 'a-bc', 'abc-d', 'user', 'group', 'tenant', 'ops', 'public', '000',
  'a'.repeat(48), 'a'.repeat(47)]
const PEOPLE = ['a', 'A', 'Al', 'al', 'aL', 'USER', 'GROUP', 'HEAD', 'TENANT', 'a-b', 'a_b', '0', '00',
  'x'.repeat(64)]
const IDS = ['a', 'A', 'a-b', 'a_b', 'HEAD', 'LOG', 'IDEM', 'SPACE', '1', '000000000001', 'id_a', 'a-id_a',
  'bookmark', 'bookmark_1', 'setting_1', 'Z'.repeat(64)]

/** Every name of the lists: each differs from its neighbours in as little as the grammar allows. */
function* neighbours (): Generator<Name> {
  for (const tenantId of TENANTS) {
    for (const spaceKind of ['USER', 'GROUP'] as const) {
      for (const spaceId of tenantId === 'abc' ? PEOPLE : PEOPLE.slice(0, 4)) {
        for (const kind of KINDS) {
          for (const id of idsOf(kind, tenantId === 'abc' ? IDS : IDS.slice(0, 4))) {
            yield { tenantId, spaceKind, spaceId, kind, id }
          }
        }
      }
    }
  }
}

const tenantId = fc.oneof(fc.constantFrom(...TENANTS), fc.stringMatching(TENANT_ID))
const name: fc.Arbitrary<Name> = fc.record({
  tenantId,
  spaceKind: fc.constantFrom('USER', 'GROUP'),
  spaceId: fc.oneof(fc.constantFrom(...PEOPLE), fc.stringMatching(PLAIN_ID))
})
  .chain((space) =>
    fc.constantFrom(...KINDS).chain((kind) => {
      // An Idempotency-Key is any visible ASCII, `#` included; a setting's id may hold dots.
      const id = kind === 'head' || kind === 'directory'
        ? fc.constant('')
        : kind === 'log'
        ? fc.integer({ min: 1, max: 999_999_999_999 }).map(String)
        : kind === 'idempotency'
        ? fc.stringMatching(/^[\x21-\x7e]{1,255}$/)
        : kind === 'setting'
        ? fc.stringMatching(DOTTED_ID)
        : fc.oneof(fc.constantFrom(...IDS), fc.stringMatching(PLAIN_ID))
      return id.map((id) => ({ ...space, kind, id }))
    })
  )

t.test("different rows never share a key, and no tenant's policy matches another's keys", async (t) => {
  const names = [...neighbours(), ...fc.sample(name, { numRuns: 500, seed: 7 })]
  const rows = new Map(names.map((name) => [JSON.stringify(name), keysOf(name)]))
  const count = rows.size
  const pairs = count * (count - 1) / 2
  t.comment(`${count} rows, ${pairs} pairs`)
  t.ok(pairs > 1_000_000, 'over a million pairs')
  // As many distinct keys as rows: no two of all pairs are equal.
  t.equal(new Set([...rows.values()].map(({ pk, sk }) => JSON.stringify([pk, sk]))).size, count, 'pk and sk')
  const records = [...rows].filter(([, { gsi1pk }]) => gsi1pk !== undefined)
  t.ok(records.length > 500)
  t.equal(
    new Set(records.map(([, { gsi1pk, gsi1sk }]) => JSON.stringify([gsi1pk, gsi1sk]))).size,
    records.length,
    'the keys of the time index'
  )

  const policies = new Map(names.map(({ tenantId }) => [tenantId, policyOf(tenantId)]))
  const owners = new Map(
    [...rows].flatMap(([json, { pk, gsi1pk }]) =>
      [pk, gsi1pk ?? pk].map((key) => [key, (JSON.parse(json) as Name).tenantId])
    )
  )
  const wrong: string[] = []
  for (const [key, owner] of owners) {
    for (const [tenantId, policy] of policies) {
      if (policy.test(key) !== (tenantId === owner)) wrong.push(`${key}: ${tenantId}`)
    }
  }
  t.comment(`${owners.size} partitions, ${policies.size} policies`)
  t.same(wrong, [], 'a tenant reaches its own partitions and no other')
  const shared = new Set([...rows.values()].flatMap(({ gsi2pk }) => gsi2pk ?? []))
  t.same([...shared], ['PUBLIC#SETTING#3'])
  t.notOk(
    [...policies.values()].some((policy) => policy.test('PUBLIC#SETTING#3')),
    "the public index is in no tenant's reach"
  )
})

t.test('rows share a key exactly when they are the same row, whatever is generated', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(name, name, fc.constantFrom('tenantId', 'spaceKind', 'spaceId'), (one, other, part) => {
        // The other one of everything, or of one part only.
        for (const two of [other, { ...one, [part]: other[part] }]) {
          const [a, b] = [keysOf(one), keysOf(two)]
          const same = one.tenantId === two.tenantId && one.spaceId === two.spaceId &&
            one.spaceKind === two.spaceKind && one.kind === two.kind && one.id === two.id
          if ((a.pk === b.pk && a.sk === b.sk) !== same) return false
          if (policyOf(one.tenantId).test(b.pk) !== (one.tenantId === two.tenantId)) return false
        }
        return true
      }),
      { numRuns: 500 }
    )
  )
})

t.test('case twins are two people, and a tenant has one spelling', async (t) => {
  const of = (spaceId: string) =>
    keysOf({ tenantId: 'acme', spaceKind: 'USER', spaceId, kind: 'head', id: '' }).pk
  t.equal(of('Al'), 'TENANT#acme#USER#Al')
  t.equal(of('al'), 'TENANT#acme#USER#al')
  t.throws(() => spaceKey('Acme', 'USER', 'al'), { name: 'TypeError', message: /^tenantId / })
})

t.test('a space is named by strings of the grammar and by nothing else', async (t) => {
  const never = [['acme'], [], null, undefined, 0, 1, true, {}, { toString: () => 'acme' }, Symbol('acme'),
    '', ' ', '#', 'a#b', 'acme#', 'ac*me', '*', 'ac?me', 'acme\n', '\nacme', 'acme\0', 'ac me', ' acme',
    'acme ', 'ac/me', '..', 'ac%6de', '${tenant}', 'bi\u212A', '\u212Aelvin', '\uFF41cme', '\u0430cme',
    'acm\u00E9', 'acme\u0301', 'acme\u200B', 'acme\uFE0F', '\u{1D41A}cme', 'ac\u00ADme', 'ac\u2010me',
    '\uD83D', 'x'.repeat(65), '-acme', new String('acme')]
  for (const bad of never) {
    t.throws(() => spaceKey(bad as string, 'USER', 'alice'), TypeError, `tenant ${JSON.stringify(bad)}`)
    t.throws(() => spaceKey('acme', 'USER', bad as string), TypeError, `user ${JSON.stringify(bad)}`)
  }
  for (const bad of ['ab', 'acme-', 'ac_me', 'ac.me', 'ACME', 'a'.repeat(49)]) {
    t.throws(() => spaceKey(bad, 'USER', 'alice'), TypeError, `tenant ${bad}`)
  }
  fc.assert(fc.property(tenantId, fc.stringMatching(PLAIN_ID), (tenant, user) => {
    const key = spaceKey(tenant, 'GROUP', user)
    return Object.isFrozen(key) && key.tenantId === tenant && key.spaceId === user &&
      key.spaceKind === 'GROUP'
  }))
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      // Anything else than letters, digits and a few marks is refused, wherever it stands.
      if (/^[A-Za-z0-9_-]*$/.test(text)) return true
      try {
        spaceKey('acme', 'USER', `a${text}`)
      } catch (error) {
        return error instanceof TypeError
      }
      return false
    }),
    { numRuns: 1000 }
  )
})

/** Wire to row and back, through ElectroDB's own idea of the stored item. */
function thereAndBack (definition: unknown, input: object): Record<string, unknown> {
  const kind = definition as Definition
  const { Item } = kind.entity.put({
    ...spaceKey('acme', 'USER', 'alice'),
    id: 'r1',
    rev: 1,
    createdAt: AT,
    updatedAt: AT,
    ...kind.store(input as never)
  }).params<{ Item: Record<string, unknown> }>({ table: '-' })
  return kind.present(kind.entity.parse({ Item }).data as never)
}

t.test('what may be sent as a bookmark comes back as it was sent', async (t) => {
  const text = (maxLength: number, minLength = 0) => fc.string({ unit: 'binary', minLength, maxLength })
  const input = fc.record({
    url: fc.oneof(
      fc.webUrl({ withFragments: true, withQueryParameters: true }),
      text(BOOKMARK_LIMITS.url, 1)
    ),
    title: text(BOOKMARK_LIMITS.title),
    description: text(2000),
    tags: fc.uniqueArray(text(BOOKMARK_LIMITS.tag, 1), { maxLength: BOOKMARK_LIMITS.tags }),
    folderId: fc.stringMatching(PLAIN_ID),
    position: text(BOOKMARK_LIMITS.position, 1),
    favorite: fc.boolean()
  }, { requiredKeys: ['url', 'title'] })
  fc.assert(
    fc.property(input, (input) => {
      const { id, rev, createdAt, updatedAt, ...back } = thereAndBack(bookmark, input)
      const sent = JSON.stringify({ tags: [], ...input }, Object.keys(BookmarkInput.properties).sort())
      return id === 'r1' && rev === 1 && createdAt === AT && updatedAt === AT &&
        JSON.stringify(back, Object.keys(BookmarkInput.properties).sort()) === sent &&
        Object.values(back).filter((value) => value !== undefined).length ===
          Object.keys({ tags: [], ...input }).length
    }),
    { numRuns: 500 }
  )
  t.match(
    thereAndBack(bookmark, { url: 'https://example.com', title: '' }),
    { tags: [] },
    'without tags it has none'
  )
})

t.test('any JSON that may be sent as a setting comes back as it was sent, in the order of its keys', async (t) => {
  const value = fc.jsonValue({ stringUnit: 'binary', maxDepth: 6 })
  fc.assert(
    fc.property(value, fc.boolean(), (value, isPublic) => {
      const back = thereAndBack(setting, { value, isPublic })
      return JSON.stringify(back.value) === JSON.stringify(value) && back.isPublic === isPublic
    }),
    { numRuns: 1000 }
  )
  for (
    const json of ['{"__proto__":{"a":1},"constructor":null,"b":1,"a":2}', '{"":""}', '[]', '{}', 'null',
      '""', '0.1', '1e-300', '[[[[[]]]]]']
  ) {
    t.equal(JSON.stringify(thereAndBack(setting, { value: JSON.parse(json) as unknown }).value), json, json)
  }
  t.equal(thereAndBack(setting, { value: 1 }).isPublic, false, 'private where nothing was said')
})

t.test('every entity is a kind of row, and a row that is none, or not where or as it should be, is told', (t) => {
  const entities = readdirSync('entities').map((name) => readFileSync(`entities/${name}`, 'utf8'))
  t.equal(ROWS.length, entities.join('').match(/new Entity\(\{/g)!.length)
  t.equal(new Set(ROWS.map(({ entity }) => entity.schema.model.entity)).size, ROWS.length)
  const row = { __edb_e__: 'bookmark', pk: 'TENANT#acme#USER#alice', sk: 'x' }
  t.equal(faultOf(row), undefined)
  t.equal(faultOf({ ...row, deletedAt: 'x', ttl: 1 }), undefined)
  t.match(faultOf({ ...row, __edb_e__: 'note' }), /which ROWS does not name/)
  t.match(faultOf({ ...row, pk: 'TENANT#acme' }), /does not lie in a partition of space/)
  t.match(faultOf({ ...row, ttl: 1 }), /expires/)
  t.match(faultOf({ ...row, deletedAt: 'x' }), /never expires/)
  t.end()
})

// A definition in which wire and store disagree does not compile: `npm run types` fails where one does.
const good = { ...bookmark }
const link = Type.Object({ url: Type.String(), title: Type.String() })
const coloured = Type.Object({ ...BookmarkInput.properties, colour: Type.Optional(Type.String()) })
void [
  () => define(good),
  // @ts-expect-error a required attribute is never given
  () => define({ ...good, store: ({ url }: { url: string }) => ({ url, tags: [] }) }),
  // @ts-expect-error an attribute of the wrong type
  () => define({ ...good, store: ({ title }: { title: string }) => ({ url: 1, title, tags: [] }) }),
  // @ts-expect-error the wire has no such property to store
  () => define({ ...good, input: link, store: ({ url, titel }) => ({ url, title: titel, tags: [] }) }),
  // @ts-expect-error a property of the record is never presented
  () => define({ ...good, present: ({ id, url }: { id: string, url: string }) => ({ id, url }) }),
  // @ts-expect-error a property of the record of the wrong type
  () => define({ ...good, present: (row) => ({ ...bookmark.present(row), rev: String(row.rev) }) }),
  // @ts-expect-error what may be sent must come back
  () => define({ ...good, input: coloured })
]
