/** A bug that someone could make: which promise it breaks, where, what it changes, and the suite that must notice. */
export interface Mutant { readonly promise: Promised, readonly name: string, readonly file: string, readonly find: string, readonly replace: string, readonly suite: string }

export const PROMISES = ['writes', 'changes', 'fidelity', 'isolation', 'secrecy'] as const
export type Promised = (typeof PROMISES)[number]

const PLAN = 'src/services/space/plan.ts'
const ROWS = 'src/services/space/rows.ts'
const WRITER = 'src/services/space/writer.ts'
const TOKEN = 'src/plugins/auth/token.ts'

export const MUTANTS: readonly Mutant[] = [
  // No lost write
  { promise: 'writes', name: 'HEAD moves whoever was first', suite: 'space-faults', file: ROWS, find: ".where(({ n, epoch }, { eq }) => `${eq(n, before.n)} AND ${eq(epoch, before.epoch)}`)", replace: '' },
  { promise: 'writes', name: 'a record is replaced whatever stands there', suite: 'space', file: ROWS, find: 'if (knownRev === undefined) return entity.create(row)', replace: 'if (knownRev === undefined) return entity.put(row)' },
  { promise: 'writes', name: 'acknowledged before it is written', suite: 'space-faults', file: WRITER, find: 'planned.push({ pending, plan: next })', replace: 'planned.push({ pending, plan: next }); pending.resolve(next.outcome)' },
  { promise: 'writes', name: 'If-Match is not looked at', suite: 'space', file: PLAN, find: '!ifMatch.includes(live.rev)', replace: 'false' },
  { promise: 'writes', name: 'a PATCH is not redone on the newer record', suite: 'space', file: PLAN, find: 'if (basedOn !== undefined && live?.rev !== basedOn.rev) throw new Superseded()', replace: 'void Superseded' },
  { promise: 'writes', name: 'memory alone refuses a write', suite: 'space', file: WRITER, find: 'if (pending.verify && planned.length === 0) pending.reject(error)', replace: 'if (pending.tries >= 0) pending.reject(error)' },
  { promise: 'writes', name: 'the quota is not looked at', suite: 'space', file: PLAN, find: '  assertQuota(head, next, rules.limits)\n', replace: '' },
  { promise: 'writes', name: 'the outcome is not kept under its Idempotency-Key', suite: 'records', file: PLAN, find: 'if (write.idempotency !== undefined) {', replace: 'if (write.idempotency === null) {' },
  // Never missing a change
  { promise: 'changes', name: 'a change is not in the log', suite: 'space', file: PLAN, find: 'ops: write.changes.map(', replace: "ops: write.changes.filter(({ act }) => act === 'put').map(" },
  { promise: 'changes', name: 'the log has holes', suite: 'space', file: PLAN, find: 'const n = head.n + 1', replace: 'const n = head.n + 2' },
  { promise: 'changes', name: 'a record does not carry the number of its change', suite: 'space', file: PLAN, find: 'rev: n, createdAt', replace: 'rev: n - 1, createdAt' },
  // Nothing silently changed
  { promise: 'fidelity', name: 'bodies are coerced', suite: 'hostile-input', file: 'src/app.ts', find: 'ajv({ coerceTypes: false })', replace: 'ajv({ coerceTypes: true })' },
  { promise: 'fidelity', name: 'JSON.parse reads bodies', suite: 'hostile-input', file: 'src/plugins/body.ts', find: 'parse(text, undefined, { parseNumber: exactNumber })', replace: '(void parse, void exactNumber, JSON.parse(text) as unknown)' },
  { promise: 'fidelity', name: 'a value is stored as DynamoDB numbers and maps would give it', suite: 'records', file: 'entities/setting.ts', find: 'value: JSON.stringify(value)', replace: 'value: JSON.stringify(value, (_, part: unknown) => typeof part === "object" && part !== null && !Array.isArray(part) ? Object.fromEntries(Object.entries(part).sort()) : part)' },
  // Isolation
  { promise: 'isolation', name: 'keys are lower-cased', suite: 'entities', file: 'entities/fields.ts', find: "template: 'TENANT#${tenantId}#${spaceKind}#${spaceId}', casing: 'none'", replace: "template: 'TENANT#${tenantId}#${spaceKind}#${spaceId}', casing: 'lower'" },
  { promise: 'isolation', name: 'a cursor is bound to nobody', suite: 'records', file: 'src/services/cursor.ts', find: '`cursor ${binding}`', replace: "(void binding, 'cursor')" },
  { promise: 'isolation', name: 'an unpublished setting stays public', suite: 'records', file: 'entities/setting.ts', find: 'row.isPublic === true && row.deletedAt === undefined', replace: 'row.isPublic !== undefined' },
  { promise: 'isolation', name: 'one tenant for tokens without one', suite: 'tokens', file: 'src/plugins/tenant.ts', find: "if (claimed === undefined || claimed === null || claimed === '') throw", replace: "if (claimed === undefined) return 'default'\n  if (claimed === null || claimed === '') throw" },
  { promise: 'isolation', name: 'a pool speaks for any tenant it names', suite: 'tokens', file: 'src/plugins/tenant.ts', find: 'claimed !== undefined && claimed !== tenant.fixed', replace: 'false' },
  { promise: 'isolation', name: 'tokens of any app client', suite: 'tokens', file: TOKEN, find: "typeof client !== 'string' || !clientIds.includes(client)", replace: "typeof client !== 'string'" },
  { promise: 'isolation', name: 'id tokens pass as access tokens', suite: 'tokens', file: TOKEN, find: 'if (use !== tokenUse)', replace: 'if (use === undefined)' },
  { promise: 'isolation', name: 'a withdrawn key is never noticed', suite: 'keys', file: 'src/plugins/auth/key-source.ts', find: 'const FRESH_MS = 600_000', replace: 'const FRESH_MS = 600_000_000' },
  { promise: 'isolation', name: 'one session for all tenants', suite: 'store', file: 'src/store/credentials.ts', find: 'let entry = await stores.fetch(tag)', replace: "let entry = await stores.fetch(tag && 'acme')" },
  { promise: 'isolation', name: 'every request uses one tenant\'s store', suite: 'store', file: 'src/plugins/services.ts', find: 'await stores.of(request.scope.tenantId)', replace: "await stores.of(request.scope.tenantId && 'acme')" },
  { promise: 'isolation', name: 'a time-ordered page leaves out what was put off', suite: 'space-faults', file: ROWS, find: 'keys = unprocessed\n', replace: 'keys = unprocessed.slice(unprocessed.length)\n' },
  // Nothing leaks
  { promise: 'secrecy', name: 'a 5xx says why', suite: 'space-faults', file: 'src/plugins/problems.ts', find: '...status < 500 || status === 507 ? { detail: problem.message } : {}', replace: 'detail: (cause as Error).message' },
  { promise: 'secrecy', name: 'the log has URLs', suite: 'logs', file: 'src/plugins/log.ts', find: "request.is404 ? 'none' : request.routeOptions.url", replace: 'request.url' }
]
