/**
 * IAM's policy evaluation for what template.yaml uses, and nothing more: whatever is not known here is
 * refused when the policy is read, so that a statement is never taken for less than it says.
 * Source: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements: Condition operators".
 */

/** What is asked of the policies. A condition key that the request does not carry is not in the context. */
export interface Question {
  /** Such as `dynamodb:GetItem`. */
  readonly action: string
  /** An ARN, or `*` for an action that has no resource. */
  readonly resource: string
  readonly context: Readonly<Record<string, readonly string[]>>
}

export interface Statement {
  readonly sid: string
  readonly effect: 'Allow' | 'Deny'
  /** The principals of a trust policy; undefined in others. */
  readonly principals: readonly string[] | undefined
  applies(question: Question): boolean
}

type Json = Readonly<Record<string, unknown>>
type Context = Question['context']
/**
 * Whether a condition holds; undefined where IAM's documentation leaves it open, which it does wherever the request
 * leaves a policy variable unfilled or fills it with nothing. A proof takes the answer that hurts: such a condition
 * makes no Deny apply, and keeps no Allow from applying.
 */
type Held = boolean | undefined

const DOCUMENT = new Set(['Version', 'Statement'])
const ELEMENTS = new Set(['Sid', 'Effect', 'Principal', 'Action', 'NotAction', 'Resource', 'NotResource',
  'Condition'])
/** Condition keys that may have several values in one request: they need ForAllValues or ForAnyValue. */
const MULTIVALUED = new Set(['dynamodb:LeadingKeys', 'aws:TagKeys'])
const SINGLE = /^(?:aws:(?:PrincipalTag|RequestTag)\/[\w.:/=+@-]+|kms:ViaService)$/
const VARIABLE = /\$\{([^}]*)\}/g
const PRINCIPAL_TAG = /^aws:PrincipalTag\/[\w.:/=+@-]+$/

/**
 * Reads a policy document.
 * @throws Error on any element, operator, condition key or policy variable that is not known here
 */
export function readPolicy (document: unknown): Statement[] {
  const policy = object(document, 'policy')
  assertKnown(policy, DOCUMENT, 'element')
  const { Version, Statement } = policy
  if (Version !== '2012-10-17') throw new Error(`Version ${String(Version)} is not known`)
  return list(Statement).map((statement) => readStatement(object(statement, 'statement')))
}

/**
 * Whether the statements allow it: some Allow applies, and no Deny. @returns the Sid that decided, none where
 * nothing applied
 */
export function decide (
  statements: readonly Statement[],
  question: Question
): { allowed: boolean, sid: string | undefined } {
  const applying = statements.filter((statement) => statement.applies(question))
  const deciding = applying.find(({ effect }) => effect === 'Deny') ?? applying[0]
  return { allowed: deciding?.effect === 'Allow', sid: deciding?.sid }
}

function readStatement (statement: Json): Statement {
  assertKnown(statement, ELEMENTS, 'element')
  const { Sid = '', Effect, Principal, Condition = {} } = statement
  if (Effect !== 'Allow' && Effect !== 'Deny') throw new Error(`The effect ${String(Effect)} is not known`)
  const action = among(statement, 'Action', 'i')
  // A trust policy has no resource: it is attached to the one that it is about.
  const resource = Principal === undefined ? among(statement, 'Resource', '') : () => true
  const conditions = Object.entries(object(Condition, 'Condition')).flatMap(([operator, keys]) =>
    Object.entries(object(keys, operator)).map(([key, values]) => readCondition(operator, key, texts(values)))
  )
  return {
    sid: String(Sid),
    effect: Effect,
    principals: Principal === undefined
      ? undefined
      : Object.entries(object(Principal, 'Principal')).flatMap(([kind, names]) => {
        if (kind !== 'AWS' && kind !== 'Service') throw new Error(`The principal ${kind} is not known`)
        return texts(names)
      }),
    applies: (question) =>
      action(question.action) && resource(question.resource) &&
      (every(conditions, (holds) => holds(question.context)) ?? Effect === 'Allow')
  }
}

/** `Action` or `NotAction`, `Resource` or `NotResource`: one of the two has to be there. */
function among (statement: Json, name: 'Action' | 'Resource', flags: string): (value: string) => boolean {
  const [given, not] = [statement[name], statement[`Not${name}`]]
  if ((given === undefined) === (not === undefined)) {
    throw new Error(`A statement needs ${name} or Not${name}`)
  }
  const patterns = texts(given ?? not).map((text) => {
    if (text.includes('${')) throw new Error(`A policy variable in ${name} is not known`)
    return wildcards(text, flags)
  })
  return (value) => patterns.some((pattern) => pattern.test(value)) === (given !== undefined)
}

function readCondition (name: string, key: string, values: readonly string[]): (context: Context) => Held {
  const [, set, operator = ''] = /^(?:(ForAllValues|ForAnyValue):)?(\w+)$/.exec(name) ?? []
  if (!MULTIVALUED.has(key) && !SINGLE.test(key)) throw new Error(`The condition key ${key} is not known`)
  if (operator === 'Null' && set === undefined) {
    if (values.length !== 1 || !['true', 'false'].includes(values[0]!)) {
      throw new Error('Null is "true" or "false"')
    }
    return (context) => (context[key] === undefined) === (values[0] === 'true')
  }
  const [, negated, comparison] = /^String(Not)?(Like|Equals)$/.exec(operator) ?? []
  if (comparison === undefined) throw new Error(`The operator ${name} is not known`)
  if (MULTIVALUED.has(key) !== (set !== undefined)) {
    throw new Error(`The operator ${name} does not go with ${key}`)
  }
  const tests = values.map((value) => matcher(value, comparison === 'Like'))
  const holds = (value: string, context: Context): Held => {
    const met = some(tests, (test) => test(value, context))
    return negated === undefined ? met : not(met)
  }
  return (context) => {
    const sent = context[key]
    // Of a key that is not there ForAllValues is true, ForAnyValue is not, and of the others only what is
    // negated.
    if (sent === undefined) return set === undefined ? negated !== undefined : set === 'ForAllValues'
    return set === 'ForAnyValue'
      ? some(sent, (value) => holds(value, context))
      : every(sent, (value) => holds(value, context))
  }
}

const not = (held: Held): Held => held === undefined ? undefined : !held

function every<T> (list: readonly T[], holds: (item: T) => Held): Held {
  const all = list.map(holds)
  if (all.includes(false)) return false
  return all.includes(undefined) ? undefined : true
}

const some = <T>(list: readonly T[], holds: (item: T) => Held): Held =>
  not(every(list, (item) => not(holds(item))))

/** One value of a condition. What fills a variable has no wildcards. */
function matcher (text: string, like: boolean): (value: string, context: Context) => Held {
  const variables = [...text.matchAll(VARIABLE)].map(([, name]) => name!)
  const strange = variables.find((name) => !PRINCIPAL_TAG.test(name))
  if (strange !== undefined) throw new Error(`The policy variable ${strange} is not known`)
  const pieces = text.split(VARIABLE).filter((_, index) => index % 2 === 0)
  return (value, context) => {
    if (variables.some((name) => !context[name]?.[0])) return undefined
    const source = pieces.map((piece, index) =>
      (like ? wildcardSource(piece) : escape(piece)) +
      (index < variables.length ? escape(context[variables[index]!]![0]!) : '')
    ).join('')
    return new RegExp(`^${source}$`, 's').test(value)
  }
}

const escape = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
const wildcardSource = (text: string) =>
  text.split(/([*?])/).map((part) => part === '*' ? '.*' : part === '?' ? '.' : escape(part)).join('')
const wildcards = (text: string, flags: string) => new RegExp(`^${wildcardSource(text)}$`, `s${flags}`)

const list = (value: unknown): unknown[] => Array.isArray(value) ? value : [value]

function texts (value: unknown): string[] {
  const values = list(value)
  if (values.length === 0 || !values.every((item) => typeof item === 'string')) {
    throw new Error(`Not a text or a list of texts: ${JSON.stringify(value)}`)
  }
  return values
}

function object (value: unknown, what: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(`${what} is not an object`)
  }
  return value as Json
}

/** @throws Error naming a property of `value` that is not among `names` */
export function assertKnown (value: object, names: ReadonlySet<string>, kind: string): void {
  const strange = Object.keys(value).find((name) => !names.has(name))
  if (strange !== undefined) throw new Error(`The ${kind} ${strange} is not known`)
}
