/** What can stand in an environment variable, each kind with an error that says what it should be. */

export type Env = Readonly<Record<string, string | undefined>>

/** A configuration that cannot work: one sentence that names the variable. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** The names of this machine. */
export const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '::1', '[::1]'])

export const present = (env: Env, name: string) => env[name] === '' ? undefined : env[name]

export function required (env: Env, name: string, what: string): string {
  const value = present(env, name)
  if (value === undefined) throw new ConfigError(`${name} is missing: set it to ${what} (see .env.example).`)
  return value
}

export function origins (env: Env): string[] {
  const list = (present(env, 'CORS_ORIGINS') ?? '').split(',').map((origin) => origin.trim()).filter(Boolean)
  const wrong = list.find((origin) => !isOrigin(origin))
  if (wrong !== undefined) {
    throw new ConfigError(
      `CORS_ORIGINS has "${wrong}"; an origin is a scheme and a host, such as https://app.example, without a slash at the end.`
    )
  }
  return list
}

export function origin (env: Env, name: string): string | undefined {
  // Names of hosts are the same in any case.
  const value = present(env, name)?.toLowerCase()
  if (value !== undefined && !(isOrigin(value) && /^https?:/.test(value))) {
    throw new ConfigError(
      `${name} is "${value}"; it must be http or https and a host, such as https://hub.example, without a slash at the end.`
    )
  }
  return value
}

const isOrigin = (text: string) => URL.canParse(text) && new URL(text).origin === text

/** An IPv6 address is in brackets in a URL. */
export const hostInUrl = (host: string) => host.includes(':') ? `[${host.replace(/[[\]]/g, '')}]` : host

export function secret (env: Env): string {
  const value = required(env, 'HUB_SECRET', 'at least 32 random characters, the same on every instance')
  if (value.length < 32) {
    throw new ConfigError(`HUB_SECRET has ${value.length} characters; it needs at least 32 random ones.`)
  }
  return value
}

export function integer (env: Env, name: string, fallback: number, min: number, max: number): number {
  const text = present(env, name)
  if (text === undefined) return fallback
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw new ConfigError(`${name} is "${text}"; it must be a whole number from ${min} to ${max}.`)
  }
  return value
}

export function oneOf (env: Env, name: string, values: readonly string[], fallback: string): string {
  const value = present(env, name) ?? fallback
  if (!values.includes(value)) {
    throw new ConfigError(`${name} is "${value}"; it must be one of ${values.join(', ')}.`)
  }
  return value
}

export function matching (env: Env, name: string, pattern: RegExp, what: string): string | undefined {
  const value = present(env, name)
  if (value !== undefined && !pattern.test(value)) {
    throw new ConfigError(`${name} is "${value}"; it must be ${what}.`)
  }
  return value
}

export function url (env: Env, name: string): string | undefined {
  const value = present(env, name)
  if (value !== undefined && !/^https?:\/\/[^/?#]+/.test(value)) {
    throw new ConfigError(`${name} is "${value}"; it must be an http or https URL.`)
  }
  if (value !== undefined && !URL.canParse(value)) {
    throw new ConfigError(`${name} is "${value}"; it must be an http or https URL.`)
  }
  return value
}

export function deepFreeze<T extends object> (value: T): T {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) deepFreeze(part)
  return Object.freeze(value)
}

/** Whether the store is DynamoDB itself, also through an endpoint of its own. */
export function isAws (endpoint: string | undefined): boolean {
  return endpoint === undefined || /\.(?:amazonaws\.com(?:\.cn)?|api\.aws)$/.test(new URL(endpoint).hostname)
}
