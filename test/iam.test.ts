import fc from 'fast-check'
import t, { type Test } from 'tap'
import { createTable } from '../src/local/create-table.ts'
import { startGateway, type Gateway } from '../src/local/iam/gateway.ts'
import { decide, readPolicy } from '../src/local/iam/policy.ts'
import { loadRoles, readRoles } from '../src/local/iam/roles.ts'
import { loadTemplate, render, type Part } from '../src/local/iam/template.ts'
import { figure } from './harness/figures.ts'
import { storeEndpoint } from './harness/hub.ts'
import { actions, attacks, own, type Shape } from './harness/policy-table.ts'

/** Wall 4 alone: the roles of template.yaml against requests that no wall before them has looked at. */

const TABLE = 'iam-test'
const store = await storeEndpoint()
await createTable(store, TABLE).catch(() => {})
const deployed = loadRoles('template.yaml', TABLE)
/** The same roles after someone's mistake: everything of DynamoDB allowed as well. */
const mistaken = new Map(
  [...deployed].map((
    [id, role]
  ) => [id, {
    ...role,
    policy: [...role.policy, ...readPolicy({
      Version: '2012-10-17',
      Statement: { Sid: 'Mistake', Effect: 'Allow', Action: 'dynamodb:*', Resource: '*' }
    })]
  }])
)

interface Session {
  readonly accessKeyId: string
  readonly sessionToken: string
}

/**
 * STS through the gateway, as the hub's process or as a session. @returns the session, or the error's code
 */
async function assume (
  { endpoint }: Gateway,
  role: string,
  tags: [string, string][],
  { name = 'test', seconds = '3600', as }: { name?: string, seconds?: string, as?: Session } = {}
): Promise<Session | string> {
  const form = new URLSearchParams({
    Action: 'AssumeRole',
    Version: '2011-06-15',
    RoleArn: `arn:aws:iam::123456789012:role/hub-${role}`,
    RoleSessionName: name,
    DurationSeconds: seconds
  })
  tags.forEach(([key, value], index) => {
    form.set(`Tags.member.${index + 1}.Key`, key)
    form.set(`Tags.member.${index + 1}.Value`, value)
  })
  const answer = await (await fetch(endpoint, { method: 'POST', headers: signed(as), body: form.toString() }))
    .text()
  const [accessKeyId, sessionToken] = ['AccessKeyId', 'SessionToken'].map((field) =>
    new RegExp(`<${field}>(.+)</${field}>`).exec(answer)?.[1]
  )
  return accessKeyId === undefined
    ? /<Code>(.+)<\/Code>/.exec(answer)![1]!
    : { accessKeyId, sessionToken: sessionToken! }
}

function signed (session: Partial<Session> | undefined): Record<string, string> {
  const { accessKeyId = 'local', sessionToken } = session ?? {}
  return {
    authorization:
      `AWS4-HMAC-SHA256 Credential=${accessKeyId}/20261122/local/dynamodb/aws4_request, SignedHeaders=host, Signature=0`,
    'x-amz-date': '20261122T000000Z',
    ...sessionToken !== undefined && { 'x-amz-security-token': sessionToken }
  }
}

/** One call of DynamoDB. @returns 'ok', or the error's type */
async function call (
  { endpoint }: Gateway,
  session: Partial<Session> | undefined,
  { operation, body }: Shape
): Promise<string> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      ...signed(session),
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': `DynamoDB_20120810.${operation}`
    },
    body: JSON.stringify(body)
  })
  const { __type: type = '' } = await response.json() as { __type?: string }
  return response.ok ? 'ok' : type.split('#')[1]!
}

async function gatewayOf (t: Test, roles = deployed, now?: () => number) {
  const gateway = await startGateway({ roles, store, ...now && { now } })
  t.teardown(() => gateway.stop())
  return gateway
}
const sessionOf = async (gateway: Gateway, tenant: string) =>
  await assume(gateway, 'TenantRole', [['tenant_id', tenant]], { name: `tenant-${tenant}` }) as Session

t.test("a tenant's session gets its own rows and the public index", async (t) => {
  const gateway = await gatewayOf(t)
  const session = await sessionOf(gateway, 'acme')
  for (const shape of own(TABLE, 'acme')) t.equal(await call(gateway, session, shape), 'ok', shape.name)
  t.strictSame(gateway.denials, [])
})

for (
  const [title, roles] of [['as deployed', deployed], ['with dynamodb:* attached by mistake',
    mistaken]] as const
) {
  t.test(`no forbidden request gets through, ${title}`, async (t) => {
    const gateway = await gatewayOf(t, roles)
    const session = await sessionOf(gateway, 'acme')
    const shapes = attacks(TABLE, 'acme')
    t.ok(shapes.length >= 58)
    t.equal(new Set(shapes.map(({ name }) => name)).size, shapes.length, 'each is another one')
    let allowed = 0
    for (const shape of shapes) {
      const answer = await call(gateway, session, shape)
      if (answer !== 'AccessDeniedException') allowed++
      t.equal(answer, 'AccessDeniedException', shape.name)
    }
    t.equal(gateway.denials.length, shapes.length)
    figure(t, `forbidden request shapes ${title}`, `${shapes.length}, ${allowed} allowed`)
  })
}

t.test('every action of DynamoDB on every kind of key: own keys and item actions, or nothing', (t) => {
  const arn = `arn:aws:dynamodb:eu-west-1:123456789012:table/${TABLE}`
  const resources = [arn, `${arn}/index/gsi1`, `${arn}/index/gsi2`, `${arn}/index/gsi3`, `${arn}/stream/1`,
    `${arn}/backup/1`, `${arn}x`, '*']
  const foreign = ['TENANT#globex', 'TENANT#acmex#USER#a', 'TENANT#acme-x#USER#a', 'TENANT#acm#USER#a',
    'TENANT#ACME#USER#a', 'tenant#acme#USER#a', 'TENANT#acmeUSER#a', ' TENANT#acme', 'OPS#TENANT#acme',
    'TENANT#', '']
  const keys: (string[] | undefined)[] = [undefined, ['TENANT#acme'], ['TENANT#acme#USER#a'], [
    'TENANT#acme#USER#a',
    'TENANT#acme#GROUP#g'
  ], ['PUBLIC#SETTING#0'], ['PUBLIC#SETTING#0', 'TENANT#acme#USER#a'], ...foreign.map((key) => [key]),
    ...foreign.map((key) => ['TENANT#acme#USER#a', key])]
  const items = new Set(['GetItem', 'BatchGetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem',
    'BatchWriteItem', 'ConditionCheckItem'])
  const isOwn = (leading: string[] | undefined) =>
    leading?.every((key) => key === 'TENANT#acme' || key.startsWith('TENANT#acme#')) === true
  const isPublic = (leading: string[] | undefined) =>
    leading?.every((key) => key.startsWith('PUBLIC#SETTING#')) === true
  const tags: (Record<string, string[]>)[] = [{ 'aws:PrincipalTag/tenant_id': ['acme'] }, {}, {
    'aws:PrincipalTag/tenant_id': ['']
  }, { 'aws:PrincipalTag/tenant': ['acme'] }]
  let [decisions, wrong] = [0, 0]
  for (
    const [name, policy] of [['deployed', deployed.get('TenantRole')!.policy], ['mistaken',
      mistaken.get('TenantRole')!.policy]] as const
  ) {
    for (const action of actions) {
      for (const resource of resources) {
        for (const leading of keys) {
          for (const tag of tags) {
            const { allowed } = decide(policy, {
              action: `dynamodb:${action}`,
              resource,
              context: { ...tag, ...leading && { 'dynamodb:LeadingKeys': leading } }
            })
            const rightful = tag === tags[0] &&
              ((resource === arn && items.has(action) && isOwn(leading)) ||
                (resource === resources[1] && action === 'Query' && isOwn(leading)) ||
                (resource === resources[2] && action === 'Query' && isPublic(leading)))
            decisions++
            // By mistake the item actions also reach the tenant's own keys through an index, which DynamoDB
            // does not know.
            const harmless = name === 'mistaken' && tag === tags[0] && items.has(action) &&
              ((resource === resources[1] && isOwn(leading)) ||
                (resource === resources[2] && isPublic(leading)))
            if (allowed === rightful || (allowed && harmless)) continue
            wrong++
            t.fail(JSON.stringify({ name, action, resource, leading, tag, allowed }))
          }
        }
      }
    }
  }
  t.equal(wrong, 0)
  figure(t, "decisions of the tenant's policy", `${decisions}, ${wrong} wrong`)
  t.end()
})

t.test("for any tenants and keys: a tenant is let to a key exactly where it is the tenant's own", (t) => {
  const { policy } = deployed.get('TenantRole')!
  const tenant = fc.stringMatching(/^[a-z0-9][a-z0-9-]{1,4}[a-z0-9]$/)
  const key = fc.oneof(
    fc.tuple(tenant, fc.constantFrom('', '#', '#USER#a', '#GROUP#g', 'x', '-', '*', '#*')).map(([id, rest]) =>
      `TENANT#${id}${rest}`
    ),
    fc.string()
  )
  fc.assert(
    fc.property(tenant, fc.array(key, { minLength: 1, maxLength: 4 }), fc.boolean(), (id, keys, mixed) => {
      const leading = mixed ? [...keys, `TENANT#${id}#USER#a`] : keys
      const { allowed } = decide(policy, {
        action: 'dynamodb:BatchGetItem',
        resource: `arn:aws:dynamodb:eu-west-1:123456789012:table/${TABLE}`,
        context: { 'aws:PrincipalTag/tenant_id': [id], 'dynamodb:LeadingKeys': leading }
      })
      return allowed === leading.every((key) => key === `TENANT#${id}` || key.startsWith(`TENANT#${id}#`))
    }),
    { numRuns: 5000 }
  )
  t.end()
})

t.test('the other roles reach what their names say', async (t) => {
  const gateway = await gatewayOf(t)
  const operator = await assume(gateway, 'OperatorRole', []) as Session
  const at = (pk: string, operation = 'GetItem'): Shape => ({
    name: pk,
    operation,
    body: { TableName: TABLE, Key: { pk: { S: pk }, sk: { S: 's' } } }
  })
  t.equal(await call(gateway, operator, at('OPS#TENANT#acme')), 'ok')
  t.equal(await call(gateway, operator, at('OPS#PAIRING#1')), 'ok')
  for (const pk of ['TENANT#acme', 'TENANT#acme#USER#a', 'OPS', 'ops#TENANT#acme', 'PUBLIC#SETTING#0']) {
    t.equal(await call(gateway, operator, at(pk)), 'AccessDeniedException', pk)
  }
  t.equal(
    await call(gateway, operator, { name: 'scan', operation: 'Scan', body: { TableName: TABLE } }),
    'AccessDeniedException'
  )

  const job = await assume(gateway, 'JobRole', [['tenant_id', 'acme']]) as Session
  for (const pk of ['TENANT#acme', 'TENANT#acme#USER#a', 'OPS#TENANT#acme', 'OPS#TENANT#acme#USAGE']) {
    t.equal(await call(gateway, job, at(pk)), 'ok', pk)
  }
  for (const pk of ['TENANT#acmex', 'OPS#TENANT#acmex', 'OPS#PAIRING#1', 'TENANT#globex']) {
    t.equal(await call(gateway, job, at(pk)), 'AccessDeniedException', pk)
  }

  for (const shape of own(TABLE, 'acme')) {
    t.equal(
      await call(gateway, undefined, shape),
      'AccessDeniedException',
      `the process itself: ${shape.name}`
    )
  }
})

t.test('nobody becomes a tenant but the hub, with one tag', async (t) => {
  const gateway = await gatewayOf(t)
  const tenant = await sessionOf(gateway, 'acme')
  const tag: [string, string][] = [['tenant_id', 'acme']]
  const cases: [
    string,
    Parameters<typeof assume>[1],
    [string, string][],
    Parameters<typeof assume>[3],
    string
  ][] = [['no tag', 'TenantRole', [], {}, 'AccessDenied'], ['an empty tag', 'TenantRole', [['tenant_id', '']],
    {}, 'AccessDenied'], ['another tag', 'TenantRole', [['tenant', 'acme']], {}, 'AccessDenied'], [
    'a tag more',
    'TenantRole',
    [...tag, ['role', 'admin']],
    {},
    'AccessDenied'
  ], ['a tag twice', 'TenantRole', [...tag, ['tenant_id', 'globex']], {}, 'InvalidParameterValue'], [
    'a wildcard',
    'TenantRole',
    [['tenant_id', '*']],
    {},
    'ValidationError'
  ], ['a variable', 'TenantRole', [['tenant_id', '${aws:PrincipalTag/tenant_id}']], {}, 'ValidationError'], [
    'a session that would become another',
    'TenantRole',
    [['tenant_id', 'globex']],
    { as: tenant },
    'AccessDenied'
  ], ['a session that would become the operator', 'OperatorRole', [], { as: tenant }, 'AccessDenied'], [
    'the operator, tagged',
    'OperatorRole',
    tag,
    {},
    'AccessDenied'
  ], ["the stream's role", 'StreamRole', [], {}, 'AccessDenied'], ["the hub's own role", 'ApiRole', [], {},
    'AccessDenied'], ['a role that is not there', 'AdminRole', tag, {}, 'AccessDenied'], [
    'longer than role chaining lasts',
    'TenantRole',
    tag,
    { seconds: '3601' },
    'ValidationError'
  ], ['too short', 'TenantRole', tag, { seconds: '60' }, 'ValidationError'], [
    'a session name that CloudTrail could not show',
    'TenantRole',
    tag,
    { name: 'a b' },
    'ValidationError'
  ], ['an unknown key', 'TenantRole', tag, { as: { accessKeyId: 'ASIAUNKNOWN', sessionToken: 'x' } },
    'InvalidClientTokenId']]
  for (const [name, role, tags, options, code] of cases) {
    t.equal(await assume(gateway, role, tags, options), code, name)
  }
  t.match(
    await (await fetch(gateway.endpoint, {
      method: 'POST',
      headers: signed(undefined),
      body: 'Action=GetSessionToken'
    })).text(),
    /InvalidAction/
  )
})

t.test('a session ends, and its key is worth nothing without its token', async (t) => {
  let now = Date.now()
  const gateway = await gatewayOf(t, deployed, () => now)
  const session = await sessionOf(gateway, 'acme')
  const [shape] = own(TABLE, 'acme') as [Shape]
  t.equal(await call(gateway, { accessKeyId: session.accessKeyId }, shape), 'UnrecognizedClientException')
  t.equal(await call(gateway, { ...session, sessionToken: 'another' }, shape), 'UnrecognizedClientException')
  t.equal(
    await call(gateway, { accessKeyId: 'ASIAUNKNOWN', sessionToken: 'x' }, shape),
    'UnrecognizedClientException'
  )
  now += 3600_000
  t.equal(await call(gateway, session, shape), 'ExpiredTokenException')
  t.equal(
    await assume(gateway, 'TenantRole', [['tenant_id', 'acme']], { as: session }),
    'InvalidClientTokenId'
  )
})

t.test('what DynamoDB refuses and the embedded store lets pass is refused', async (t) => {
  const gateway = await gatewayOf(t)
  const session = await sessionOf(gateway, 'acme')
  const query = {
    TableName: TABLE,
    KeyConditionExpression: '#pk = :pk',
    ExpressionAttributeNames: { '#pk': 'pk' },
    ExpressionAttributeValues: { ':pk': { S: 'TENANT#acme#USER#a' } }
  }
  const key = (pk: string) => ({ pk: { S: pk }, sk: { S: 'x' } })
  const byTime = { ...query, IndexName: 'gsi1', ExpressionAttributeNames: { '#pk': 'gsi1pk' } }
  const index = (pk: string) => ({ ...key('TENANT#acme#USER#a'), gsi1pk: { S: pk }, gsi1sk: { S: 'x' } })
  t.equal(
    await call(gateway, session, {
      name: 'own',
      operation: 'Query',
      body: { ...query, ExclusiveStartKey: key('TENANT#acme#USER#a') }
    }),
    'ok'
  )
  t.equal(
    await call(gateway, session, {
      name: 'foreign',
      operation: 'Query',
      body: { ...query, ExclusiveStartKey: key('TENANT#globex#USER#a') }
    }),
    'ValidationException'
  )
  t.equal(
    await call(gateway, session, {
      name: 'own',
      operation: 'Query',
      body: { ...byTime, ExclusiveStartKey: index('TENANT#acme#USER#a') }
    }),
    'ok'
  )
  t.equal(
    await call(gateway, session, {
      name: 'foreign',
      operation: 'Query',
      body: { ...byTime, ExclusiveStartKey: index('TENANT#globex#USER#a') }
    }),
    'ValidationException'
  )
  t.equal(
    await call(gateway, session, {
      name: 'strong read of an index',
      operation: 'Query',
      body: { ...byTime, ConsistentRead: true }
    }),
    'ValidationException'
  )
})

t.test('the gateway does not start on anything that it does not understand', (t) => {
  const statement = { Effect: 'Allow', Action: 'dynamodb:GetItem', Resource: '*' }
  const policy = (...Statement: object[]) => ({ Version: '2012-10-17', Statement })
  const when = (Condition: object) => policy({ ...statement, Condition })
  const cases: [string, unknown, RegExp][] = [['another version', {
    Version: '2008-10-17',
    Statement: [statement]
  }, /Version/], ['an element of the document', { ...policy(statement), Id: 'x' }, /Id/], [
    'an element of a statement',
    policy({ ...statement, NotPrincipal: '*' }),
    /NotPrincipal/
  ], ['an effect', policy({ ...statement, Effect: 'allow' }), /effect/], ['no action',
    policy({ Effect: 'Allow', Resource: '*' }), /Action/], ['two kinds of action',
    policy({ ...statement, NotAction: 'x' }), /Action/], ['no resource',
    policy({ Effect: 'Allow', Action: '*' }), /Resource/], ['a number as action',
    policy({ ...statement, Action: 5 }), /Not a text/], ['an empty list',
    policy({ ...statement, Action: [] }), /Not a text/], ['a variable in a resource',
    policy({ ...statement, Resource: '${aws:PrincipalTag/tenant_id}' }), /variable/], ['an operator',
    when({ StringLikeIfExists: { 'aws:PrincipalTag/a': 'x' } }), /StringLikeIfExists/], [
    'an operator of another type',
    when({ NumericEquals: { 'aws:PrincipalTag/a': '1' } }),
    /NumericEquals/
  ], ['a set of Null', when({ 'ForAllValues:Null': { 'dynamodb:LeadingKeys': 'true' } }), /Null/], [
    'a value of Null',
    when({ Null: { 'dynamodb:LeadingKeys': 'no' } }),
    /Null/
  ], ['a condition key', when({ StringLike: { 'aws:SourceIp': 'x' } }), /aws:SourceIp/], [
    'several values without a set',
    when({ StringLike: { 'dynamodb:LeadingKeys': 'x' } }),
    /does not go with/
  ], ['one value with a set', when({ 'ForAnyValue:StringLike': { 'aws:PrincipalTag/a': 'x' } }),
    /does not go with/], ['a variable', when({ StringLike: { 'aws:PrincipalTag/a': '${aws:username}' } }),
    /aws:username/], ['an escape', when({ StringLike: { 'aws:PrincipalTag/a': '${*}' } }), /variable/], [
    'a principal',
    policy({ Effect: 'Allow', Action: '*', Principal: { Federated: 'x' } }),
    /Federated/
  ], ['everyone', policy({ Effect: 'Allow', Action: '*', Principal: '*' }), /Principal/], ['a list', [],
    /policy/], ['nothing', null, /policy/]]
  for (const [name, document, message] of cases) t.throws(() => readPolicy(document), { message }, name)
  const resources = (change: (role: Part) => void) => {
    const { Resources } = render(loadTemplate())
    change(Resources.TenantRole.Properties)
    return Resources
  }
  t.throws(() =>
    readRoles(resources((role) => {
      role.ManagedPolicyArns = ['arn:aws:iam::aws:policy/ReadOnlyAccess']
    })), /TenantRole in the template can't be enforced here: The property ManagedPolicyArns/)
  t.throws(() =>
    readRoles(resources((role) => {
      role.PermissionsBoundary = 'x'
    })), /PermissionsBoundary/)
  t.rejects(
    startGateway({ roles: new Map([...deployed].filter(([id]) => id !== 'TenantRole')), store }),
    /There is no TenantRole/
  )
  t.end()
})

t.test("operators mean what IAM's documentation says", (t) => {
  const holds = (Condition: object, context: Record<string, string[]>) =>
    decide(
      readPolicy({
        Version: '2012-10-17',
        Statement: { Effect: 'Allow', Action: 'a:B', Resource: '*', Condition }
      }),
      { action: 'A:b', resource: 'r', context }
    ).allowed
  const [keys, tag] = ['dynamodb:LeadingKeys', 'aws:PrincipalTag/t']
  const table: [object, Record<string, string[]>, boolean][] = [[{ StringEquals: { [tag]: ['a', 'b'] } }, {
    [tag]: ['b']
  }, true], [{ StringEquals: { [tag]: 'a*' } }, { [tag]: ['ab'] }, false], [{ StringLike: { [tag]: 'a*' } }, {
    [tag]: ['ab']
  }, true], [{ StringLike: { [tag]: 'a?' } }, { [tag]: ['a'] }, false], [{ StringLike: { [tag]: 'a.c' } }, {
    [tag]: ['abc']
  }, false], [{ StringLike: { [tag]: 'a*c' } }, { [tag]: ['a\nc'] }, true], [{ StringLike: { [tag]: 'A' } }, {
    [tag]: ['a']
  }, false], [{ StringLike: { [tag]: '*' } }, {}, false], [{ StringNotLike: { [tag]: '?*' } }, {}, true], [{
    StringNotLike: { [tag]: '?*' }
  }, { [tag]: [''] }, true], [{ StringNotLike: { [tag]: ['a', 'b'] } }, { [tag]: ['b'] }, false], [{
    StringNotEquals: { 'kms:ViaService': 'x' }
  }, {}, true], [{ Null: { [tag]: 'true' } }, {}, true], [{ Null: { [tag]: 'true' } }, { [tag]: [''] },
    false], [{ Null: { [tag]: 'false' } }, { [tag]: ['a'] }, true], [{
    'ForAllValues:StringLike': { [keys]: 'a*' }
  }, {}, true], [{ 'ForAllValues:StringLike': { [keys]: 'a*' } }, { [keys]: ['a', 'b'] }, false], [{
    'ForAllValues:StringLike': { [keys]: ['a*', 'b'] }
  }, { [keys]: ['a', 'b'] }, true], [{ 'ForAnyValue:StringLike': { [keys]: 'a*' } }, {}, false], [{
    'ForAnyValue:StringLike': { [keys]: 'a*' }
  }, { [keys]: ['b', 'a'] }, true], [{ 'ForAnyValue:StringNotLike': { [keys]: ['a*', 'c'] } }, {
    [keys]: ['a', 'c']
  }, false], [{ 'ForAnyValue:StringNotLike': { [keys]: ['a*', 'c'] } }, { [keys]: ['a', 'b'] }, true], [{
    'ForAllValues:StringLike': { [keys]: 'T#${aws:PrincipalTag/t}#*' }
  }, {
    [keys]: ['T#x#1'],
    [tag]: ['x']
  }, true], [{ 'ForAllValues:StringLike': { [keys]: 'T#${aws:PrincipalTag/t}#*' } }, {
    [keys]: ['T#xy#1'],
    [tag]: ['x*']
  }, false], [{ 'ForAllValues:StringLike': { [keys]: 'T#${aws:PrincipalTag/t}#*' } }, { [keys]: ['T##1'] },
    true], [{ StringLike: { [tag]: 'a' }, Null: { [keys]: 'true' } }, { [tag]: ['a'], [keys]: ['k'] }, false]]
  for (const [condition, context, expected] of table) {
    t.equal(holds(condition, context), expected, `${JSON.stringify(condition)} of ${JSON.stringify(context)}`)
  }
  // Of a variable that nothing fills the documentation says too little: the answer that hurts.
  const denies = (Condition: object, context: Record<string, string[]>) =>
    !decide(
      readPolicy({
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }, {
          Effect: 'Deny',
          Action: '*',
          Resource: '*',
          Condition
        }]
      }),
      { action: 'a:B', resource: 'r', context }
    ).allowed
  const own = 'T#${aws:PrincipalTag/t}#*'
  for (const open of [{}, { [tag]: [''] }]) {
    for (const set of ['ForAllValues', 'ForAnyValue']) {
      for (const operator of ['StringLike', 'StringNotLike', 'StringEquals', 'StringNotEquals']) {
        const condition = { [`${set}:${operator}`]: { [keys]: own } }
        const context = { ...open, [keys]: ['T##1', 'T#x#1'] }
        t.equal(denies(condition, context), false, `no Deny by ${set}:${operator} of ${JSON.stringify(open)}`)
        t.equal(holds(condition, context), true, `an Allow by ${set}:${operator} of ${JSON.stringify(open)}`)
      }
    }
    const beside = { [`ForAnyValue:StringNotLike`]: { [keys]: [own, 'U#*'] } }
    t.equal(
      denies(beside, { ...open, [keys]: ['U#1'] }),
      false,
      'what another value matches is no matter of it'
    )
    t.equal(holds(beside, { ...open, [keys]: ['U#1'] }), false)
    t.equal(
      denies({ 'ForAllValues:StringLike': { [keys]: [own, 'U#*'] } }, { ...open, [keys]: ['U#1'] }),
      true
    )
  }
  const filled = { [tag]: ['x'], [keys]: ['T##1'] }
  t.equal(
    denies({ 'ForAnyValue:StringNotLike': { [keys]: own } }, filled),
    true,
    'filled, it says what it says'
  )
  const both = readPolicy({
    Version: '2012-10-17',
    Statement: [{ Sid: 'Yes', Effect: 'Allow', Action: '*', Resource: '*' }, {
      Sid: 'No',
      Effect: 'Deny',
      NotAction: ['a:*'],
      NotResource: ['r*']
    }]
  })
  t.strictSame(decide(both, { action: 'b:C', resource: 'x', context: {} }), { allowed: false, sid: 'No' })
  t.strictSame(decide(both, { action: 'a:C', resource: 'x', context: {} }), { allowed: true, sid: 'Yes' })
  t.strictSame(decide([], { action: 'a:C', resource: 'x', context: {} }), { allowed: false, sid: undefined })
  t.end()
})
