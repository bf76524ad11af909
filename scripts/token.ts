import { parseArgs } from 'node:util'
import { readEnvFile } from '../src/config.ts'
import { readArgs } from './arguments.ts'

const USAGE = `npm run -s token: prints an access token of the hub that runs in local mode

  npm run -s token -- [--tenant acme] [--user alice] [--role admin ...]

  --tenant   default "default"      --url   the hub, default http://127.0.0.1:$PORT (3000)
  --user     default "demo"         --id    print the id token instead
  --role     may be repeated`

const { values } = readArgs(USAGE, () =>
  parseArgs({
    options: {
      tenant: { type: 'string' },
      user: { type: 'string' },
      role: { type: 'string', multiple: true },
      url: { type: 'string' },
      id: { type: 'boolean' },
      help: { type: 'boolean' }
    }
  }))
readEnvFile()
if (values.help === true) {
  console.log(USAGE)
} else {
  const url = values.url ?? `http://127.0.0.1:${process.env.PORT ?? 3000}`
  const body = JSON.stringify({ tenant: values.tenant, user: values.user, roles: values.role })
  const response = await fetch(`${url}/local/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body
  }).catch(() => undefined)
  const answer = await response?.json() as
    | { access_token?: string, id_token?: string, detail?: string }
    | undefined
  const token = values.id === true ? answer?.id_token : answer?.access_token
  if (token === undefined) {
    console.error(
      response === undefined
        ? `No hub answers at ${url}. Start one with: npm start`
        : `${url} gave no token: ${answer?.detail ?? response.status}`
    )
    process.exitCode = 1
  } else {
    console.log(token)
  }
}
