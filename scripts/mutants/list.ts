/** A bug that someone could make: which promise it breaks, where, what it changes, and the suite that must notice. */
export interface Mutant { readonly promise: Promised, readonly name: string, readonly file: string, readonly find: string, readonly replace: string, readonly suite: string }

export const PROMISES = ['writes', 'changes', 'fidelity', 'isolation', 'secrecy'] as const
export type Promised = (typeof PROMISES)[number]

const PLAN = 'src/services/space/plan.ts'
const ROWS = 'src/services/space/rows.ts'
const WRITER = 'src/services/space/writer.ts'
const TOKEN = 'src/plugins/auth/token.ts'
const TEMPLATE = 'template.yaml'

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
  { promise: 'isolation', name: 'one session for all tenants', suite: 'store', file: 'src/store/credentials.ts', find: 'let session = await sessions.fetch(name)', replace: "let session = await sessions.fetch(name && 'acme')" },
  { promise: 'isolation', name: 'every request uses one tenant\'s store', suite: 'store', file: 'src/plugins/services.ts', find: 'await stores.of(request.scope.tenantId)', replace: "await stores.of(request.scope.tenantId && 'acme')" },
  { promise: 'changes', name: 'a time-ordered page leaves out what was put off', suite: 'space-faults', file: ROWS, find: 'keys = unprocessed\n', replace: 'keys = unprocessed.slice(unprocessed.length)\n' },
  { promise: 'isolation', name: 'no closing # in the deny: tenant ab reaches abc when more is attached', suite: 'iam', file: TEMPLATE, find: "Resource: [!GetAtt Table.Arn, !Sub '${Table.Arn}/index/gsi1']\n                Condition:\n                  ForAnyValue:StringNotLike: { dynamodb:LeadingKeys: [!Sub 'TENANT#${!aws:PrincipalTag/tenant_id}', !Sub 'TENANT#${!aws:PrincipalTag/tenant_id}#*'] }", replace: "Resource: [!GetAtt Table.Arn, !Sub '${Table.Arn}/index/gsi1']\n                Condition:\n                  ForAnyValue:StringNotLike: { dynamodb:LeadingKeys: [!Sub 'TENANT#${!aws:PrincipalTag/tenant_id}*'] }" },
  { promise: 'isolation', name: 'no closing # in the allow', suite: 'template-roles', file: TEMPLATE, find: "at all: hence Null.\n                  ForAllValues:StringLike: { dynamodb:LeadingKeys: [!Sub 'TENANT#${!aws:PrincipalTag/tenant_id}', !Sub 'TENANT#${!aws:PrincipalTag/tenant_id}#*'] }", replace: "at all: hence Null.\n                  ForAllValues:StringLike: { dynamodb:LeadingKeys: [!Sub 'TENANT#${!aws:PrincipalTag/tenant_id}*'] }" },
  { promise: 'isolation', name: 'the tenant may scan', suite: 'template-roles', file: TEMPLATE, find: 'Sid: S1OwnRows\n                Effect: Allow\n                Action: [', replace: 'Sid: S1OwnRows\n                Effect: Allow\n                Action: [dynamodb:Scan, ' },
  { promise: 'isolation', name: 'ForAllValues in place of ForAnyValue in the deny', suite: 'iam', file: TEMPLATE, find: "Resource: [!GetAtt Table.Arn, !Sub '${Table.Arn}/index/gsi1']\n                Condition:\n                  ForAnyValue:", replace: "Resource: [!GetAtt Table.Arn, !Sub '${Table.Arn}/index/gsi1']\n                Condition:\n                  ForAllValues:" },
  { promise: 'isolation', name: 'calls without keys are not denied', suite: 'iam', file: TEMPLATE, find: "Sid: S5NothingWithoutKeys\n                Effect: Deny", replace: "Sid: S5NothingWithoutKeys\n                Effect: Allow" },
  { promise: 'isolation', name: 'sessions without a tenant are not denied', suite: 'template-roles', file: TEMPLATE, find: "Sid: S6NothingWithoutTenant\n                Effect: Deny\n                Action: '*'", replace: "Sid: S6NothingWithoutTenant\n                Effect: Deny\n                Action: 'nothing:*'" },
  { promise: 'isolation', name: 'anyone in the account may become a tenant', suite: 'template-roles', file: TEMPLATE, find: "Description: One tenant's rows, by the session tag tenant_id\n      MaxSessionDuration: 3600\n      AssumeRolePolicyDocument:\n        Version: '2012-10-17'\n        Statement:\n          - Effect: Allow\n            Principal: { AWS: !GetAtt ApiRole.Arn }", replace: "Description: One tenant's rows, by the session tag tenant_id\n      MaxSessionDuration: 3600\n      AssumeRolePolicyDocument:\n        Version: '2012-10-17'\n        Statement:\n          - Effect: Allow\n            Principal: { AWS: !Ref AWS::AccountId }" },
  { promise: 'isolation', name: 'the process\'s own credentials in place of the tenant\'s', suite: 'store', file: 'src/store/credentials.ts', find: 'open(config, await assume(name))', replace: '(await assume(name), open({ ...config, local: true }))' },
  { promise: 'isolation', name: 'a session without its tag', suite: 'store', file: 'src/store/credentials.ts', find: ", Tags: [{ Key: 'tenant_id', Value: name }]", replace: '' },
  { promise: 'isolation', name: 'an entity shared through a Service', suite: 'architecture', file: ROWS, find: '  const { data } = await definition.entity.get({ ...space, id }).go({ ...store, consistent: true })', replace: "  const { Service } = await import('electrodb')\n  void new Service({ shared: definition.entity }, store)\n  const { data } = await definition.entity.get({ ...space, id }).go({ consistent: true })" },
  { promise: 'isolation', name: 'what the store denies is an empty answer', suite: 'operations', file: 'src/plugins/problems.ts', find: "if (failure === DENIED) return new Problem('UNAUTHORIZED_ACCESS', 'This is not yours to read or write.')", replace: "if (failure === DENIED) return new Problem('NOT_FOUND', 'There is nothing here.')" },
  { promise: 'isolation', name: 'a suspended tenant is let in', suite: 'operations', file: 'src/plugins/operations.ts', find: "=== 'suspended'", replace: "=== ('closed' as string)" },
  { promise: 'isolation', name: 'the gateway asks nothing about calls that name nothing', suite: 'iam', file: 'src/local/iam/requests.ts', find: 'return intents.length > 0 ? intents :', replace: 'return intents.length >= 0 ? intents :' },
  // Nothing leaks
  { promise: 'secrecy', name: 'a 5xx says why', suite: 'space-faults', file: 'src/plugins/problems.ts', find: '...status < 500 || status === 507 ? { detail: problem.message } : {}', replace: 'detail: (cause as Error).message' },
  { promise: 'secrecy', name: 'the log has URLs', suite: 'logs', file: 'src/plugins/log.ts', find: "request.is404 ? 'none' : request.routeOptions.url", replace: 'request.url' }
]
