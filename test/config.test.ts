import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { parseEnv, promisify } from 'node:util'
import t from 'tap'
import { loadConfig, readEnvFile } from '../src/config.ts'
import { assertNoArguments, VARIABLES } from '../src/misspelt.ts'

const issuer = {
  issuer: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab',
  clientIds: ['c1'],
  tenant: { claim: 'custom:tenant_id' }
}
const production = {
  TABLE_NAME: 'hub',
  AWS_REGION: 'eu-west-1',
  TENANT_ROLE_ARN: 'arn:aws:iam::123456789012:role/hub-tenant',
  OPERATOR_ROLE_ARN: 'arn:aws:iam::123456789012:role/hub-operator',
  HUB_SECRET: 'x'.repeat(32),
  ISSUERS: JSON.stringify([issuer])
}
const withIssuer = (changes: object) => ({
  ...production,
  ISSUERS: JSON.stringify([{ ...issuer, ...changes }])
})

t.test('with nothing set it is local mode, with everything production', (t) => {
  t.match(loadConfig({}), {
    local: true,
    host: '127.0.0.1',
    port: 3000,
    publicUrl: 'http://127.0.0.1:3000',
    dataDir: '.data',
    limits: { requestsPerTenant: 0 }
  })
  const config = loadConfig({
    ...production,
    PORT: '8080',
    HOST: '0.0.0.0',
    CORS_ORIGINS: 'https://a.example, https://b.example',
    TRUST_PROXY: '1'
  })
  t.match(config, {
    local: false,
    port: 8080,
    corsOrigins: ['https://a.example', 'https://b.example'],
    trustProxy: 1,
    issuers: [{ ...issuer, tokenUse: 'access', jwksUri: `${issuer.issuer}/.well-known/jwks.json` }]
  })
  t.throws(
    () => {
      ;(config.limits as { bodyBytes: number }).bodyBytes = 1
    },
    TypeError,
    'and frozen'
  )
  t.equal(
    loadConfig({
      ...production,
      TENANT_ROLE_ARN: '',
      OPERATOR_ROLE_ARN: '',
      DYNAMODB_ENDPOINT: 'http://dynamodb:8000'
    }).tenantRoleArn,
    undefined
  )
  t.strictSame(loadConfig(withIssuer({ tenant: { fixed: 'acme' }, tokenUse: 'id' })).issuers[0]?.tenant, {
    fixed: 'acme'
  })
  t.strictSame(loadConfig(withIssuer({ tenant: { sub: true } })).issuers[0]?.tenant, { sub: true })
  t.end()
})

t.test('the address that answers name is the configured one', (t) => {
  t.equal(loadConfig({ HOST: '::1', PORT: '8080' }).publicUrl, 'http://[::1]:8080')
  t.equal(loadConfig(production).publicUrl, undefined)
  t.equal(loadConfig({ ...production, PUBLIC_URL: 'https://hub.example' }).publicUrl, 'https://hub.example')
  for (const wrong of ['hub.example', 'https://hub.example/', 'ftp://hub.example', 'https://a@hub.example']) {
    t.throws(() => loadConfig({ ...production, PUBLIC_URL: wrong }), /^PUBLIC_URL is "/, wrong)
  }
  t.end()
})

t.test('what is missing or wrong is named in one sentence', (t) => {
  const cases: [string, Record<string, string | undefined>, RegExp][] = [['TABLE_NAME', {
    ...production,
    TABLE_NAME: undefined
  }, /^TABLE_NAME is missing/], ['ISSUERS', { ...production, ISSUERS: undefined }, /^ISSUERS is missing/], [
    'AWS_REGION',
    { ...production, AWS_REGION: '' },
    /^AWS_REGION is missing/
  ], ['TENANT_ROLE_ARN', { ...production, TENANT_ROLE_ARN: undefined }, /^TENANT_ROLE_ARN is missing/], [
    'TENANT_ROLE_ARN',
    { ...production, TENANT_ROLE_ARN: 'role' },
    /^TENANT_ROLE_ARN is "role"; it must be an IAM role ARN/
  ], ['OPERATOR_ROLE_ARN', { ...production, OPERATOR_ROLE_ARN: undefined },
    /^TENANT_ROLE_ARN and OPERATOR_ROLE_ARN go together/], ['OPERATOR_ROLE_ARN', {
    ...production,
    OPERATOR_ROLE_ARN: 'role'
  }, /^OPERATOR_ROLE_ARN is "role"; it must be an IAM role ARN/], ['HUB_SECRET', {
    ...production,
    HUB_SECRET: undefined
  }, /^HUB_SECRET is missing/], ['HUB_SECRET', { ...production, HUB_SECRET: 'short' },
    /^HUB_SECRET has 5 characters/], ['PORT', { PORT: '0' },
    /^PORT is "0"; it must be a whole number from 1 to 65535/], ['PORT', { PORT: '1e3' }, /^PORT/], [
    'LOG_LEVEL',
    { LOG_LEVEL: 'loud' },
    /^LOG_LEVEL is "loud"; it must be one of trace/
  ], ['TRUST_PROXY', { ...production, TRUST_PROXY: 'yes' }, /^TRUST_PROXY/], ['CORS_ORIGINS', {
    CORS_ORIGINS: 'https://app.example/'
  }, /^CORS_ORIGINS has "https:\/\/app\.example\/"/], ['TENANT_ROLE_ARN', {
    ...production,
    TENANT_ROLE_ARN: undefined,
    DYNAMODB_ENDPOINT: 'https://dynamodb.eu-west-1.amazonaws.com'
  }, /^TENANT_ROLE_ARN is missing/], ['LIMIT_SPACE_RECORDS', { LIMIT_SPACE_RECORDS: '-1' },
    /^LIMIT_SPACE_RECORDS/], ['DYNAMODB_ENDPOINT', { ...production, DYNAMODB_ENDPOINT: 'localhost:8000' },
    /^DYNAMODB_ENDPOINT/], ['DYNAMODB_ENDPOINT', { ...production, DYNAMODB_ENDPOINT: 'http://[' },
    /^DYNAMODB_ENDPOINT/], ['ISSUERS', { ...production, ISSUERS: 'x' }, /^ISSUERS must be a JSON array/], [
    'ISSUERS',
    { ...production, ISSUERS: '[]' },
    /^ISSUERS must be a JSON array/
  ], ['ISSUERS', { ...production, ISSUERS: '[1]' }, /^ISSUERS\[0\] must be an object/], ['ISSUERS', {
    ...production,
    ISSUERS: JSON.stringify([issuer, issuer])
  }, /^ISSUERS names .* twice/], ['issuer', withIssuer({ issuer: 'http://idp.example' }),
    /^ISSUERS\[0\]\.issuer must be an https URL/], ['issuer', withIssuer({ issuer: 5 }),
    /^ISSUERS\[0\]\.issuer/], ['jwksUri', withIssuer({ jwksUri: 'ftp://x' }), /^ISSUERS\[0\]\.jwksUri/], [
    'clientIds',
    withIssuer({ clientIds: [] }),
    /^ISSUERS\[0\]\.clientIds/
  ], ['clientIds', withIssuer({ clientIds: [''] }), /^ISSUERS\[0\]\.clientIds/], ['tokenUse',
    withIssuer({ tokenUse: 'refresh' }), /^ISSUERS\[0\]\.tokenUse/], ['tenant',
    withIssuer({ tenant: undefined }), /^ISSUERS\[0\]\.tenant/], ['tenant',
    withIssuer({ tenant: { fixed: 'acme', sub: true } }), /^ISSUERS\[0\]\.tenant/], ['tenant',
    withIssuer({ tenant: { fixed: 'Not A Tenant' } }), /^ISSUERS\[0\]\.tenant/], ['tenant',
    withIssuer({ tenant: { any: true } }), /^ISSUERS\[0\]\.tenant/], ['a stray property',
    withIssuer({ tennant: {} }), /^ISSUERS\[0\]\.tennant is not known/]]
  for (const [name, env, message] of cases) {
    t.throws(() => loadConfig(env), { name: 'ConfigError', message }, name)
  }
  t.end()
})

t.test("local mode can't be switched on in production by accident", (t) => {
  const cases = [{ HOST: '0.0.0.0' }, { HOST: '10.0.0.1' }, {
    DYNAMODB_ENDPOINT: 'https://dynamodb.eu-west-1.amazonaws.com'
  }, { TENANT_ROLE_ARN: production.TENANT_ROLE_ARN }, { AWS_LAMBDA_FUNCTION_NAME: 'f' }, {
    HUB_SECRET: production.HUB_SECRET
  }, { OAUTH_DOMAIN: 'https://auth.example.com' }, { TRUST_PROXY: '1' }]
  for (const env of cases) t.throws(() => loadConfig(env), { name: 'ConfigError' }, Object.keys(env).join())
  for (
    const env of [{ HOST: 'localhost' }, { HOST: '::1' }, { DYNAMODB_ENDPOINT: 'http://localhost:8000' }]
  ) t.equal(loadConfig(env).local, true)
  t.end()
})

t.test('.env.example as it is means local mode, with its defaults', async (t) => {
  const example = parseEnv(await readFile('.env.example', 'utf8')) as Record<string, string>
  t.strictSame(loadConfig(example), loadConfig({}))
  t.strictSame(Object.keys(example).sort(), [...VARIABLES].sort(), 'and the hub knows its names')
  t.equal(example.HOST, '', 'a container listens where its image says')
})

t.test('.env is read, and what is set wins', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'sync-hub-test-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  const { PORT, TRUST_PROXY } = process.env
  t.teardown(() => {
    for (const [name, value] of Object.entries({ PORT, TRUST_PROXY })) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  })
  process.env.PORT = '4001'
  delete process.env.TRUST_PROXY
  await writeFile(join(dir, '.env'), 'PORT=4002\nTRUST_PROXY=0\n')
  readEnvFile(join(dir, '.env'))
  readEnvFile(join(dir, 'none'))
  t.strictSame([process.env.PORT, process.env.TRUST_PROXY], ['4001', '0'])
})

t.test('the image listens on all addresses unless HOST names one', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'sync-hub-test-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  await writeFile(join(dir, 'node'), '#!/bin/sh\necho "$HOST $*"\n')
  await chmod(join(dir, 'node'), 0o755)
  const [, command] = /^CMD (.*)$/m.exec(await readFile('Dockerfile', 'utf8'))!
  const [file, ...args] = JSON.parse(command!) as [string, ...string[]]
  const said = async (env: Record<string, string>) => {
    const { stdout } = await promisify(execFile)(file, args, {
      env: { PATH: `${dir}${delimiter}${process.env.PATH}`, ...env }
    })
    return stdout
  }
  t.equal(await said({}), '0.0.0.0 --enable-source-maps dist/server.mjs\n')
  t.equal(await said({ HOST: '' }), '0.0.0.0 --enable-source-maps dist/server.mjs\n')
  t.match(await said({ HOST: '127.0.0.1' }), /^127\.0\.0\.1 /)
})

t.test('a misspelt variable or a flag is named with the right one', (t) => {
  for (
    const [wrong, right] of [['TABLE_NMAE', 'TABLE_NAME'], ['TABLENAME', 'TABLE_NAME'], ['ISSUERS_',
      'ISSUERS'], ['HUB_SECRETS', 'HUB_SECRET'], ['CORS_ORIGIN', 'CORS_ORIGINS'], ['data_dir', 'DATA_DIR'], [
      'LIMIT_SETTINGS_BYTES',
      'LIMIT_SETTING_BYTES'
    ], ['LIMIT_RECORDS', 'LIMIT_SPACE_RECORDS']] as const
  ) {
    t.throws(() => loadConfig({ [wrong]: '' }), {
      name: 'ConfigError',
      message: new RegExp(`^${wrong} is not a .* ${right}`)
    })
  }
  const others = ['HOME', 'POST', 'HOSTNAME', 'PORTS', 'AWS_DEFAULT_REGION', 'AWS_PROFILE', 'NODE_ENV',
    'HUB_SERVICE_HOST', 'HUB_PORT', 'TABLE', 'LOGNAME', 'LANGUAGE', 'TERM_PROGRAM']
  t.doesNotThrow(
    () => loadConfig(Object.fromEntries(others.map((name) => [name, 'x']))),
    "others' are theirs"
  )
  t.doesNotThrow(() => assertNoArguments([]))
  t.throws(() => assertNoArguments(['--port', '4000']), {
    message: /^--port is not an option: set PORT, such as PORT=4000 /
  })
  t.throws(() => assertNoArguments(['--data-dir=x']), { message: /set DATA_DIR, such as DATA_DIR=x / })
  t.throws(() => assertNoArguments(['serve', '--port']), {
    message: /^serve is not an option: .*\.env\.example/
  })
  t.end()
})
