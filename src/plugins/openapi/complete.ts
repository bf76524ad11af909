/** What the routes do not say of themselves, because it is the same for all of them, or follows from what they say. */

type Json = Record<string, unknown>
interface Parameter {
  name: string
  readonly in: string
}
interface Body {
  description?: string
  content: Record<string, { schema: Json, example?: unknown }>
}
interface Operation {
  operationId?: string
  parameters?: Parameter[]
  requestBody?: Body
  'x-request-body'?: Partial<Body>
  responses: Record<string, { description: string, headers?: Json, content?: Body['content'] }>
}
type Paths = Record<string, Record<string, Operation>>

const INT32 = 2 ** 31 - 1
const GROUP = '/v1/groups/{groupId}'

const text = (description: string) => ({ description, schema: { type: 'string' } })
const number = (description: string) => ({ description, schema: { type: 'integer', format: 'int64' } })
const HEADERS = {
  'X-Request-Id': text('The request id: the one that you sent, or one that the hub made'),
  ETag: text('The entity tag: the revision of the record in quotes. Send it as If-Match or If-None-Match'),
  Location: text('The path of the new resource'),
  'Retry-After': number('Seconds to wait before you send the request again'),
  'WWW-Authenticate': text('With 401: what is wrong with the token'),
  Allow: text('With 405: the methods that the path supports'),
  RateLimit: text('The limit that is nearest, what is left of it, and the seconds until it resets'),
  'RateLimit-Policy': text('The limit, and the seconds that it counts for'),
  Link: text('Where to continue instead'),
  'Content-Disposition': text('The name of the file')
}
/** What plugins/services.ts takes as a key. */
const KEY = { type: 'string', pattern: '^[\\x21-\\x7e]{1,255}$' }
const headers = (...names: (keyof typeof HEADERS)[]): Json =>
  Object.fromEntries(names.map((name) => [name, HEADERS[name]]))

/** Of a limit only where there is one. */
const ALWAYS = ['X-Request-Id', 'RateLimit', 'RateLimit-Policy'] as const
const PROBLEM_HEADERS = {
  '4XX': headers(
    'X-Request-Id',
    'Retry-After',
    'WWW-Authenticate',
    'Allow',
    'RateLimit',
    'RateLimit-Policy',
    'Link'
  ),
  '5XX': headers(...ALWAYS, 'Retry-After')
}
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  200: 'Done',
  201: 'Created',
  204: 'Done. The answer has no body'
}

/** Completes the operations of a document. @param problems the answers that every operation may give */
export function complete (given: Paths, described: Record<string, Operation['responses'][string]>): Paths {
  const paths = plain(given) as Paths
  const problems = Object.fromEntries(
    Object.entries(described).map((
      [status, problem]
    ) => [status.toUpperCase(), plain(problem) as typeof problem])
  )
  const whole = Object.fromEntries(
    Object.entries(paths).map(([path, operations]) => [path, Object.fromEntries(
      Object.entries(operations).map(([method, operation]) => [method, {
        ...operation,
        ...inGroup(path, operation, paths),
        ...operation.parameters && { parameters: operation.parameters.map(canonical) },
        ...bodyOf(operation),
        responses: answersOf(method, operation, problems)
      }])
    )])
  )
  for (const operation of Object.values(whole).flatMap((operations) => Object.values(operations))) {
    delete operation['x-request-body']
  }
  return whole
}

/** What is in a group has the name of what is in the personal space, and says where it is: `listGroupBookmarks`. */
function inGroup (path: string, { operationId }: Operation, paths: Paths): Pick<Operation, 'operationId'> {
  if (operationId === undefined) return {}
  const isTwin = path.startsWith(`${GROUP}/`) &&
    Object.values(paths[path.replace(GROUP, '/v1')] ?? {}).some((twin) => twin.operationId === operationId)
  return { operationId: isTwin ? operationId.replace(/^[a-z]+/, (verb) => `${verb}Group`) : operationId }
}

/** Headers are read in any case, and written as RFCs do. */
function canonical (parameter: Parameter): Parameter {
  if (parameter.in !== 'header') return parameter
  const name = parameter.name.replace(/(?:^|-)[a-z]/g, (first) => first.toUpperCase()).replace(/-Id$/, '-ID')
  return { ...parameter, name, ...name === 'Idempotency-Key' && { schema: KEY } }
}

/** The example of a body stands beside its schema, where pages that try requests look for it. */
function bodyOf ({ requestBody, 'x-request-body': files }: Operation): Pick<Operation, 'requestBody'> {
  if (files === undefined && requestBody === undefined) return {}
  const body: Body = { content: {}, ...requestBody, ...files }
  const content = Object.fromEntries(
    Object.entries(body.content).map(([type, { schema, ...rest }]) => {
      const { examples, ...plain } = schema as { examples?: unknown[] }
      return [type, { schema: plain, ...examples && { example: examples[0] }, ...rest }]
    })
  )
  const description = body.description ??
    Object.values(body.content).map(({ schema }) => schema.description).find((text) =>
      typeof text === 'string'
    )
  return { requestBody: { ...body, ...description !== undefined && { description }, content } }
}

function answersOf (
  method: string,
  { operationId, parameters = [], responses }: Operation,
  problems: Operation['responses']
): Operation['responses'] {
  const described = Object.entries(responses).map(([status, response]) => {
    const { content, ...rest } = response
    const schema = content?.['application/json']?.schema as { properties?: Json } | undefined
    const { rev, session } = schema?.properties ?? {}
    return [status, {
      ...rest,
      ...rest.description === 'Default Response' && { description: DESCRIPTIONS[status] ?? 'Done' },
      headers: headers(
        ...ALWAYS,
        ...rev === undefined ? [] : ['ETag' as const],
        ...status === '201' && (rev ?? session) !== undefined ? ['Location' as const] : [],
        .../^export/.test(operationId ?? '') ? ['Content-Disposition' as const] : []
      ),
      ...content && status !== '204' && { content }
    }] as const
  })
  const conditional = method === 'get' && parameters.some(({ name }) => name === 'if-none-match')
  const answers = Object.fromEntries(described.filter(([status]) => !(status in problems)))
  // What is conditional has an entity tag, whatever it is.
  if (conditional) answers['200'] = { ...answers['200']!, headers: headers(...ALWAYS, 'ETag') }
  return {
    ...answers,
    ...conditional && {
      304: {
        description: 'You have it already: If-None-Match names it',
        headers: headers(...ALWAYS, 'ETag')
      }
    },
    ...Object.fromEntries(
      Object.entries(problems).map(([status, problem]) => [status, {
        ...problem,
        headers: PROBLEM_HEADERS[status as keyof typeof PROBLEM_HEADERS]
      }])
    )
  }
}

/** Schemas as generators understand them best: enumerations in one piece, and large integers named as such. */
function plain (value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  const part = Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, key === 'example' ? inner : plain(inner)])
  )
  // In OpenAPI a constant is an enumeration of one, and several constants are one enumeration.
  const { anyOf, const: constant, ...rest } = part as { anyOf?: Json[], const?: unknown }
  if (typeof constant === 'string') return { ...rest, enum: [constant] }
  if (anyOf?.every(({ type, enum: values }) => type === 'string' && values !== undefined) === true) {
    return { type: 'string', enum: anyOf.flatMap((option) => option.enum), ...rest }
  }
  const { type, maximum, format } = part
  const isLarge = type === 'integer' && format === undefined &&
    (typeof maximum !== 'number' || maximum > INT32)
  return isLarge ? { ...part, format: 'int64' } : part
}
