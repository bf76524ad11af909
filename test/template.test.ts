import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { ConfigError, loadConfig } from '../src/config.ts'
import { TENANT_SCOPE } from '../src/plugins/openapi.ts'
import { TABLE, TTL_ATTRIBUTE } from '../src/store/table.ts'
import { startHub } from './harness/hub.ts'
import { breached, differ, rendered, rule, template } from './harness/rule.ts'
import { loadTemplate, PSEUDO, render, type Part } from '../src/local/iam/template.ts'

const ofType = (resources: Part, type: string) => Object.entries<Part>(resources).filter(([, { Type }]) => Type === type)
const read = (file: string) => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')

// ---- The table

rule('the table is the one that the store code declares', ({ Table: { Properties } }) => {
  const { StreamSpecification, ...declared } = TABLE
  return [
    ...Object.entries(declared).flatMap(([field, wanted]) => differ(field, Properties[field], wanted)),
    ...differ('stream', Properties.StreamSpecification, { StreamViewType: StreamSpecification.StreamViewType }),
    ...differ('ttl', Properties.TimeToLiveSpecification, { AttributeName: TTL_ATTRIBUTE, Enabled: true })
  ]
}, {
  'a projection without an attribute': ({ Table }) => Table.Properties.GlobalSecondaryIndexes[1].Projection.NonKeyAttributes.pop(),
  'keys swapped': ({ Table }) => Table.Properties.KeySchema.reverse(),
  'an index missing': ({ Table }) => Table.Properties.GlobalSecondaryIndexes.pop(),
  'provisioned billing': ({ Table }) => { Table.Properties.BillingMode = 'PROVISIONED' },
  'another ttl attribute': ({ Table }) => { Table.Properties.TimeToLiveSpecification.AttributeName = 'expiresAt' },
  'a stream of keys only': ({ Table }) => { Table.Properties.StreamSpecification.StreamViewType = 'KEYS_ONLY' }
})

rule('what cannot be made again outlives the stack, and the table can be restored', ({ Table, HubSecret, UserPool }) => [
  ...[Table, HubSecret, UserPool].flatMap(({ Type, DeletionPolicy, UpdateReplacePolicy }) => differ(Type, [DeletionPolicy, UpdateReplacePolicy], ['Retain', 'Retain'])),
  ...differ('deletion protection', [Table.Properties.DeletionProtectionEnabled, UserPool.Properties.DeletionProtection], [true, 'ACTIVE']),
  ...differ('point in time recovery', Table.Properties.PointInTimeRecoverySpecification, { PointInTimeRecoveryEnabled: true }),
  ...differ('encryption', Table.Properties.SSESpecification, { SSEEnabled: true, SSEType: 'KMS' })
], {
  'a table that is deleted': ({ Table }) => { delete Table.DeletionPolicy },
  'a table that is replaced': ({ Table }) => { Table.UpdateReplacePolicy = 'Delete' },
  'no deletion protection': ({ Table }) => { Table.Properties.DeletionProtectionEnabled = false },
  'no recovery': ({ Table }) => { delete Table.Properties.PointInTimeRecoverySpecification },
  'no key of the account': ({ Table }) => { Table.Properties.SSESpecification.SSEEnabled = false },
  'a secret that is deleted': ({ HubSecret }) => { delete HubSecret.DeletionPolicy }
})

// ---- Functions

rule('every function runs on arm64 and Node.js 24, and every log ends in a group that forgets', (resources) => {
  const groups = ofType(resources, 'AWS::Logs::LogGroup')
  return [
    ...ofType(resources, 'AWS::Lambda::Function').map(([id]) => `${id} is not SAM's, so nothing here looks at it`),
    ...ofType(resources, 'AWS::Serverless::Function').flatMap(([id, { Properties: { Architectures, Runtime, LoggingConfig } }]) => [
      ...differ(id, [Architectures, Runtime], [['arm64'], 'nodejs24.x']),
      ...groups.some(([group]) => LoggingConfig?.LogGroup === `hub-${group}`) ? [] : [`${id} has no log group of its own`]
    ]),
    ...groups.flatMap(([id, { Properties }]) => Number(Properties?.RetentionInDays) > 0 ? [] : [`${id} keeps logs for ever`])
  ]
}, {
  'another architecture': ({ PreTokenFunction }) => { delete PreTokenFunction.Properties.Architectures },
  'another runtime': ({ ApiFunction }) => { ApiFunction.Properties.Runtime = 'nodejs20.x' },
  'a log group that Lambda makes': ({ ApiFunction }) => { delete ApiFunction.Properties.LoggingConfig },
  'logs for ever': ({ AccessLogGroup }) => { delete AccessLogGroup.Properties.RetentionInDays }
})

rule('the function\'s code and handler are what the build makes', ({ ApiFunction: { Properties: { CodeUri, Handler } } }) => {
  const build = read('scripts/build.ts')
  const outdir = /outdir: '([^']+)'/.exec(build)?.[1]
  const entries = [.../entryPoints: \[([^\]]+)\]/.exec(build)![1]!.matchAll(/'([^']+)\.ts'/g)].map(([, entry]) => entry!)
  const entry = entries.find((file) => basename(file) === Handler.split('.')[0])
  // Lambda finds a module without its extension only as .js, .mjs or .cjs.
  const exported = entry !== undefined && read(`${entry}.ts`).includes(`export const ${Handler.split('.')[1]} =`)
  return [...differ('code', CodeUri, `${outdir}/`), ...exported && build.includes("'.js': '.mjs'") ? [] : [`${Handler} is not made by the build`]]
}, {
  'another folder': ({ ApiFunction }) => { ApiFunction.Properties.CodeUri = 'build/' },
  'another file': ({ ApiFunction }) => { ApiFunction.Properties.Handler = 'index.handler' },
  'another export': ({ ApiFunction }) => { ApiFunction.Properties.Handler = 'lambda.main' }
})

/** The environment as Lambda sets it: dynamic references resolved, and what the runtime adds. */
function environment ({ ApiFunction, HubSecret }: Part): Record<string, string> {
  const { Variables } = ApiFunction.Properties.Environment
  const secret = 's'.repeat(HubSecret.Properties.GenerateSecretString.PasswordLength)
  const reference = `{{resolve:secretsmanager:arn:aws:secretsmanager:eu-west-1:${PSEUDO['AWS::AccountId']}:secret:hub-HubSecret:SecretString}}`
  return { ...Variables, HUB_SECRET: Variables.HUB_SECRET === reference ? secret : '', AWS_REGION: PSEUDO['AWS::Region'], AWS_LAMBDA_FUNCTION_NAME: 'hub' }
}

rule('the hub takes the function\'s environment, knows every name of it, and is not in local mode', (resources) => {
  const asked = new Set<string | symbol>()
  try {
    const config = loadConfig(new Proxy(environment(resources), { get: (env, name) => { asked.add(name); return Reflect.get(env, name) as string } }))
    const names = Object.keys(resources.ApiFunction.Properties.Environment.Variables)
    const issuer = `https://cognito-idp.eu-west-1.amazonaws.com/${PSEUDO['AWS::Region']}_UserPool`
    return [
      ...names.filter((name) => !asked.has(name)).map((name) => `${name} is read by nobody`),
      ...names.filter((name) => /^(?:AWS|LAMBDA|_)/.test(name)).map((name) => `${name} is Lambda's own`),
      ...differ('config', [config.local, config.table, config.tenantRoleArn, config.dynamodbEndpoint, config.trustProxy], [false, 'hub-Table', 'arn:aws:iam::123456789012:role/hub-TenantRole', undefined, 0]),
      ...differ('issuers', config.issuers, [{ issuer, jwksUri: `${issuer}/.well-known/jwks.json`, clientIds: ['hub-UserPoolClient'], tokenUse: 'access', tenant: { claim: 'custom:tenant_id' } }]),
      ...differ('sign-in', config.oauthDomain, `https://${resources.UserPoolDomain.Properties.Domain}.auth.eu-west-1.amazoncognito.com`)
    ]
  } catch (error) {
    if (error instanceof ConfigError) return [error.message]
    throw error
  }
}, {
  'a misspelt name': ({ ApiFunction }) => { ApiFunction.Properties.Environment.Variables.LOGLEVEL = 'info' },
  'a reserved name': ({ ApiFunction }) => { ApiFunction.Properties.Environment.Variables.AWS_REGION = 'eu-west-1' },
  'no table': ({ ApiFunction }) => { delete ApiFunction.Properties.Environment.Variables.TABLE_NAME },
  'no tenant role': ({ ApiFunction }) => { delete ApiFunction.Properties.Environment.Variables.TENANT_ROLE_ARN },
  'broken issuers': ({ ApiFunction }) => { ApiFunction.Properties.Environment.Variables.ISSUERS += ']' },
  'a store on a desk': ({ ApiFunction }) => { ApiFunction.Properties.Environment.Variables.DYNAMODB_ENDPOINT = 'http://127.0.0.1:8000' },
  'addresses that a caller makes up': ({ ApiFunction }) => { ApiFunction.Properties.Environment.Variables.TRUST_PROXY = '1' },
  'a secret in the template': ({ ApiFunction }) => { ApiFunction.Properties.Environment.Variables.HUB_SECRET = 's'.repeat(64) },
  'a short secret': ({ HubSecret }) => { HubSecret.Properties.GenerateSecretString.PasswordLength = 16 }
})

// ---- The API

rule('the API is throttled, and its log has no token, query string or path', ({ HttpApi: { Properties: { StageName, DefaultRouteSettings, AccessLogSettings } } }) => [
  ...differ('stage', StageName, '$default'),
  ...[DefaultRouteSettings.ThrottlingRateLimit, DefaultRouteSettings.ThrottlingBurstLimit].filter((limit) => !(Number(limit) > 0)),
  ...Object.values<string>(JSON.parse(AccessLogSettings.Format)).filter((variable) => !/^\$context\.(?:requestId|requestTime|identity\.sourceIp|httpMethod|routeKey|status|responseLength|responseLatency|integration\.(?:requestId|status)|(?:error\.message|authorizer\.error))$/.test(variable))
], {
  'no throttling': ({ HttpApi }) => { HttpApi.Properties.DefaultRouteSettings = {} },
  'a path in the log': ({ HttpApi }) => { HttpApi.Properties.AccessLogSettings.Format = '{"path":"$context.path"}' },
  'a claim in the log': ({ HttpApi }) => { HttpApi.Properties.AccessLogSettings.Format = '{"who":"$context.authorizer.claims.sub"}' },
  'a named stage': ({ HttpApi }) => { HttpApi.Properties.StageName = 'prod' }
})

rule('the API takes the tokens that the hub takes', ({ HttpApi, ApiFunction }) => {
  const { DefaultAuthorizer, Authorizers } = HttpApi.Properties.Auth
  const [{ issuer, clientIds }] = JSON.parse(ApiFunction.Properties.Environment.Variables.ISSUERS)
  return differ('authorizer', Authorizers[DefaultAuthorizer], { IdentitySource: '$request.header.Authorization', JwtConfiguration: { issuer, audience: clientIds } })
}, {
  'no default authorizer': ({ HttpApi }) => { delete HttpApi.Properties.Auth.DefaultAuthorizer },
  'another audience': ({ HttpApi }) => { HttpApi.Properties.Auth.Authorizers.UserPoolJwt.JwtConfiguration.audience = ['other'] }
})

const events = ({ ApiFunction }: Part) => Object.values<Part>(ApiFunction.Properties.Events).map(({ Properties }) => Properties)

rule('every route is of this API, and hands over the event in the format with the raw query string', (resources) =>
  events(resources).filter(({ ApiId, PayloadFormatVersion = '2.0' }) => ApiId !== 'hub-HttpApi' || PayloadFormatVersion !== '2.0'), {
  'the old format': ({ ApiFunction }) => { ApiFunction.Properties.Events.Hub.Properties.PayloadFormatVersion = '1.0' },
  'an API of SAM\'s own': ({ ApiFunction }) => { delete ApiFunction.Properties.Events.Hub.Properties.ApiId }
})

t.test('the API asks for a token on exactly the routes on which the hub does', async (t) => {
  const { app, anyone } = await startHub(t, { corsOrigins: ['https://app.example.com'] })
  const routes = routesOf(app.printRoutes({ commonPrefix: false })).filter(({ method }) => method !== 'OPTIONS')
  t.ok(routes.some(({ path }) => path === '/v1/bookmarks/:id') && routes.some(({ path }) => path === '/docs/static/index.html'), 'all routes are there')
  for (const route of routes) route.isPublic = (await anyone.request(route.method, route.path.replace(/:\w+|\*/g, 'x'))).status !== 401

  const check = (resources: Part) => {
    const opened = events(resources).filter(({ Auth, Method }) => Auth?.Authorizer === 'NONE' && Method !== 'OPTIONS').map(({ Path }) => ({ Path, pattern: new RegExp(`^${Path.replaceAll('.', '\\.').replace('{proxy+}', '.+')}/?$`) }))
    return [
      ...routes.filter(({ path, isPublic }) => isPublic !== opened.some(({ pattern }) => pattern.test(path))),
      ...opened.filter(({ pattern }) => !routes.some(({ path, isPublic }) => isPublic && pattern.test(path)))
    ]
  }
  t.strictSame(check(rendered.Resources), [])
  const breaches: Record<string, (events: Part) => void> = {
    'a public route behind the authorizer': ({ Limits }) => { delete Limits.Properties.Auth },
    'a public route that is missing': (all) => { delete all.DocsFiles },
    'a tenant\'s route without it': ({ Limits }) => { Limits.Properties.Path = '/v1/{proxy+}' },
    'a route that the hub does not have': ({ Health }) => { Health.Properties.Path = '/status' },
    'the rest without it': ({ Hub }) => { Object.assign(Hub.Properties, { Path: '/{proxy+}', Auth: { Authorizer: 'NONE' } }) }
  }
  for (const [name, breach] of Object.entries(breaches)) t.not(check(breached(({ ApiFunction }) => breach(ApiFunction.Properties.Events))).length, 0, `notices: ${name}`)

  for (const { path } of routes) {
    const { status, text } = await anyone.request('OPTIONS', path, undefined, { origin: 'https://app.example.com', 'access-control-request-method': 'GET' })
    t.strictSame([status, text], [204, ''], `what goes before a cross-origin ${path} needs no token and tells nothing`)
  }
})

/** The routes of Fastify's printed tree, in which each line is the rest of its parent's path. */
function routesOf (tree: string): { method: string, path: string, isPublic: boolean }[] {
  const parents: string[] = []
  return tree.split('\n').flatMap((line) => {
    const [, indent, rest, methods] = /^((?:│ {3}| {4})*)[├└]── (\S+) \(([A-Z, ]+)\)$/.exec(line) ?? []
    if (indent === undefined) return []
    const depth = indent.length / 4
    parents.splice(depth, Infinity, `${parents[depth - 1] ?? ''}${rest}`)
    return methods!.split(', ').map((method) => ({ method, path: parents[depth]!, isPublic: false }))
  })
}

// ---- Sign-in

rule('only whoever makes a user says which tenant it is of, and apps sign in by code alone', ({ UserPool, UserPoolClient, ResourceServer, PreTokenPermission }) => {
  const [pool, client] = [UserPool.Properties, UserPoolClient.Properties]
  return [
    ...client.WriteAttributes === undefined || client.WriteAttributes.includes('custom:tenant_id') ? ['an app can write the tenant'] : [],
    ...differ('tenant', pool.Schema.find(({ Name }: Part) => Name === 'tenant_id')?.Mutable, false),
    ...differ('sign-up', pool.AdminCreateUserConfig, { AllowAdminCreateUserOnly: true }),
    ...differ('client', [client.GenerateSecret, client.AllowedOAuthFlows, client.AllowedOAuthFlowsUserPoolClient, client.ExplicitAuthFlows, client.PreventUserExistenceErrors], [false, ['code'], true, ['ALLOW_REFRESH_TOKEN_AUTH'], 'ENABLED']),
    ...differ('scopes', client.AllowedOAuthScopes, ['openid', 'email', 'profile', TENANT_SCOPE]),
    ...differ('scope', `${ResourceServer.Properties.Identifier}/${ResourceServer.Properties.Scopes[0].ScopeName}`, TENANT_SCOPE),
    ...differ('trigger', [pool.UserPoolTier, pool.LambdaConfig.PreTokenGenerationConfig.LambdaVersion], ['ESSENTIALS', 'V2_0']),
    ...differ('who calls the trigger', [PreTokenPermission.Properties.FunctionName, PreTokenPermission.Properties.Principal, PreTokenPermission.Properties.SourceArn], ['hub-PreTokenFunction', 'cognito-idp.amazonaws.com', `arn:aws:cognito-idp:eu-west-1:${PSEUDO['AWS::AccountId']}:userpool/eu-west-1_UserPool`])
  ]
}, {
  'a tenant that apps can write': ({ UserPoolClient }) => UserPoolClient.Properties.WriteAttributes.push('custom:tenant_id'),
  'apps that can write everything': ({ UserPoolClient }) => { delete UserPoolClient.Properties.WriteAttributes },
  'a tenant that changes': ({ UserPool }) => { UserPool.Properties.Schema[1].Mutable = true },
  'open sign-up': ({ UserPool }) => { delete UserPool.Properties.AdminCreateUserConfig },
  'the implicit flow': ({ UserPoolClient }) => UserPoolClient.Properties.AllowedOAuthFlows.push('implicit'),
  'another scope': ({ ResourceServer }) => { ResourceServer.Properties.Scopes[0].ScopeName = 'all' },
  'a trigger that sees only id tokens': ({ UserPool }) => { UserPool.Properties.LambdaConfig.PreTokenGenerationConfig.LambdaVersion = 'V1_0' },
  'a plan without access tokens': ({ UserPool }) => { UserPool.Properties.UserPoolTier = 'LITE' },
  'any pool as the caller': ({ PreTokenPermission }) => { delete PreTokenPermission.Properties.SourceArn }
})

t.test('the pre-token trigger puts the user\'s tenant, and nothing else, into the access token', async (t) => {
  const exports: { handler?: (event: object) => Promise<Part> } = {}
  runInNewContext(rendered.Resources.PreTokenFunction.Properties.InlineCode, { exports })
  const event = (userAttributes: object) => ({
    version: '2', triggerSource: 'TokenGeneration_HostedAuth', region: 'eu-west-1', userPoolId: 'eu-west-1_Ab', userName: 'alice', callerContext: { awsSdkVersion: 'x', clientId: 'app' },
    request: { userAttributes, groupConfiguration: { groupsToOverride: [] }, scopes: ['openid', TENANT_SCOPE] }, response: { claimsAndScopeOverrideDetails: null }
  })
  const answer = async (attributes: object) => structuredClone(await exports.handler!(event(attributes)))
  const attributes = { sub: 'a1', email: 'alice@example.com', 'custom:tenant_id': 'acme', 'custom:role': 'admin' }
  t.strictSame(await answer(attributes), { ...event(attributes), response: { claimsAndScopeOverrideDetails: { accessTokenGeneration: { claimsToAddOrOverride: { 'custom:tenant_id': 'acme' } } } } })
  for (const none of [{ sub: 'a1' }, { sub: 'a1', 'custom:tenant_id': '' }]) t.strictSame(await answer(none), event(none), 'a user without a tenant gets none')
})

// ---- The renderer, on what the template does not have

t.test('the renderer refuses what it cannot render, rather than leave it as it is', async (t) => {
  const file = (text: string) => `${t.testdir({ 'template.yaml': text })}/template.yaml`
  const value = (text: string, parameters = {}) => render(loadTemplate(file(`Parameters: { Stage: { Type: String } }\nConditions: { IsProd: !Equals [!Ref Stage, prod], IsTest: !Not [!Condition IsProd] }\nResources: { A: { Type: X, Condition: IsProd }, B: { Type: AWS::IAM::Role } }\nOutputs: ${text}`)), parameters)
  t.strictSame(value('[!If [IsProd, !Ref AWS::NoValue, 1], !Join ["-", [a, !Ref Stage]], !Select [1, !Split [",", "a,b"]], !Sub "${!aws:x} ${Stage} ${B.Arn}"]', { Stage: 'prod' }).Outputs, ['a-prod', 'b', `\${aws:x} prod arn:aws:iam::123456789012:role/hub-B`])
  t.strictSame(Object.keys(value('{}', { Stage: 'test' }).Resources), ['B'])
  for (const bad of ['!Ref Nobody', '!Sub "${Nobody}"', '!GetAtt B.Colour', '!FindInMap [A, B, C]', '!Ref Stage', '{ Null: 1 }']) t.throws(() => value(`{ X: ${bad} }`, bad === '!Ref Stage' ? {} : { Stage: 'prod' }), bad)
  t.equal(render(template, { LogLevel: 'warn' }, { Table: 'mine' }).Resources.ApiFunction.Properties.Environment.Variables.TABLE_NAME, 'mine', 'a resource has the name that is given')
})
