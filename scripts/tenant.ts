import { parseArgs } from 'node:util'
import { readArgs } from './arguments.ts'
import { TENANT_STATUSES } from '../entities/tenant.ts'
import { tenants } from '../src/operations/tenants.ts'
import { loadConfig, readEnvFile } from '../src/config.ts'
import { openClient } from '../src/store/client.ts'

const USAGE = `npm run tenant: suspends a tenant, or ends its suspension; every hub follows within 5 seconds

  npm run tenant -- suspend acme                                    in the hub that runs in local mode
  npm run tenant -- resume acme --table hub-Table --region eu-west-1   in AWS, with your own credentials

  --url      the local hub, default http://127.0.0.1:$PORT (3000)
  --table    the DynamoDB table; your credentials need dynamodb:PutItem on its OPS# rows (the OperatorRole has it)
  --region   the table's region, default $AWS_REGION

The hub answers the requests of a suspended tenant with 403 TENANT_SUSPENDED, and keeps its data.`

const { values, positionals: [verb, tenantId] } = readArgs(USAGE, () =>
  parseArgs({
    allowPositionals: true,
    options: {
      url: { type: 'string' },
      table: { type: 'string' },
      region: { type: 'string' },
      help: { type: 'boolean' }
    }
  }))
readEnvFile()
const status = TENANT_STATUSES[['resume', 'suspend'].indexOf(verb ?? '')]

if (values.help === true || status === undefined || tenantId === undefined) {
  console.log(USAGE)
  process.exitCode = values.help === true ? 0 : 2
} else {
  try {
    await (values.table === undefined ? askLocalHub() : writeRow(values.table))
    console.log(`${tenantId} is ${status}`)
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    process.exitCode = 1
  }
}

async function askLocalHub (): Promise<void> {
  const url = values.url ?? `http://127.0.0.1:${process.env.PORT ?? 3000}`
  const response = await fetch(`${url}/local/tenants/${encodeURIComponent(tenantId!)}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ status })
  })
    .catch(() => {
      throw new Error(`No hub answers at ${url}. Start one with: npm start`)
    })
  if (!response.ok) {
    throw new Error(
      `${url} answered ${response.status}: ${
        ((await response.json()) as { detail?: string }).detail ?? 'no reason given'
      }`
    )
  }
}

async function writeRow (table: string): Promise<void> {
  const config = {
    ...loadConfig({}),
    local: false,
    region: values.region ?? process.env.AWS_REGION ?? '',
    dynamodbEndpoint: undefined
  }
  if (config.region === '') throw new Error('Which region? Give --region, or set AWS_REGION.')
  const client = openClient(config)
  try {
    await tenants({ client, table }, Date.now).setStatus(tenantId!, status!)
  } finally {
    client.destroy()
  }
}
