import { readFileSync } from 'node:fs'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { TENANT_SCOPE } from '../src/plugins/openapi/index.ts'
import { TABLE, TTL_ATTRIBUTE } from '../src/store/table.ts'
import { differ, rendered, rule, template } from './harness/rule.ts'
import { loadTemplate, PSEUDO, render, type Part } from '../src/local/iam/template.ts'

// ---- The table

rule('the table is the one that the store code declares', ({ Table: { Properties } }) => {
  const { StreamSpecification, ...declared } = TABLE
  return [...Object.entries(declared).flatMap(([field, wanted]) => differ(field, Properties[field], wanted)),
    ...differ('stream', Properties.StreamSpecification, {
      StreamViewType: StreamSpecification.StreamViewType
    }), ...differ('ttl', Properties.TimeToLiveSpecification, { AttributeName: TTL_ATTRIBUTE, Enabled: true })]
}, {
  'a projection without an attribute': ({ Table }) =>
    Table.Properties.GlobalSecondaryIndexes[1].Projection.NonKeyAttributes.pop(),
  'keys swapped': ({ Table }) => Table.Properties.KeySchema.reverse(),
  'an index missing': ({ Table }) => Table.Properties.GlobalSecondaryIndexes.pop(),
  'provisioned billing': ({ Table }) => {
    Table.Properties.BillingMode = 'PROVISIONED'
  },
  'another ttl attribute': ({ Table }) => {
    Table.Properties.TimeToLiveSpecification.AttributeName = 'expiresAt'
  },
  'a stream of keys only': ({ Table }) => {
    Table.Properties.StreamSpecification.StreamViewType = 'KEYS_ONLY'
  }
})

rule(
  'what cannot be made again outlives the stack, and the table can be restored',
  (
    { Table, HubSecret, UserPool }
  ) => [
    ...[Table, HubSecret, UserPool].flatMap(({ Type, DeletionPolicy, UpdateReplacePolicy }) =>
      differ(Type, [DeletionPolicy, UpdateReplacePolicy], ['Retain', 'Retain'])
    ),
    ...differ('deletion protection', [Table.Properties.DeletionProtectionEnabled,
      UserPool.Properties.DeletionProtection], [true, 'ACTIVE']),
    ...differ('point in time recovery', Table.Properties.PointInTimeRecoverySpecification, {
      PointInTimeRecoveryEnabled: true
    }),
    ...differ('encryption', Table.Properties.SSESpecification, { SSEEnabled: true, SSEType: 'KMS' })
  ],
  {
    'a table that is deleted': ({ Table }) => {
      delete Table.DeletionPolicy
    },
    'a table that is replaced': ({ Table }) => {
      Table.UpdateReplacePolicy = 'Delete'
    },
    'no deletion protection': ({ Table }) => {
      Table.Properties.DeletionProtectionEnabled = false
    },
    'no recovery': ({ Table }) => {
      delete Table.Properties.PointInTimeRecoverySpecification
    },
    'no key of the account': ({ Table }) => {
      Table.Properties.SSESpecification.SSEEnabled = false
    },
    'a secret that is deleted': ({ HubSecret }) => {
      delete HubSecret.DeletionPolicy
    }
  }
)

// ---- The API's limits and log

rule(
  'the API is throttled, and its log has no token, query string or path',
  (
    { ApiStage: { Properties: { ApiId, StageName, AutoDeploy, DefaultRouteSettings, AccessLogSettings } } }
  ) => [...differ('stage', [ApiId, StageName, AutoDeploy], ['hub-HttpApi', '$default', true]),
    ...[DefaultRouteSettings.ThrottlingRateLimit, DefaultRouteSettings.ThrottlingBurstLimit].filter((limit) =>
      !(Number(limit) > 0)
    ),
    ...Object.values<string>(JSON.parse(AccessLogSettings.Format)).filter((variable) =>
      !/^\$context\.(?:requestId|requestTime|identity\.sourceIp|httpMethod|routeKey|status|responseLength|responseLatency|integration\.(?:requestId|status)|(?:error\.message|authorizer\.error))$/
        .test(variable)
    )],
  {
    'no throttling': ({ ApiStage }) => {
      ApiStage.Properties.DefaultRouteSettings = {}
    },
    'a path in the log': ({ ApiStage }) => {
      ApiStage.Properties.AccessLogSettings.Format = '{"path":"$context.path"}'
    },
    'a claim in the log': ({ ApiStage }) => {
      ApiStage.Properties.AccessLogSettings.Format = '{"who":"$context.authorizer.claims.sub"}'
    },
    'a named stage': ({ ApiStage }) => {
      ApiStage.Properties.StageName = 'prod'
    },
    'a stage that stays as it is': ({ ApiStage }) => {
      delete ApiStage.Properties.AutoDeploy
    }
  }
)

// ---- Sign-in

rule(
  'only whoever makes a user says which tenant it is of, and apps sign in by code alone',
  ({ UserPool, UserPoolClient, ResourceServer, PreTokenPermission }) => {
    const [pool, client] = [UserPool.Properties, UserPoolClient.Properties]
    return [...client.WriteAttributes === undefined || client.WriteAttributes.includes('custom:tenant_id')
      ? ['an app can write the tenant']
      : [], ...differ('tenant', pool.Schema.find(({ Name }: Part) => Name === 'tenant_id')?.Mutable, false),
      ...differ('sign-up', pool.AdminCreateUserConfig, { AllowAdminCreateUserOnly: true }), ...differ(
        'client',
        [client.GenerateSecret, client.AllowedOAuthFlows, client.AllowedOAuthFlowsUserPoolClient,
          client.ExplicitAuthFlows, client.PreventUserExistenceErrors],
        [false, ['code'], true, ['ALLOW_REFRESH_TOKEN_AUTH'], 'ENABLED']
      ), ...differ('scopes', client.AllowedOAuthScopes, ['openid', 'email', 'profile', TENANT_SCOPE]),
      ...differ(
        'scope',
        `${ResourceServer.Properties.Identifier}/${ResourceServer.Properties.Scopes[0].ScopeName}`,
        TENANT_SCOPE
      ),
      ...differ('trigger', [pool.UserPoolTier, pool.LambdaConfig.PreTokenGenerationConfig.LambdaVersion], [
        'ESSENTIALS',
        'V2_0'
      ]),
      ...differ('who calls the trigger', [PreTokenPermission.Properties.FunctionName,
        PreTokenPermission.Properties.Principal, PreTokenPermission.Properties.SourceArn], [
        'hub-PreTokenFunction',
        'cognito-idp.amazonaws.com',
        `arn:aws:cognito-idp:eu-west-1:${PSEUDO['AWS::AccountId']}:userpool/eu-west-1_UserPool`
      ])]
  },
  {
    'a tenant that apps can write': ({ UserPoolClient }) =>
      UserPoolClient.Properties.WriteAttributes.push('custom:tenant_id'),
    'apps that can write everything': ({ UserPoolClient }) => {
      delete UserPoolClient.Properties.WriteAttributes
    },
    'a tenant that changes': ({ UserPool }) => {
      UserPool.Properties.Schema[1].Mutable = true
    },
    'open sign-up': ({ UserPool }) => {
      delete UserPool.Properties.AdminCreateUserConfig
    },
    'the implicit flow': ({ UserPoolClient }) => UserPoolClient.Properties.AllowedOAuthFlows.push('implicit'),
    'another scope': ({ ResourceServer }) => {
      ResourceServer.Properties.Scopes[0].ScopeName = 'all'
    },
    'a trigger that sees only id tokens': ({ UserPool }) => {
      UserPool.Properties.LambdaConfig.PreTokenGenerationConfig.LambdaVersion = 'V1_0'
    },
    'a plan without access tokens': ({ UserPool }) => {
      UserPool.Properties.UserPoolTier = 'LITE'
    },
    'any pool as the caller': ({ PreTokenPermission }) => {
      delete PreTokenPermission.Properties.SourceArn
    }
  }
)

t.test("the pre-token trigger puts the user's tenant, and nothing else, into the access token", async (t) => {
  const exports: { handler?: (event: object) => Promise<Part> } = {}
  runInNewContext(rendered.Resources.PreTokenFunction.Properties.InlineCode, { exports })
  const event = (userAttributes: object) => ({
    version: '2',
    triggerSource: 'TokenGeneration_HostedAuth',
    region: 'eu-west-1',
    userPoolId: 'eu-west-1_Ab',
    userName: 'alice',
    callerContext: { awsSdkVersion: 'x', clientId: 'app' },
    request: {
      userAttributes,
      groupConfiguration: { groupsToOverride: [] },
      scopes: ['openid', TENANT_SCOPE]
    },
    response: { claimsAndScopeOverrideDetails: null }
  })
  const answer = async (attributes: object) => structuredClone(await exports.handler!(event(attributes)))
  const attributes = {
    sub: 'a1',
    email: 'alice@example.com',
    'custom:tenant_id': 'acme',
    'custom:role': 'admin'
  }
  t.strictSame(await answer(attributes), {
    ...event(attributes),
    response: {
      claimsAndScopeOverrideDetails: {
        accessTokenGeneration: { claimsToAddOrOverride: { 'custom:tenant_id': 'acme' } }
      }
    }
  })
  for (const none of [{ sub: 'a1' }, { sub: 'a1', 'custom:tenant_id': '' }]) {
    t.strictSame(await answer(none), event(none), 'a user without a tenant gets none')
  }
})

// ---- Parameters

t.test('every parameter says what it is for, and is used', async (t) => {
  const text = readFileSync('template.yaml', 'utf8')
  for (const [name, { Description }] of Object.entries<Part>(template.Parameters)) {
    t.match(Description, /^[A-Z].{15}/, name)
    t.match(text, new RegExp(`!Ref ${name}\\b|\\$\\{${name}\\}`), `${name} is used`)
  }
})

t.test('a deployment whose authorizer does not know the issuers is refused', async (t) => {
  const refused = (parameters: Record<string, string>) =>
    Object.values<Part>(render(template, parameters).Rules).some(({ RuleCondition, Assertions }) =>
      RuleCondition && Assertions.some(({ Assert }: Part) => !Assert)
    )
  t.equal(refused({}), false)
  t.equal(refused({ Authorizer: 'request' }), false)
  t.equal(refused({ Authorizer: 'request', Issuers: '[{}]' }), false)
  t.equal(refused({ Issuers: '[{}]' }), true)
  t.equal(refused({ Authorizer: 'jwt', Issuers: '[{}]' }), true)
})

// ---- The renderer, on what the template does not have

t.test('the renderer refuses what it cannot render, rather than leave it as it is', async (t) => {
  const file = (text: string) => `${t.testdir({ 'template.yaml': text })}/template.yaml`
  const value = (text: string, parameters = {}) =>
    render(
      loadTemplate(
        file(
          `Parameters: { Stage: { Type: String } }\nConditions: { IsProd: !Equals [!Ref Stage, prod], IsTest: !Not [!Condition IsProd] }\nResources: { A: { Type: X, Condition: IsProd }, B: { Type: AWS::IAM::Role } }\nOutputs: ${text}`
        )
      ),
      parameters
    )
  t.strictSame(
    value(
      '[!If [IsProd, !Ref AWS::NoValue, 1], !Join ["-", [a, !Ref Stage]], !Select [1, !Split [",", "a,b"]], !Sub "${!aws:x} ${Stage} ${B.Arn}"]',
      { Stage: 'prod' }
    ).Outputs,
    ['a-prod', 'b', `\${aws:x} prod arn:aws:iam::123456789012:role/hub-B`]
  )
  t.strictSame(Object.keys(value('{}', { Stage: 'test' }).Resources), ['B'])
  for (
    const bad of ['!Ref Nobody', '!Sub "${Nobody}"', '!GetAtt B.Colour', '!FindInMap [A, B, C]', '!Ref Stage',
      '{ Null: 1 }']
  ) t.throws(() => value(`{ X: ${bad} }`, bad === '!Ref Stage' ? {} : { Stage: 'prod' }), bad)
  t.equal(
    render(template, { LogLevel: 'warn' }, { Table: 'mine' }).Resources.ApiFunction.Properties.Environment
      .Variables.TABLE_NAME,
    'mine',
    'a resource has the name that is given'
  )
})
