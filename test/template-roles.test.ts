import t from 'tap'
import { differ, rule, template } from './harness/rule.ts'
import { PSEUDO, render, type Part } from '../src/local/iam/template.ts'

/** What may touch what: the roles of template.yaml, as rendered. */

const ROLE = `arn:aws:iam::${PSEUDO['AWS::AccountId']}:role/hub-`
const TABLE_ARN = `arn:aws:dynamodb:${PSEUDO['AWS::Region']}:${PSEUDO['AWS::AccountId']}:table/hub-Table`
const [BY_TIME, BY_PUBLIC] = [`${TABLE_ARN}/index/gsi1`, `${TABLE_ARN}/index/gsi2`]
const ITEM = ['GetItem', 'BatchGetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem', 'BatchWriteItem',
  'ConditionCheckItem'].map((name) => `dynamodb:${name}`)
const OWN = {
  'dynamodb:LeadingKeys': ['TENANT#${aws:PrincipalTag/tenant_id}', 'TENANT#${aws:PrincipalTag/tenant_id}#*']
}
const PUBLIC = { 'dynamodb:LeadingKeys': ['PUBLIC#SETTING#*'] }
const OWN_ONLY = {
  'ForAllValues:StringLike': OWN,
  Null: { 'dynamodb:LeadingKeys': 'false', 'aws:PrincipalTag/tenant_id': 'false' }
}
// DynamoDB uses the account's key in the caller's name (forward access session), so these denies must let it.
const BUT_TABLE_KEY = { StringNotEquals: { 'kms:ViaService': 'dynamodb.eu-west-1.amazonaws.com' } }
const TENANT_STATEMENTS = [{
  Sid: 'S1OwnRows',
  Effect: 'Allow',
  Action: ITEM,
  Resource: TABLE_ARN,
  Condition: OWN_ONLY
}, {
  Sid: 'S2OwnRowsByTime',
  Effect: 'Allow',
  Action: ['dynamodb:Query'],
  Resource: BY_TIME,
  Condition: OWN_ONLY
}, {
  Sid: 'S3PublicSettings',
  Effect: 'Allow',
  Action: ['dynamodb:Query'],
  Resource: BY_PUBLIC,
  Condition: { 'ForAllValues:StringLike': PUBLIC, Null: { 'dynamodb:LeadingKeys': 'false' } }
}, { Sid: 'S4NothingButItems', Effect: 'Deny', NotAction: ITEM, Resource: '*', Condition: BUT_TABLE_KEY }, {
  Sid: 'S5NothingWithoutKeys',
  Effect: 'Deny',
  Action: ITEM,
  Resource: '*',
  Condition: { Null: { 'dynamodb:LeadingKeys': 'true' } }
}, {
  Sid: 'S6NothingWithoutTenant',
  Effect: 'Deny',
  Action: '*',
  Resource: '*',
  Condition: { Null: { 'aws:PrincipalTag/tenant_id': 'true' } }
}, {
  Sid: 'S6NothingWithEmptyTenant',
  Effect: 'Deny',
  Action: '*',
  Resource: '*',
  Condition: { StringNotLike: { 'aws:PrincipalTag/tenant_id': '?*' } }
}, {
  Sid: 'S7NoForeignRows',
  Effect: 'Deny',
  Action: ITEM,
  Resource: [TABLE_ARN, BY_TIME],
  Condition: { 'ForAnyValue:StringNotLike': OWN }
}, {
  Sid: 'S8NothingElseByPublic',
  Effect: 'Deny',
  Action: ITEM,
  Resource: BY_PUBLIC,
  Condition: { 'ForAnyValue:StringNotLike': PUBLIC }
}, {
  Sid: 'S9NothingButTheTable',
  Effect: 'Deny',
  Action: '*',
  NotResource: [TABLE_ARN, BY_TIME, BY_PUBLIC],
  Condition: BUT_TABLE_KEY
}]
const tenantStatements = (resources: Part) =>
  resources.TenantRole.Properties.Policies[0].PolicyDocument.Statement

rule(
  'the tenant role opens a tenant its own rows and the public index, and nothing else',
  (
    resources
  ) => [
    ...tenantStatements(resources).flatMap((statement: Part, index: number) =>
      differ(`statement ${index}`, statement, TENANT_STATEMENTS[index])
    ),
    ...differ('statements', tenantStatements(resources).length, TENANT_STATEMENTS.length),
    ...policiesOf(resources, 'TenantRole').length === 1 ? [] : ['more than one policy']
  ],
  {
    'no closing #': (resources) => {
      tenantStatements(resources)[0].Condition['ForAllValues:StringLike']['dynamodb:LeadingKeys'][1] =
        'TENANT#${aws:PrincipalTag/tenant_id}*'
    },
    'Scan added': (resources) => tenantStatements(resources)[0].Action.push('dynamodb:Scan'),
    'ForAnyValue in an allow': (resources) => {
      const { Condition } = tenantStatements(resources)[1]
      Condition['ForAnyValue:StringLike'] = Condition['ForAllValues:StringLike']
      delete Condition['ForAllValues:StringLike']
    },
    'a dropped Null': (resources) => {
      delete tenantStatements(resources)[0].Condition.Null
    },
    'a dropped deny': (resources) => {
      tenantStatements(resources).pop()
    },
    'a second policy': ({ TenantRole }) => {
      TenantRole.Properties.ManagedPolicyArns = ['arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess']
    }
  }
)

// ---- Jobs about one tenant

const JOB = ['GetItem', 'BatchGetItem', 'Query', 'DeleteItem', 'BatchWriteItem'].map((name) =>
  `dynamodb:${name}`
)
const ABOUT = {
  'dynamodb:LeadingKeys': [...OWN['dynamodb:LeadingKeys'],
    ...OWN['dynamodb:LeadingKeys'].map((key) => `OPS#${key}`)]
}

holds("the job role opens one tenant's rows and the operator's about it, and nothing of another", 'JobRole', [
  {
    Sid: 'S1RowsAboutTheTenant',
    Effect: 'Allow',
    Action: JOB,
    Resource: TABLE_ARN,
    Condition: {
      'ForAllValues:StringLike': ABOUT,
      Null: { 'dynamodb:LeadingKeys': 'false', 'aws:PrincipalTag/tenant_id': 'false' }
    }
  },
  { Sid: 'S2NothingButItems', Effect: 'Deny', NotAction: JOB, Resource: '*', Condition: BUT_TABLE_KEY },
  {
    Sid: 'S3NothingWithoutKeys',
    Effect: 'Deny',
    Action: JOB,
    Resource: '*',
    Condition: { Null: { 'dynamodb:LeadingKeys': 'true' } }
  },
  {
    Sid: 'S4NothingWithoutTenant',
    Effect: 'Deny',
    Action: '*',
    Resource: '*',
    Condition: { Null: { 'aws:PrincipalTag/tenant_id': 'true' } }
  },
  {
    Sid: 'S4NothingWithEmptyTenant',
    Effect: 'Deny',
    Action: '*',
    Resource: '*',
    Condition: { StringNotLike: { 'aws:PrincipalTag/tenant_id': '?*' } }
  },
  {
    Sid: 'S5NoForeignRows',
    Effect: 'Deny',
    Action: JOB,
    Resource: '*',
    Condition: { 'ForAnyValue:StringNotLike': ABOUT }
  },
  {
    Sid: 'S6NothingButTheTable',
    Effect: 'Deny',
    Action: '*',
    NotResource: TABLE_ARN,
    Condition: BUT_TABLE_KEY
  }
], {
  'UpdateItem added': ([own]) => own.Action.push('dynamodb:UpdateItem'),
  "all of the operator's rows": ([own]) => {
    own.Condition['ForAllValues:StringLike']['dynamodb:LeadingKeys'][3] = 'OPS#TENANT#*'
  },
  'no closing #': ([own]) => {
    own.Condition['ForAllValues:StringLike']['dynamodb:LeadingKeys'][3] =
      'OPS#TENANT#${aws:PrincipalTag/tenant_id}*'
  },
  'a dropped Null': ([own]) => {
    delete own.Condition.Null['aws:PrincipalTag/tenant_id']
  },
  'an index': ([own]) => {
    own.Resource = [TABLE_ARN, BY_TIME]
  },
  'a deny that lets foreign rows': (statements) => statements.splice(5, 1),
  'a deny that holds where all keys are foreign': ([, , , , , foreign]) => {
    foreign.Condition = { 'ForAllValues:StringNotLike': ABOUT }
  },
  'sessions without a tenant': (statements) => statements.splice(3, 1)
})

// ---- The operator

const OPERATORS = { 'dynamodb:LeadingKeys': ['OPS#*'] }
const OPERATORS_ONLY = { 'ForAllValues:StringLike': OPERATORS, Null: { 'dynamodb:LeadingKeys': 'false' } }

holds("the operator role opens the operator's rows, and nothing of a tenant", 'OperatorRole', [{
  Sid: 'S1OperatorsRows',
  Effect: 'Allow',
  Action: ITEM,
  Resource: TABLE_ARN,
  Condition: OPERATORS_ONLY
}, { Sid: 'S2NothingButItems', Effect: 'Deny', NotAction: ITEM, Resource: '*', Condition: BUT_TABLE_KEY }, {
  Sid: 'S3NothingWithoutKeys',
  Effect: 'Deny',
  Action: ITEM,
  Resource: '*',
  Condition: { Null: { 'dynamodb:LeadingKeys': 'true' } }
}, {
  Sid: 'S4NoTenantsRows',
  Effect: 'Deny',
  Action: ITEM,
  Resource: '*',
  Condition: { 'ForAnyValue:StringNotLike': OPERATORS }
}, {
  Sid: 'S5NothingButTheTable',
  Effect: 'Deny',
  Action: '*',
  NotResource: TABLE_ARN,
  Condition: BUT_TABLE_KEY
}], {
  "a tenant's rows too": ([own]) =>
    own.Condition['ForAllValues:StringLike']['dynamodb:LeadingKeys'].push('TENANT#*'),
  'a pattern that is a prefix too short': ([own]) => {
    own.Condition['ForAllValues:StringLike']['dynamodb:LeadingKeys'] = ['OPS*']
  },
  'a dropped Null': ([own]) => {
    delete own.Condition.Null
  },
  'Scan added': ([own]) => own.Action.push('dynamodb:Scan'),
  'an index': ([own]) => {
    own.Resource = [TABLE_ARN, BY_PUBLIC]
  },
  'a deny by the public index alone': ([, , , foreign]) => {
    foreign.Resource = BY_PUBLIC
  },
  'a dropped deny': (statements) => statements.pop(),
  "a deny that takes the table's key away": ([, items]) => {
    delete items.Condition
  }
})

// ---- The stream

const STREAM_ARN = `${TABLE_ARN}/stream/2026-01-01T00:00:00.000`
const READ = ['DescribeStream', 'GetRecords', 'GetShardIterator'].map((name) => `dynamodb:${name}`)
const PUT = ['dynamodb:PutItem']

holds("the stream role reads the stream and puts the operator's rows; it reads no table", 'StreamRole', [{
  Sid: 'S1ReadTheStream',
  Effect: 'Allow',
  Action: READ,
  Resource: STREAM_ARN
}, {
  Sid: 'S2WriteOperatorsRows',
  Effect: 'Allow',
  Action: PUT,
  Resource: TABLE_ARN,
  Condition: OPERATORS_ONLY
}, {
  Sid: 'S3NothingElse',
  Effect: 'Deny',
  NotAction: [...READ, ...PUT, 'logs:CreateLogStream', 'logs:PutLogEvents'],
  Resource: '*',
  Condition: BUT_TABLE_KEY
}, {
  Sid: 'S4NothingWithoutKeys',
  Effect: 'Deny',
  Action: PUT,
  Resource: '*',
  Condition: { Null: { 'dynamodb:LeadingKeys': 'true' } }
}, {
  Sid: 'S5NoTenantsRows',
  Effect: 'Deny',
  Action: PUT,
  Resource: '*',
  Condition: { 'ForAnyValue:StringNotLike': OPERATORS }
}, {
  Sid: 'S6NothingButTheTable',
  Effect: 'Deny',
  Action: 'dynamodb:*',
  NotResource: [TABLE_ARN, STREAM_ARN]
}], {
  'all streams': ([stream]) => {
    stream.Resource = `${TABLE_ARN}/stream/*`
  },
  'rows to read': ([, own]) => own.Action.push('dynamodb:GetItem'),
  "a tenant's rows": ([, own]) => {
    own.Condition['ForAllValues:StringLike']['dynamodb:LeadingKeys'] = ['*']
  },
  'a dropped Null': ([, own]) => {
    delete own.Condition.Null
  },
  'more that may be attached later': ([, , nothing]) => nothing.NotAction.push('sts:AssumeRole'),
  'a dropped deny': (statements) => statements.pop()
})

/** A role by the statements of its one policy, and what must not become of them. */
function holds (
  title: string,
  id: string,
  wanted: object[],
  breaches: Readonly<Record<string, (statements: Part[]) => unknown>>
): void {
  const own = (resources: Part): Part[] => resources[id].Properties.Policies[0].PolicyDocument.Statement
  rule(
    title,
    (
      resources
    ) => [
      ...own(resources).flatMap((statement, index) => differ(`statement ${index}`, statement, wanted[index])),
      ...differ('statements', own(resources).length, wanted.length),
      ...differ('policies', policiesOf(resources, id).length, 1)
    ],
    {
      ...Object.fromEntries(
        Object.entries(breaches).map(([name, breach]) => [name, (resources: Part) => breach(own(resources))])
      ),
      'a policy attached': (resources) => {
        resources[id].Properties.ManagedPolicyArns = ['arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess']
      },
      'a policy from elsewhere': (resources) => {
        resources.Other = {
          Type: 'AWS::IAM::RolePolicy',
          Properties: { RoleName: `hub-${id}`, PolicyDocument: {} }
        }
      }
    }
  )
}

// ---- Who becomes what

const BY_LAMBDA = {
  Effect: 'Allow',
  Principal: { Service: 'lambda.amazonaws.com' },
  Action: 'sts:AssumeRole'
}
const BY_TAG = {
  Effect: 'Allow',
  Principal: { AWS: `${ROLE}ApiRole` },
  Action: ['sts:AssumeRole', 'sts:TagSession'],
  Condition: {
    Null: { 'aws:RequestTag/tenant_id': 'false' },
    StringLike: { 'aws:RequestTag/tenant_id': '?*' },
    'ForAllValues:StringEquals': { 'aws:TagKeys': ['tenant_id'] }
  }
}
const TRUST: Record<string, object> = {
  ApiRole: BY_LAMBDA,
  TenantRole: BY_TAG,
  JobRole: BY_TAG,
  OperatorRole: {
    Effect: 'Allow',
    Principal: { AWS: `${ROLE}ApiRole` },
    Action: 'sts:AssumeRole',
    Condition: { Null: { 'aws:TagKeys': 'true' } }
  },
  StreamRole: BY_LAMBDA,
  PreTokenRole: BY_LAMBDA
}
const trustOf = (role: Part): Part => role.Properties.AssumeRolePolicyDocument.Statement[0]

rule(
  "only the API's role can become a tenant, with the one tag, or the operator, without any; functions become the rest",
  (resources) => {
    const roles = Object.entries<Part>(resources).filter(([, { Type }]) => Type === 'AWS::IAM::Role')
    return [...differ('roles', roles.map(([id]) => id).sort(), Object.keys(TRUST).sort()),
      ...roles.flatMap(([id, { Properties }]) =>
        differ(id, Properties.AssumeRolePolicyDocument.Statement, [TRUST[id]])
      )]
  },
  {
    'the account as principal': ({ TenantRole }) => {
      trustOf(TenantRole).Principal.AWS = '123456789012'
    },
    'an empty tag': ({ TenantRole }) => {
      trustOf(TenantRole).Condition.StringLike['aws:RequestTag/tenant_id'] = '*'
    },
    'more tags': ({ TenantRole }) => {
      delete trustOf(TenantRole).Condition['ForAllValues:StringEquals']
    },
    'a job without a tag': ({ JobRole }) => {
      delete trustOf(JobRole).Condition.Null
    },
    'a job that a function becomes by itself': ({ JobRole }) => {
      trustOf(JobRole).Principal = { Service: 'lambda.amazonaws.com' }
    },
    'an operator with tags': ({ OperatorRole }) => {
      delete trustOf(OperatorRole).Condition
    },
    'an operator who may send tags': ({ OperatorRole }) => {
      trustOf(OperatorRole).Action = ['sts:AssumeRole', 'sts:TagSession']
    },
    'an operator from among the tenants': ({ OperatorRole }) => {
      trustOf(OperatorRole).Principal.AWS = [`${ROLE}ApiRole`, `${ROLE}TenantRole`]
    },
    'a second way in': ({ StreamRole }) =>
      StreamRole.Properties.AssumeRolePolicyDocument.Statement.push(BY_TAG),
    'a role that nobody looks at': (resources) => {
      resources.Other = resources.ApiRole
    }
  }
)

/** Every policy of a role: its own, attached ones, and managed ones by ARN. */
function policiesOf (resources: Part, id: string): Part[] {
  const attached = Object.values<Part>(resources).filter(({ Type, Properties }) =>
    Type === 'AWS::IAM::RolePolicy' && Properties.RoleName === `hub-${id}`
  )
  const { Policies = [], ManagedPolicyArns = [] } = resources[id].Properties
  return [...Policies.map((policy: Part) => policy.PolicyDocument),
    ...attached.map(({ Properties }) => Properties.PolicyDocument), ...ManagedPolicyArns]
}

rule(
  "the API's role becomes a tenant, a job about one or the operator, and writes its log; it has no action on the table",
  (resources) =>
    differ(
      'policies',
      policiesOf(resources, 'ApiRole').map((policy) =>
        policy.Statement?.map(({ Action, Resource }: Part) => [Action, Resource]) ?? policy
      ),
      [[[['sts:AssumeRole', 'sts:TagSession'], [`${ROLE}TenantRole`, `${ROLE}JobRole`]], ['sts:AssumeRole',
        `${ROLE}OperatorRole`], [['logs:CreateLogStream', 'logs:PutLogEvents'],
        `arn:aws:logs:eu-west-1:${PSEUDO['AWS::AccountId']}:log-group:hub-ApiLogGroup:*`]]]
    ),
  {
    'an item action': ({ ApiPolicy }) =>
      ApiPolicy.Properties.PolicyDocument.Statement.push({
        Effect: 'Allow',
        Action: ['dynamodb:GetItem'],
        Resource: TABLE_ARN
      }),
    'an inline policy': ({ ApiRole }) => {
      ApiRole.Properties.Policies = [{
        PolicyDocument: { Statement: [{ Effect: 'Allow', Action: 'dynamodb:*', Resource: '*' }] }
      }]
    },
    'a managed policy': ({ ApiRole }) => {
      ApiRole.Properties.ManagedPolicyArns = ['arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess']
    },
    'tags for the operator': ({ ApiPolicy }) => {
      ApiPolicy.Properties.PolicyDocument.Statement[1].Action = ['sts:AssumeRole', 'sts:TagSession']
    },
    'any role to assume': ({ ApiPolicy }) => {
      ApiPolicy.Properties.PolicyDocument.Statement[0].Resource = '*'
    }
  }
)

const list = (value: Part): string[] => value === undefined ? [] : [value].flat()
function statements (part: Part): Part[] {
  if (typeof part !== 'object' || part === null) return []
  return [...Array.isArray(part.Statement) ? part.Statement : [], ...Object.values(part).flatMap(statements)]
}

rule('nothing is allowed with a wildcard, but the streams of a log group that Lambda names', (resources) => [
  ...statements(resources).filter(({ Effect }) => Effect !== 'Deny').flatMap((
    { Action, Resource, NotAction, NotResource, NotPrincipal, Principal }
  ) => [
    ...list(Action).filter((action) => action.includes('*')),
    // Logs knows no other way: a stream's ARN ends with a name that Lambda makes up.
    ...list(Resource).filter((resource) =>
      /[*?]/.test(resource.replace(/^(arn:aws:logs:[^*?]+:log-group:[^*?:]+):\*$/, '$1'))
    ),
    ...[NotAction, NotResource, NotPrincipal].filter((not) => not !== undefined),
    ...[Principal, Principal?.AWS].includes('*') ? ['a principal'] : []
  ]),
  // SAM's shorthands would attach AWS's own policies, which are full of them.
  ...Object.values<Part>(resources).flatMap((
    { Type, Properties }
  ) => [...Type === 'AWS::Serverless::Function' &&
      (Properties.Role === undefined || Properties.Policies !== undefined)
    ? ["a function with SAM's role"]
    : [], ...list(Properties.ManagedPolicyArns)]
  )
], {
  'an action': ({ ApiPolicy }) => {
    ApiPolicy.Properties.PolicyDocument.Statement[0].Action = ['sts:*']
  },
  'a resource': ({ PreTokenRole }) => {
    PreTokenRole.Properties.Policies[0].PolicyDocument.Statement[0].Resource = '*'
  },
  'all log groups': ({ PreTokenRole }) => {
    PreTokenRole.Properties.Policies[0].PolicyDocument.Statement[0].Resource =
      'arn:aws:logs:eu-west-1:123456789012:log-group:*:*'
  },
  'an allow by NotAction': (resources) => {
    tenantStatements(resources)[3].Effect = 'Allow'
  },
  'a role by SAM': ({ ApiFunction }) => {
    delete ApiFunction.Properties.Role
  },
  'a trust in everyone': ({ TenantRole }) => {
    TenantRole.Properties.AssumeRolePolicyDocument.Statement[0].Principal = { AWS: '*' }
  }
})

t.test("the authorizer's role writes its log, and is there only with the authorizer", async (t) => {
  const { AuthorizerRole, ...resources } = render(template, { Authorizer: 'request' }).Resources
  t.strictSame([policiesOf({ ...resources, AuthorizerRole }, 'AuthorizerRole'),
    AuthorizerRole.Properties.AssumeRolePolicyDocument.Statement], [[{
    Version: '2012-10-17',
    Statement: [{
      Sid: 'Log',
      Effect: 'Allow',
      Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      Resource: `arn:aws:logs:eu-west-1:${PSEUDO['AWS::AccountId']}:log-group:hub-AuthorizerLogGroup:*`
    }]
  }], [BY_LAMBDA]])
  t.equal(resources.AuthorizerFunction.Properties.Role, `${ROLE}AuthorizerRole`)
  t.strictSame(
    Object.keys(resources).sort().filter((id) => resources[id].Type === 'AWS::IAM::Role'),
    Object.keys(TRUST).sort(),
    'no other role comes with it'
  )
})
