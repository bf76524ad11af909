/**
 * Makes one component of what a document says several times: schemas that have a title, and parameters, headers and
 * responses that occur more than once. The routes keep their schemas whole, which is what requests are checked by.
 */

type Json = Record<string, unknown>
type Kind = 'schemas' | 'parameters' | 'headers' | 'responses'

/** Of one schema there may be two that differ in a word: the document would say one of them for both. */
export class AmbiguousName extends Error {}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const pascal = (name: string) =>
  name.replace(/(?:^|[^A-Za-z0-9]+)([a-z0-9])/gi, (_, first: string) => first.toUpperCase())

/** @returns the document with components and references to them @throws AmbiguousName naming the title */
export function withComponents (document: Json): Json {
  const components: Record<Kind, Map<string, string>> = {
    schemas: new Map(),
    parameters: new Map(),
    headers: new Map(),
    responses: new Map()
  }

  /** Keeps a part under a name. @returns a reference to it */
  const refer = (kind: Kind, name: string, part: Json): Json => {
    const text = JSON.stringify(part)
    const before = components[kind].get(name)
    if (before !== undefined && before !== text) {
      throw new AmbiguousName(`Two different ${kind} are called ${name}: ${before} and ${text}`)
    }
    components[kind].set(name, text)
    return { $ref: `#/components/${kind}/${name}` }
  }

  const schemasOf = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(schemasOf)
    if (!isObject(value)) return value
    const part = Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [key, isData(key) ? inner : schemasOf(inner)])
    )
    const { title, ...rest } = part
    if (typeof title !== 'string' || !isSchema(part)) return part
    return refer('schemas', title, discriminated(rest))
  }
  const paths = schemasOf(document.paths) as Json
  const counts = occurrences(paths)

  /** A name for a part: that of the parameter, with a number where several parts have it. */
  const named = new Map<string, string>()
  const nameOf = (kind: Kind, name: string, text: string): string => {
    const known = named.get(`${kind} ${text}`)
    if (known !== undefined) return known
    const taken = new Set([...named].filter(([key]) => key.startsWith(`${kind} `)).map(([, value]) => value))
    let free = name
    for (let n = 2; taken.has(free); n++) free = `${name}${n}`
    named.set(`${kind} ${text}`, free)
    return free
  }
  const share = (kind: Kind, name: string, part: unknown): unknown => {
    if (!isObject(part) || '$ref' in part) return part
    const text = JSON.stringify(part)
    return (counts.get(text) ?? 0) < 2 ? part : refer(kind, nameOf(kind, pascal(name), text), part)
  }

  for (const operation of Object.values(paths).flatMap((path) => Object.values(path as Json) as Json[])) {
    operation.parameters = (operation.parameters as Json[] | undefined)?.map((parameter) =>
      share('parameters', String(parameter.name), parameter)
    )
    if (operation.parameters === undefined) delete operation.parameters
    const responses = operation.responses as Record<string, Json>
    for (const [status, response] of Object.entries(responses)) {
      const whole = share('responses', responseName(status, response), response)
      if (whole !== response) responses[status] = whole as Json
      else if (isObject(response.headers)) response.headers = sharedHeaders(response.headers, share)
    }
  }
  for (const [name, text] of components.responses) {
    const response = JSON.parse(text) as Json
    if (isObject(response.headers)) response.headers = sharedHeaders(response.headers, share)
    components.responses.set(name, JSON.stringify(response))
  }
  return {
    ...document,
    components: {
      ...document.components as Json,
      ...Object.fromEntries(
        Object.entries(components).map(([kind, parts]) => [kind, Object.fromEntries(
          [...parts].sort(([one], [other]) => one.localeCompare(other)).map((
            [name, text]
          ) => [name, JSON.parse(text) as Json])
        )])
      )
    },
    paths
  }
}

const sharedHeaders = (headers: Json, share: (kind: Kind, name: string, part: unknown) => unknown): Json =>
  Object.fromEntries(Object.entries(headers).map(([name, header]) => [name, share('headers', name, header)]))

function responseName (status: string, { content = {} }: Json): string {
  const [type] = Object.values(content as Record<string, { schema?: { $ref?: string } }>)
  const [schema] = (type?.schema?.$ref ?? '').split('/').slice(-1)
  return schema === 'Problem' ? `Problem${status}` : `Answer${status}${schema}`
}

/** How often each parameter, header and response occurs, by its text. */
function occurrences (paths: Json): Map<string, number> {
  const counts = new Map<string, number>()
  const count = (part: unknown) => {
    const text = JSON.stringify(part)
    counts.set(text, (counts.get(text) ?? 0) + 1)
  }
  for (const operation of Object.values(paths).flatMap((path) => Object.values(path as Json) as Json[])) {
    for (const parameter of operation.parameters as Json[] ?? []) count(parameter)
    for (const response of Object.values(operation.responses as Record<string, Json>)) {
      count(response)
      for (const header of Object.values(response.headers as Json ?? {})) count(header)
    }
  }
  return counts
}

/** What stands under these is no schema, whatever it looks like. */
const isData = (key: string) => ['example', 'examples', 'default', 'const', 'enum'].includes(key)
const isSchema = (part: Json) => ['type', 'anyOf', 'oneOf', '$ref'].some((key) => key in part)

/** Generators want to know of each value which schema it stands for; Ajv takes no such mapping. */
function discriminated (schema: Json): Json {
  const { discriminator, oneOf } = schema as { discriminator?: Json, oneOf?: { $ref: string }[] }
  if (discriminator === undefined || oneOf === undefined) return schema
  const mapping = Object.fromEntries(
    oneOf.map(({ $ref }) => [$ref.split('/').at(-1)!.replace(/Change$/, '').toLowerCase(), $ref])
  )
  return { oneOf, discriminator: { ...discriminator, mapping } }
}
