import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import t from 'tap'
import { ConfigError, loadConfig, type Config } from '../src/config.ts'
import { startHub } from './harness/hub.ts'
import { breached, differ, rendered, rule, template } from './harness/rule.ts'
import { PSEUDO, render, type Part } from '../src/local/iam/template.ts'

/** The API of template.yaml, its functions and its two ways to look at tokens, as rendered. */

/** The deployment whose authorizer is a function. */
const withRequest = (parameters = {}): Part =>
  render(template, { Authorizer: 'request', ...parameters }).Resources
/** As `rule`, for that deployment. */
function requestRule (
  title: string,
  check: (resources: Part) => unknown[],
  breaches: Readonly<Record<string, (resources: Part) => unknown>>
): void {
  t.test(title, async (t) => {
    t.strictSame(check(withRequest()), [])
    for (const [name, breach] of Object.entries(breaches)) {
      const resources = withRequest()
      breach(resources)
      t.not(check(resources).length, 0, `notices: ${name}`)
    }
  })
}

const ofType = (resources: Part, type: string) =>
  Object.entries<Part>(resources).filter(([, { Type }]) => Type === type)
const ACCOUNT = PSEUDO['AWS::AccountId']!
const POOL = `https://cognito-idp.eu-west-1.amazonaws.com/${PSEUDO['AWS::Region']}_UserPool`
const POOL_ENTRY = {
  issuer: POOL,
  jwksUri: `${POOL}/.well-known/jwks.json`,
  clientIds: ['hub-UserPoolClient'],
  tokenUse: 'access',
  tenant: { claim: 'custom:tenant_id' }
}
const read = (file: string) => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')

// ---- Functions

requestRule(
  'every function runs on arm64 and Node.js 24, and every log ends in a group that forgets',
  (resources) => {
    const groups = ofType(resources, 'AWS::Logs::LogGroup')
    return [
      ...ofType(resources, 'AWS::Lambda::Function').map(([id]) =>
        `${id} is not SAM's, so nothing here looks at it`
      ),
      ...ofType(resources, 'AWS::Serverless::Function').flatMap((
        [id, { Properties: { Architectures, Runtime, LoggingConfig } }]
      ) => [...differ(id, [Architectures, Runtime], [['arm64'], 'nodejs24.x']), ...groups.some(([group]) =>
          LoggingConfig?.LogGroup === `hub-${group}` && group === id.replace('Function', 'LogGroup')
        )
        ? []
        : [`${id} has no log group of its own`]]
      ),
      ...groups.flatMap(([id, { Properties }]) =>
        Number(Properties?.RetentionInDays) > 0 ? [] : [`${id} keeps logs for ever`]
      )
    ]
  },
  {
    'another architecture': ({ PreTokenFunction }) => {
      delete PreTokenFunction.Properties.Architectures
    },
    'another runtime': ({ ApiFunction }) => {
      ApiFunction.Properties.Runtime = 'nodejs20.x'
    },
    'a log group that Lambda makes': ({ ApiFunction }) => {
      delete ApiFunction.Properties.LoggingConfig
    },
    "an authorizer that logs into the hub's": ({ AuthorizerFunction }) => {
      AuthorizerFunction.Properties.LoggingConfig.LogGroup = 'hub-ApiLogGroup'
    },
    'logs for ever': ({ AccessLogGroup }) => {
      delete AccessLogGroup.Properties.RetentionInDays
    },
    "an authorizer's logs for ever": ({ AuthorizerLogGroup }) => {
      delete AuthorizerLogGroup.Properties.RetentionInDays
    }
  }
)

requestRule(
  "the functions' code and handlers are what the build makes",
  ({ ApiFunction, AuthorizerFunction }) =>
    [ApiFunction, AuthorizerFunction].flatMap(({ Properties: { CodeUri, Handler } }) => {
      const build = read('scripts/build.ts')
      const outdir = /rename\(out, '([^']+)'\)/.exec(build)?.[1]
      const entries = [.../entryPoints: \[([^\]]+)\]/.exec(build)![1]!.matchAll(/'([^']+)\.ts'/g)].map((
        [, entry]
      ) => entry!)
      const entry = entries.find((file) => basename(file) === Handler.split('.')[0])
      // Lambda finds a module without its extension only as .js, .mjs or .cjs.
      const exported = entry !== undefined &&
        new RegExp(`^export (?:const|async function) ${Handler.split('.')[1]} `, 'm').test(
          read(`${entry}.ts`)
        )
      return [...differ('code', CodeUri, `${outdir}/`),
        ...exported && build.includes("'.js': '.mjs'") ? [] : [`${Handler} is not made by the build`]]
    }),
  {
    'another folder': ({ ApiFunction }) => {
      ApiFunction.Properties.CodeUri = 'build/'
    },
    'another file': ({ ApiFunction }) => {
      ApiFunction.Properties.Handler = 'index.handler'
    },
    'another export': ({ ApiFunction }) => {
      ApiFunction.Properties.Handler = 'lambda.main'
    },
    'an authorizer that is not made': ({ AuthorizerFunction }) => {
      AuthorizerFunction.Properties.Handler = 'authorize.handler'
    }
  }
)

/** The environment as Lambda sets it: dynamic references resolved, and what the runtime adds. */
function environment ({ ApiFunction, HubSecret }: Part): Record<string, string> {
  const { Variables } = ApiFunction.Properties.Environment
  const secret = 's'.repeat(HubSecret.Properties.GenerateSecretString.PasswordLength)
  const reference =
    `{{resolve:secretsmanager:arn:aws:secretsmanager:eu-west-1:${ACCOUNT}:secret:hub-HubSecret:SecretString}}`
  return {
    ...Variables,
    HUB_SECRET: Variables.HUB_SECRET === reference ? secret : '',
    AWS_REGION: PSEUDO['AWS::Region'],
    AWS_LAMBDA_FUNCTION_NAME: 'hub'
  }
}

/**
 * What a function makes of its environment, with the names that it asked for; the complaint where it takes
 * none.
 */
function configOf (
  environment: Record<string, string>
): { config: Config, asked: Set<string | symbol> } | string {
  const asked = new Set<string | symbol>()
  try {
    return {
      config: loadConfig(
        new Proxy(environment, {
          get: (env, name) => {
            asked.add(name)
            return Reflect.get(env, name) as string
          }
        })
      ),
      asked
    }
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
}

rule(
  "the hub takes the function's environment, knows every name of it, and is not in local mode",
  (resources) => {
    const read = configOf(environment(resources))
    if (typeof read === 'string') return [read]
    const { config, asked } = read
    const names = Object.keys(resources.ApiFunction.Properties.Environment.Variables)
    return [...names.filter((name) => !asked.has(name)).map((name) => `${name} is read by nobody`),
      ...names.filter((name) => /^(?:AWS|LAMBDA|_)/.test(name)).map((name) => `${name} is Lambda's own`),
      ...differ('config', [config.local, config.table, config.dynamodbEndpoint, config.trustProxy], [false,
        'hub-Table', undefined, 0]),
      ...differ('roles', [config.tenantRoleArn, config.operatorRoleArn], [
        `arn:aws:iam::${ACCOUNT}:role/hub-TenantRole`,
        `arn:aws:iam::${ACCOUNT}:role/hub-OperatorRole`
      ]), ...differ(
        'address',
        config.publicUrl,
        'https://hub-httpapi.execute-api.eu-west-1.amazonaws.com'
      ), ...differ('issuers', config.issuers, [POOL_ENTRY]), ...differ(
        'sign-in',
        config.oauthDomain,
        `https://${resources.UserPoolDomain.Properties.Domain}.auth.eu-west-1.amazoncognito.com`
      )]
  },
  {
    'a misspelt name': ({ ApiFunction }) => {
      ApiFunction.Properties.Environment.Variables.LOGLEVEL = 'info'
    },
    'a reserved name': ({ ApiFunction }) => {
      ApiFunction.Properties.Environment.Variables.AWS_REGION = 'eu-west-1'
    },
    'no table': ({ ApiFunction }) => {
      delete ApiFunction.Properties.Environment.Variables.TABLE_NAME
    },
    'no operator role': ({ ApiFunction }) => {
      delete ApiFunction.Properties.Environment.Variables.OPERATOR_ROLE_ARN
    },
    "a tenant's role for the operator": ({ ApiFunction }) => {
      ApiFunction.Properties.Environment.Variables.OPERATOR_ROLE_ARN =
        ApiFunction.Properties.Environment.Variables.TENANT_ROLE_ARN
    },
    'no tenant role': ({ ApiFunction }) => {
      delete ApiFunction.Properties.Environment.Variables.TENANT_ROLE_ARN
    },
    'broken issuers': ({ ApiFunction }) => {
      ApiFunction.Properties.Environment.Variables.ISSUERS += ']'
    },
    'a store on a desk': ({ ApiFunction }) => {
      ApiFunction.Properties.Environment.Variables.DYNAMODB_ENDPOINT = 'http://127.0.0.1:8000'
    },
    'addresses that a caller makes up': ({ ApiFunction }) => {
      ApiFunction.Properties.Environment.Variables.TRUST_PROXY = '1'
    },
    'no address of its own': ({ ApiFunction }) => {
      delete ApiFunction.Properties.Environment.Variables.PUBLIC_URL
    },
    'a secret in the template': ({ ApiFunction }) => {
      ApiFunction.Properties.Environment.Variables.HUB_SECRET = 's'.repeat(64)
    },
    'a short secret': ({ HubSecret }) => {
      HubSecret.Properties.GenerateSecretString.PasswordLength = 16
    }
  }
)

// ---- The API

const routesOfApi = (resources: Part): Part[] =>
  ofType(resources, 'AWS::ApiGatewayV2::Route').map(([, { Properties }]) => Properties)
const permits = (resources: Part, permission: string, id: string, source: string) =>
  differ(permission, resources[permission]?.Properties, {
    FunctionName: `hub-${id}`,
    Action: 'lambda:InvokeFunction',
    Principal: 'apigateway.amazonaws.com',
    SourceArn: `arn:aws:execute-api:eu-west-1:${ACCOUNT}:hub-HttpApi/${source}`
  })

rule(
  'every route leads to the hub, in the format with the raw query string, and only this API may call it',
  (
    resources
  ) => [
    ...routesOfApi(resources).filter(({ ApiId, Target }) =>
      ApiId !== 'hub-HttpApi' || Target !== 'integrations/hub-ApiIntegration'
    ),
    ...differ('integration', resources.ApiIntegration.Properties, {
      ApiId: 'hub-HttpApi',
      IntegrationType: 'AWS_PROXY',
      IntegrationUri: `arn:aws:lambda:eu-west-1:${ACCOUNT}:function:hub-ApiFunction`,
      PayloadFormatVersion: '2.0'
    }),
    ...permits(resources, 'ApiPermission', 'ApiFunction', '*')
  ],
  {
    'the old format': ({ ApiIntegration }) => {
      ApiIntegration.Properties.PayloadFormatVersion = '1.0'
    },
    'a route to elsewhere': ({ HealthRoute }) => {
      HealthRoute.Properties.Target = 'integrations/hub-Other'
    },
    'another API': ({ HubRoute }) => {
      HubRoute.Properties.ApiId = 'other'
    },
    'any API as the caller': ({ ApiPermission }) => {
      delete ApiPermission.Properties.SourceArn
    },
    'no caller at all': (resources) => {
      delete resources.ApiPermission
    }
  }
)

const authorizersOf = (resources: Part) =>
  ofType(resources, 'AWS::ApiGatewayV2::Authorizer').map(([id, { Properties }]) => [id, Properties])
const HEADER = ['$request.header.Authorization']

rule(
  'where API Gateway looks at tokens itself, it takes those of the one pool that the hub takes',
  (resources) => {
    const { HubRoute, ApiFunction } = resources
    const [{ issuer, clientIds }, ...more] = JSON.parse(ApiFunction.Properties.Environment.Variables.ISSUERS)
    return [...more, ...differ('authorizer', authorizersOf(resources), [['JwtAuthorizer', {
      ApiId: 'hub-HttpApi',
      Name: 'jwt',
      AuthorizerType: 'JWT',
      IdentitySource: HEADER,
      JwtConfiguration: { Issuer: issuer, Audience: clientIds }
    }]]),
      ...differ('route', [HubRoute.Properties.AuthorizationType, HubRoute.Properties.AuthorizerId], ['JWT',
        'hub-JwtAuthorizer'])]
  },
  {
    'no authorizer': ({ HubRoute }) => {
      delete HubRoute.Properties.AuthorizerId
    },
    'no authorization': ({ HubRoute }) => {
      HubRoute.Properties.AuthorizationType = 'NONE'
    },
    'another audience': ({ JwtAuthorizer }) => {
      JwtAuthorizer.Properties.JwtConfiguration.Audience = ['other']
    },
    'an issuer that it does not know': ({ ApiFunction }) => {
      ApiFunction.Properties.Environment.Variables.ISSUERS = JSON.stringify([POOL_ENTRY, {
        ...POOL_ENTRY,
        issuer: 'https://example.com'
      }])
    }
  }
)

requestRule(
  'where a function looks at tokens, API Gateway keeps its answer under the header that it looks at, for a minute',
  (resources) => [...differ('authorizer', authorizersOf(resources), [['RequestAuthorizer', {
    ApiId: 'hub-HttpApi',
    Name: 'request',
    AuthorizerType: 'REQUEST',
    IdentitySource: HEADER,
    AuthorizerResultTtlInSeconds: 60,
    AuthorizerPayloadFormatVersion: '2.0',
    EnableSimpleResponses: true,
    AuthorizerUri:
      `arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:${ACCOUNT}:function:hub-AuthorizerFunction/invocations`
  }]]),
    ...differ('route', [resources.HubRoute.Properties.AuthorizationType,
      resources.HubRoute.Properties.AuthorizerId], ['CUSTOM', 'hub-RequestAuthorizer']),
    ...permits(resources, 'AuthorizerPermission', 'AuthorizerFunction', 'authorizers/hub-RequestAuthorizer')],
  {
    'no authorizer': ({ HubRoute }) => {
      delete HubRoute.Properties.AuthorizerId
    },
    'no authorization': ({ HubRoute }) => {
      HubRoute.Properties.AuthorizationType = 'NONE'
    },
    'an answer kept under something else': ({ RequestAuthorizer }) => {
      RequestAuthorizer.Properties.IdentitySource = ['$context.identity.sourceIp']
    },
    'policies for answers': ({ RequestAuthorizer }) => {
      delete RequestAuthorizer.Properties.EnableSimpleResponses
    },
    'the old format': ({ RequestAuthorizer }) => {
      RequestAuthorizer.Properties.AuthorizerPayloadFormatVersion = '1.0'
    },
    'an answer kept for an hour': ({ RequestAuthorizer }) => {
      RequestAuthorizer.Properties.AuthorizerResultTtlInSeconds = 3600
    },
    'nobody who may call it': (resources) => {
      delete resources.AuthorizerPermission
    },
    'any API as the caller': ({ AuthorizerPermission }) => {
      delete AuthorizerPermission.Properties.SourceArn
    }
  }
)

// Lambda adds the region and the name.
const authorizerEnvironment = (
  { ApiFunction, AuthorizerFunction, ...resources }: Part
): Record<string, string> => ({
  ...AuthorizerFunction.Properties.Environment.Variables,
  HUB_SECRET: environment({ ...resources, ApiFunction: AuthorizerFunction }).HUB_SECRET!,
  AWS_REGION: PSEUDO['AWS::Region'],
  AWS_LAMBDA_FUNCTION_NAME: 'hub'
})

requestRule(
  'the authorizer trusts whom the hub trusts, and knows its device tokens; it has no table and no role to become, and is not in local mode',
  (resources) => {
    const [authorizer, hub] = [configOf(authorizerEnvironment(resources)), configOf(environment(resources))]
    if (typeof authorizer === 'string' || typeof hub === 'string') return [authorizer, hub]
    const { config, asked } = authorizer
    const { Variables } = resources.AuthorizerFunction.Properties.Environment
    return [
      ...Object.keys(Variables).filter((name) => !asked.has(name)).map((name) => `${name} is read by nobody`),
      ...differ('issuers', config.issuers, hub.config.issuers),
      ...differ('secret', config.secret, hub.config.secret),
      ...differ('config', [config.local, config.table, config.dynamodbEndpoint, config.tenantRoleArn,
        config.operatorRoleArn], [false, 'none', 'http://127.0.0.1', undefined, undefined])
    ]
  },
  {
    'another issuer': ({ AuthorizerFunction }) => {
      AuthorizerFunction.Properties.Environment.Variables.ISSUERS = JSON.stringify([{
        ...POOL_ENTRY,
        issuer: 'https://example.com'
      }])
    },
    'another tenant rule': ({ AuthorizerFunction }) => {
      AuthorizerFunction.Properties.Environment.Variables.ISSUERS = JSON.stringify([{
        ...POOL_ENTRY,
        tenant: { sub: true }
      }])
    },
    'no issuers': ({ AuthorizerFunction }) => {
      delete AuthorizerFunction.Properties.Environment.Variables.ISSUERS
    },
    'nothing at all': ({ AuthorizerFunction }) => {
      AuthorizerFunction.Properties.Environment.Variables = {}
    },
    'the table': ({ AuthorizerFunction }) => {
      AuthorizerFunction.Properties.Environment.Variables.TABLE_NAME = 'hub-Table'
    },
    'the tenant role': ({ ApiFunction, AuthorizerFunction }) => {
      AuthorizerFunction.Properties.Environment.Variables = {
        ...ApiFunction.Properties.Environment.Variables
      }
    },
    'another secret': ({ AuthorizerFunction }) => {
      AuthorizerFunction.Properties.Environment.Variables.HUB_SECRET = 's'.repeat(64)
    }
  }
)

t.test('issuers that are given are those of the hub and of the authorizer, word for word', async (t) => {
  const given = [{
    issuer: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab12',
    clientIds: ['a'],
    tenant: { fixed: 'acme' }
  }, { issuer: 'https://id.example.com/', clientIds: ['b'], tenant: { sub: true } }]
  const resources = withRequest({ Issuers: JSON.stringify(given) })
  for (const { Properties } of [resources.ApiFunction, resources.AuthorizerFunction]) {
    t.equal(Properties.Environment.Variables.ISSUERS, JSON.stringify(given))
  }
  t.match(configOf(authorizerEnvironment(resources)), { config: { issuers: given } })
  const pattern = new RegExp(template.Parameters.Issuers.AllowedPattern)
  for (const good of ['', JSON.stringify(given), JSON.stringify(given, undefined, 2)]) t.match(good, pattern)
  for (const bad of ['[]', '{}', 'https://id.example.com', ' ']) t.notMatch(bad, pattern)
})

t.test('the API asks for a token on exactly the routes on which the hub does', async (t) => {
  const { app, anyone } = await startHub(t, { corsOrigins: ['https://app.example.com'] })
  const routes = routesOf(app.printRoutes({ commonPrefix: false })).filter(({ method }) =>
    method !== 'OPTIONS'
  )
  t.ok(
    routes.some(({ path }) => path === '/v1/bookmarks/:id') &&
      routes.some(({ path }) => path === '/docs/static/index.html'),
    'all routes are there'
  )
  for (const route of routes) {
    route.isPublic = (await anyone.request(route.method, route.path.replace(/:\w+|\*/g, 'x'))).status !== 401
  }

  const check = (resources: Part) => {
    const [open, closed] = [
      routesOfApi(resources).filter(({ AuthorizationType = 'NONE' }) => AuthorizationType === 'NONE'),
      routesOfApi(resources).filter(({ AuthorizerId }) => AuthorizerId !== undefined)
    ]
    const opened = open.map(({ RouteKey }) => RouteKey.split(' ') as [string, string]).filter(([method]) =>
      method !== 'OPTIONS'
    ).map(([method, path]) => ({
      method,
      path,
      pattern: new RegExp(`^${path?.replaceAll('.', '\\.').replace('{proxy+}', '.+')}/?$`)
    }))
    return [...opened.filter(({ method }) => method !== 'ANY'),
      ...differ('the rest', closed.map(({ RouteKey }) => RouteKey), ['$default']),
      ...routes.filter(({ path, isPublic }) => isPublic !== opened.some(({ pattern }) => pattern.test(path))),
      ...opened.filter(({ pattern }) => !routes.some(({ path, isPublic }) => isPublic && pattern.test(path)))]
  }
  t.strictSame(check(rendered.Resources), [])
  t.strictSame(check(withRequest()), [], 'with either authorizer')
  const breaches: Record<string, (resources: Part) => void> = {
    'a public route behind the authorizer': ({ HubRoute, LimitsRoute }) => {
      Object.assign(LimitsRoute.Properties, {
        AuthorizationType: 'JWT',
        AuthorizerId: HubRoute.Properties.AuthorizerId
      })
    },
    'a public route that is missing': (all) => {
      delete all.DocsFilesRoute
    },
    'a public route for one method': ({ DocsRoute }) => {
      DocsRoute.Properties.RouteKey = 'GET /docs'
    },
    "a tenant's route without it": ({ LimitsRoute }) => {
      LimitsRoute.Properties.RouteKey = 'ANY /v1/{proxy+}'
    },
    'a route that the hub does not have': ({ HealthRoute }) => {
      HealthRoute.Properties.RouteKey = 'ANY /status'
    },
    'the rest without it': ({ HubRoute }) => {
      HubRoute.Properties = { ...HubRoute.Properties, AuthorizationType: 'NONE', AuthorizerId: undefined }
    }
  }
  for (const [name, breach] of Object.entries(breaches)) {
    t.not(check(breached(breach)).length, 0, `notices: ${name}`)
  }

  for (const { path } of routes) {
    const { status, text } = await anyone.request('OPTIONS', path, undefined, {
      origin: 'https://app.example.com',
      'access-control-request-method': 'GET'
    })
    t.strictSame(
      [status, text],
      [204, ''],
      `what goes before a cross-origin ${path} needs no token and tells nothing`
    )
  }
})

t.test('what the API answers itself a web app can read: its CORS headers are those of the hub', async (t) => {
  const origins = ['https://app.example.com', 'https://other.example.com']
  const { app } = await startHub(t, { corsOrigins: origins })
  const asked = await app.inject({
    method: 'OPTIONS',
    url: '/v1/sync',
    headers: { origin: origins[0], 'access-control-request-method': 'POST' }
  })
  const answered = await app.inject({ url: '/health', headers: { origin: origins[0] } })
  const listed = (header: unknown) => String(header).split(/, */)
  const headers = ['authorization', 'content-type', 'idempotency-key', 'if-match', 'if-none-match',
    'last-event-id', 'x-request-id']
  const wanted = {
    AllowOrigins: origins,
    AllowMethods: listed(asked.headers['access-control-allow-methods']),
    AllowHeaders: headers,
    ExposeHeaders: listed(answered.headers['access-control-expose-headers']),
    MaxAge: 600
  }
  const { HttpApi } = render(template, { CorsOrigins: origins.join(',') }).Resources
  t.strictSame(HttpApi.Properties.CorsConfiguration, wanted)
  t.notOk('CorsConfiguration' in rendered.Resources.HttpApi.Properties, 'and none where there are no origins')

  const taken = new Set(
    Object.values<Part>(JSON.parse(read('openapi.json')).paths).flatMap((methods: Part) =>
      Object.values<Part>(methods).flatMap(({ parameters = [] }) =>
        parameters.filter((parameter: Part) => parameter.in === 'header').map(({ name }: Part) =>
          name.toLowerCase()
        )
      )
    )
  )
  t.strictSame(
    [...taken].filter((name) => !headers.includes(name as string)),
    [],
    'no header of a route is missing'
  )
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
