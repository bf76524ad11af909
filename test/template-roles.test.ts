import { differ, rule } from './harness/rule.ts'
import { PSEUDO, type Part } from '../src/local/iam/template.ts'

/** What may touch what: the roles of template.yaml, as rendered. */

const ROLE = `arn:aws:iam::${PSEUDO['AWS::AccountId']}:role/hub-`
const TABLE_ARN = `arn:aws:dynamodb:${PSEUDO['AWS::Region']}:${PSEUDO['AWS::AccountId']}:table/hub-Table`
const [BY_TIME, BY_PUBLIC] = [`${TABLE_ARN}/index/gsi1`, `${TABLE_ARN}/index/gsi2`]
const ITEM = ['GetItem', 'BatchGetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem', 'BatchWriteItem', 'ConditionCheckItem'].map((name) => `dynamodb:${name}`)
const OWN = { 'dynamodb:LeadingKeys': ['TENANT#${aws:PrincipalTag/tenant_id}', 'TENANT#${aws:PrincipalTag/tenant_id}#*'] }
const PUBLIC = { 'dynamodb:LeadingKeys': ['PUBLIC#SETTING#*'] }
const OWN_ONLY = { 'ForAllValues:StringLike': OWN, Null: { 'dynamodb:LeadingKeys': 'false', 'aws:PrincipalTag/tenant_id': 'false' } }
// DynamoDB uses the account's key in the caller's name (forward access session), so these denies must let it.
const BUT_TABLE_KEY = { StringNotEquals: { 'kms:ViaService': 'dynamodb.eu-west-1.amazonaws.com' } }
const TENANT_STATEMENTS = [
  { Sid: 'S1OwnRows', Effect: 'Allow', Action: ITEM, Resource: TABLE_ARN, Condition: OWN_ONLY },
  { Sid: 'S2OwnRowsByTime', Effect: 'Allow', Action: ['dynamodb:Query'], Resource: BY_TIME, Condition: OWN_ONLY },
  { Sid: 'S3PublicSettings', Effect: 'Allow', Action: ['dynamodb:Query'], Resource: BY_PUBLIC, Condition: { 'ForAllValues:StringLike': PUBLIC, Null: { 'dynamodb:LeadingKeys': 'false' } } },
  { Sid: 'S4NothingButItems', Effect: 'Deny', NotAction: ITEM, Resource: '*', Condition: BUT_TABLE_KEY },
  { Sid: 'S5NothingWithoutKeys', Effect: 'Deny', Action: ITEM, Resource: '*', Condition: { Null: { 'dynamodb:LeadingKeys': 'true' } } },
  { Sid: 'S6NothingWithoutTenant', Effect: 'Deny', Action: '*', Resource: '*', Condition: { Null: { 'aws:PrincipalTag/tenant_id': 'true' } } },
  { Sid: 'S6NothingWithEmptyTenant', Effect: 'Deny', Action: '*', Resource: '*', Condition: { StringNotLike: { 'aws:PrincipalTag/tenant_id': '?*' } } },
  { Sid: 'S7NoForeignRows', Effect: 'Deny', Action: ITEM, Resource: [TABLE_ARN, BY_TIME], Condition: { 'ForAnyValue:StringNotLike': OWN } },
  { Sid: 'S8NothingElseByPublic', Effect: 'Deny', Action: ITEM, Resource: BY_PUBLIC, Condition: { 'ForAnyValue:StringNotLike': PUBLIC } },
  { Sid: 'S9NothingButTheTable', Effect: 'Deny', Action: '*', NotResource: [TABLE_ARN, BY_TIME, BY_PUBLIC], Condition: BUT_TABLE_KEY }
]
const tenantStatements = (resources: Part) => resources.TenantRole.Properties.Policies[0].PolicyDocument.Statement

rule('the tenant role opens a tenant its own rows and the public index, and nothing else', (resources) => [
  ...tenantStatements(resources).flatMap((statement: Part, index: number) => differ(`statement ${index}`, statement, TENANT_STATEMENTS[index])),
  ...differ('statements', tenantStatements(resources).length, TENANT_STATEMENTS.length),
  ...policiesOf(resources, 'TenantRole').length === 1 ? [] : ['more than one policy']
], {
  'no closing #': (resources) => { tenantStatements(resources)[0].Condition['ForAllValues:StringLike']['dynamodb:LeadingKeys'][1] = 'TENANT#${aws:PrincipalTag/tenant_id}*' },
  'Scan added': (resources) => tenantStatements(resources)[0].Action.push('dynamodb:Scan'),
  'ForAnyValue in an allow': (resources) => { const { Condition } = tenantStatements(resources)[1]; Condition['ForAnyValue:StringLike'] = Condition['ForAllValues:StringLike']; delete Condition['ForAllValues:StringLike'] },
  'a dropped Null': (resources) => { delete tenantStatements(resources)[0].Condition.Null },
  'a dropped deny': (resources) => { tenantStatements(resources).pop() },
  'a second policy': ({ TenantRole }) => { TenantRole.Properties.ManagedPolicyArns = ['arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess'] }
})

rule('only the API\'s role can become a tenant, and only with the one tag', ({ TenantRole }) => differ('trust', TenantRole.Properties.AssumeRolePolicyDocument.Statement, [{
  Effect: 'Allow',
  Principal: { AWS: `${ROLE}ApiRole` },
  Action: ['sts:AssumeRole', 'sts:TagSession'],
  Condition: { Null: { 'aws:RequestTag/tenant_id': 'false' }, StringLike: { 'aws:RequestTag/tenant_id': '?*' }, 'ForAllValues:StringEquals': { 'aws:TagKeys': ['tenant_id'] } }
}]), {
  'the account as principal': ({ TenantRole }) => { TenantRole.Properties.AssumeRolePolicyDocument.Statement[0].Principal.AWS = '123456789012' },
  'an empty tag': ({ TenantRole }) => { TenantRole.Properties.AssumeRolePolicyDocument.Statement[0].Condition.StringLike['aws:RequestTag/tenant_id'] = '*' },
  'more tags': ({ TenantRole }) => { delete TenantRole.Properties.AssumeRolePolicyDocument.Statement[0].Condition['ForAllValues:StringEquals'] }
})

/** Every policy of a role: its own, attached ones, and managed ones by ARN. */
function policiesOf (resources: Part, id: string): Part[] {
  const attached = Object.values<Part>(resources).filter(({ Type, Properties }) => Type === 'AWS::IAM::RolePolicy' && Properties.RoleName === `hub-${id}`)
  const { Policies = [], ManagedPolicyArns = [] } = resources[id].Properties
  return [...Policies.map((policy: Part) => policy.PolicyDocument), ...attached.map(({ Properties }) => Properties.PolicyDocument), ...ManagedPolicyArns]
}

rule('the API\'s role becomes a tenant and writes its log; it has no action on the table', (resources) => differ('policies', policiesOf(resources, 'ApiRole').map((policy) => policy.Statement?.map(({ Action, Resource }: Part) => [Action, Resource]) ?? policy), [[
  [['sts:AssumeRole', 'sts:TagSession'], `${ROLE}TenantRole`],
  [['logs:CreateLogStream', 'logs:PutLogEvents'], `arn:aws:logs:eu-west-1:${PSEUDO['AWS::AccountId']}:log-group:hub-ApiLogGroup:*`]
]]), {
  'an item action': ({ ApiPolicy }) => ApiPolicy.Properties.PolicyDocument.Statement.push({ Effect: 'Allow', Action: ['dynamodb:GetItem'], Resource: TABLE_ARN }),
  'an inline policy': ({ ApiRole }) => { ApiRole.Properties.Policies = [{ PolicyDocument: { Statement: [{ Effect: 'Allow', Action: 'dynamodb:*', Resource: '*' }] } }] },
  'a managed policy': ({ ApiRole }) => { ApiRole.Properties.ManagedPolicyArns = ['arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess'] },
  'any role to assume': ({ ApiPolicy }) => { ApiPolicy.Properties.PolicyDocument.Statement[0].Resource = '*' }
})

const list = (value: Part): string[] => value === undefined ? [] : [value].flat()
function statements (part: Part): Part[] {
  if (typeof part !== 'object' || part === null) return []
  return [...Array.isArray(part.Statement) ? part.Statement : [], ...Object.values(part).flatMap(statements)]
}

rule('nothing is allowed with a wildcard, but the streams of a log group that Lambda names', (resources) => [
  ...statements(resources).filter(({ Effect }) => Effect !== 'Deny').flatMap(({ Action, Resource, NotAction, NotResource, NotPrincipal, Principal }) => [
    ...list(Action).filter((action) => action.includes('*')),
    // Logs knows no other way: a stream's ARN ends with a name that Lambda makes up.
    ...list(Resource).filter((resource) => /[*?]/.test(resource.replace(/^(arn:aws:logs:[^*?]+:log-group:[^*?:]+):\*$/, '$1'))),
    ...[NotAction, NotResource, NotPrincipal].filter((not) => not !== undefined),
    ...[Principal, Principal?.AWS].includes('*') ? ['a principal'] : []
  ]),
  // SAM's shorthands would attach AWS's own policies, which are full of them.
  ...Object.values<Part>(resources).flatMap(({ Type, Properties }) => [...Type === 'AWS::Serverless::Function' && (Properties.Role === undefined || Properties.Policies !== undefined) ? ['a function with SAM\'s role'] : [], ...list(Properties.ManagedPolicyArns)])
], {
  'an action': ({ ApiPolicy }) => { ApiPolicy.Properties.PolicyDocument.Statement[0].Action = ['sts:*'] },
  'a resource': ({ PreTokenRole }) => { PreTokenRole.Properties.Policies[0].PolicyDocument.Statement[0].Resource = '*' },
  'all log groups': ({ PreTokenRole }) => { PreTokenRole.Properties.Policies[0].PolicyDocument.Statement[0].Resource = 'arn:aws:logs:eu-west-1:123456789012:log-group:*:*' },
  'an allow by NotAction': (resources) => { tenantStatements(resources)[3].Effect = 'Allow' },
  'a role by SAM': ({ ApiFunction }) => { delete ApiFunction.Properties.Role },
  'a trust in everyone': ({ TenantRole }) => { TenantRole.Properties.AssumeRolePolicyDocument.Statement[0].Principal = { AWS: '*' } }
})
