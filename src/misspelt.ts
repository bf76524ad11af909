import { ConfigError, type Env } from './environment.ts'

/** Every variable that the hub reads; a test holds that these are those of .env.example. */
export const VARIABLES: readonly string[] = ['AWS_REGION', 'CORS_ORIGINS', 'DATA_DIR', 'DYNAMODB_ENDPOINT',
  'DYNOXIDE_BIN', 'HOST', 'HUB_SECRET', 'ISSUERS', 'LIMIT_BODY_BYTES', 'LIMIT_CLAIMS_PER_ADDRESS',
  'LIMIT_CONNECTIONS', 'LIMIT_CONNECTIONS_PER_TENANT', 'LIMIT_CONNECTIONS_PER_USER',
  'LIMIT_CONNECTIONS_WAITING', 'LIMIT_EVENT_LOOP_DELAY_MS', 'LIMIT_GROUP_MEMBERS', 'LIMIT_IMPORT_BYTES',
  'LIMIT_MEMORY_BYTES', 'LIMIT_PEOPLE_CHANGES_PER_USER', 'LIMIT_REQUESTS_PER_ADDRESS',
  'LIMIT_REQUESTS_PER_TENANT', 'LIMIT_REQUESTS_RUNNING', 'LIMIT_REQUESTS_RUNNING_PER_TENANT',
  'LIMIT_REQUESTS_WAITING', 'LIMIT_REQUESTS_WAITING_PER_TENANT', 'LIMIT_SESSION_DAYS', 'LIMIT_SETTING_BYTES',
  'LIMIT_SPACE_BYTES', 'LIMIT_SPACE_RECORDS', 'LIMIT_UPLOAD_BYTES_PER_SECOND', 'LOCAL_IAM', 'LOG_LEVEL',
  'OAUTH_DOMAIN', 'OPERATOR_ROLE_ARN', 'PORT', 'PUBLIC_MAX_AGE_SECONDS', 'PUBLIC_URL', 'RETENTION_DAYS',
  'SHUTDOWN_GRACE_SECONDS', 'TABLE_NAME', 'TENANT_ROLE_ARN', 'TRUST_PROXY']

/** Shorter names are within two letters of other programs' variables: LOST, POST, PORTS. */
const SHORTEST = 7

/**
 * Refuses a variable that nothing reads, where it can only be meant for the hub: LIMIT_ and a name that is none,
 * or a close misspelling. A limit that is not applied, or a table that is not used, would show only in use.
 * @throws ConfigError naming the right one
 */
export function assertNoneMisspelt (env: Env): void {
  for (const name of Object.keys(env)) {
    if (VARIABLES.includes(name)) continue
    const closest = closestTo(name)
    if (closest.distance <= 2 && name.length >= SHORTEST) {
      throw new ConfigError(
        `${name} is not a variable of the hub; ${closest.name} is. Rename it, or unset it.`
      )
    }
    if (name.startsWith('LIMIT_')) {
      throw new ConfigError(
        `${name} is not a limit of the hub; the closest is ${closest.name}. Unset it (.env.example lists all limits).`
      )
    }
  }
}

/**
 * Refuses arguments: all that the hub is told is in variables.
 * @throws ConfigError naming the variable
 */
export function assertNoArguments ([argument, value]: readonly string[]): void {
  if (argument === undefined) return
  const [flag, own] = argument.split(/=(.*)/s, 2) as [string, string?]
  const name = flag.replace(/^-+/, '').replaceAll('-', '_').toUpperCase()
  const closest = closestTo(name)
  const known = name.length > 1 && closest.distance <= 2 ? closest.name : undefined
  throw new ConfigError(
    known === undefined
      ? `${argument} is not an option: the hub is set up by environment variables, or by .env (see .env.example).`
      : `${flag} is not an option: set ${known}, such as ${known}=${
        own ?? value ?? '...'
      } npm start, or in .env.`
  )
}

function closestTo (name: string): { name: string, distance: number } {
  const upper = name.toUpperCase().slice(0, 100)
  const prefix = upper.startsWith('LIMIT_')
  return VARIABLES.filter((known) => !prefix || known.startsWith('LIMIT_'))
    .map((known) => ({ name: known, distance: distance(upper, known) }))
    .reduce((best, next) => next.distance < best.distance ? next : best)
}

/** Letters to add, drop, change or swap with the next one (optimal string alignment). */
function distance (a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, index) => index)]
  for (let i = 1; i <= a.length; i++) {
    const [above, row] = [rows[i - 1]!, [i]]
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1]
      row[j] = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + (isSame ? 0 : 1))
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (isSwapped) row[j] = Math.min(row[j]!, rows[i - 2]![j - 2]! + 1)
    }
    rows.push(row)
  }
  return rows.at(-1)!.at(-1)!
}
