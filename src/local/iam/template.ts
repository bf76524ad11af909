import { readFileSync } from 'node:fs'
import { isAlias, isMap, isScalar, isSeq, parseDocument, type Node } from 'yaml'

/** A CloudFormation template, or a part of one, as plain objects. */
export type Part = any

/** What stands for the account in a rendered template. */
export const PSEUDO: Readonly<Record<string, string>> = {
  'AWS::AccountId': '123456789012',
  'AWS::Partition': 'aws',
  'AWS::Region': 'eu-west-1',
  'AWS::StackId': 'arn:aws:cloudformation:eu-west-1:123456789012:stack/hub/1',
  'AWS::StackName': 'hub',
  'AWS::URLSuffix': 'amazonaws.com'
}

const NO_VALUE = Symbol('AWS::NoValue')

/**
 * Reads template.yaml, short tags (`!Ref x`) as their long forms (`{ Ref: 'x' }`). @throws Error on what is
 * not sound YAML
 */
export function loadTemplate (file: string = 'template.yaml'): Part {
  const document = parseDocument(readFileSync(file, 'utf8'), { version: '1.1' })
  if (document.errors.length > 0) throw document.errors[0]!
  return plain(document.contents)
}

function plain (node: unknown): Part {
  const value = isMap(node)
    ? Object.fromEntries(node.items.map((pair) => [keyOf(pair.key), plain(pair.value)]))
    : isSeq(node)
    ? node.items.map(plain)
    : isScalar(node)
    ? node.value
    : undefined
  if (isAlias(node)) throw new Error('CloudFormation knows no YAML aliases')
  const tag = (node as Node & { tag?: string } | null)?.tag
  if (tag === undefined || !/^![A-Z]/i.test(tag)) return value
  const name = tag.slice(1)
  if (name === 'Ref' || name === 'Condition') return { [name]: value }
  // The short form of GetAtt is one word, the long one a pair.
  return {
    [`Fn::${name}`]: name === 'GetAtt' && typeof value === 'string'
      ? [value.slice(0, value.indexOf('.')), value.slice(value.indexOf('.') + 1)]
      : value
  }
}

function keyOf (key: unknown): string {
  // An unquoted Null is YAML's null, and IAM's condition operator of that name would be gone.
  if (isScalar(key) && typeof key.value === 'string') return key.value
  throw new Error(`A key that is not a string: ${String(key)}; quote it`)
}

/**
 * Renders a template as a deployment would see it: every Ref, Fn::Sub, Fn::GetAtt, Fn::If ... with its value,
 * and resources whose condition is false left out. SAM's transform is not applied, and dynamic references
 * stay.
 * @param parameters values, by name; the others have their defaults
 * @param names physical names of resources, by logical id; the others have made-up ones
 * @throws Error on a name that does not exist, a parameter without a value, a function or attribute not
 *   known here
 */
export function render (
  template: Part,
  parameters: Readonly<Record<string, string>> = {},
  names: Readonly<Record<string, string>> = {}
): Part {
  const { Parameters = {}, Conditions = {}, Resources } = template

  function ref (name: string): Part {
    if (name === 'AWS::NoValue') return NO_VALUE
    if (name in PSEUDO) return PSEUDO[name]
    if (name in Parameters) {
      const { Type, Default } = Parameters[name]
      const value = parameters[name] ?? Default
      if (value === undefined) throw new Error(`Parameter ${name} has no value`)
      return Type === 'CommaDelimitedList' ? String(value).split(',') : String(value)
    }
    const type = typeOf(name)
    if (type === 'AWS::SecretsManager::Secret') return arn('secretsmanager', `secret:${physical(name)}`)
    if (type === 'AWS::Cognito::UserPoolDomain') return value(Resources[name].Properties.Domain)
    return physical(name)
  }

  function attribute ([name, attribute]: [string, string]): string {
    const make = ATTRIBUTES[`${typeOf(name)}.${attribute}`]
    if (make === undefined) throw new Error(`${name}.${attribute} is not known to the renderer`)
    return make(physical(name))
  }

  function typeOf (name: string): string {
    if (!(name in Resources)) throw new Error(`There is no resource or parameter ${name}`)
    return Resources[name].Type
  }
  const physical = (name: string): string =>
    names[name] ??
      (typeOf(name) === 'AWS::Cognito::UserPool' ? `${PSEUDO['AWS::Region']}_${name}` : `hub-${name}`)

  const functions: Record<string, (argument: Part) => Part> = {
    Ref: ref,
    Condition: (name: string) => value(Conditions[name]),
    'Fn::GetAtt': attribute,
    'Fn::Sub': (argument: Part) => {
      const [text, own] = Array.isArray(argument) ? [argument[0], value(argument[1])] : [argument, {}]
      return text.replace(
        /\$\{(!?)([^}]+)\}/g,
        (_: string, literal: string, name: string) =>
          literal
            ? `\${${name}}`
            : name in own
            ? own[name]
            : name.includes('.')
            ? attribute(name.split('.') as [string, string])
            : ref(name)
      )
    },
    'Fn::Join': ([separator, parts]: Part) => value(parts).join(separator),
    'Fn::Split': ([separator, text]: Part) => value(text).split(separator),
    'Fn::Select': ([index, parts]: Part) => value(parts)[Number(index)],
    'Fn::If': ([condition, yes, no]: Part) => value(functions.Condition!(condition) === true ? yes : no),
    'Fn::Equals': ([one, other]: Part) => value(one) === value(other),
    'Fn::Not': ([condition]: Part) => value(condition) !== true,
    'Fn::And': (conditions: Part[]) => conditions.every((condition) => value(condition) === true),
    'Fn::Or': (conditions: Part[]) => conditions.some((condition) => value(condition) === true)
  }

  function value (part: Part): Part {
    if (Array.isArray(part)) return part.map(value).filter((item) => item !== NO_VALUE)
    if (typeof part !== 'object' || part === null) return part
    const [[name, argument] = ['', undefined], ...more] = Object.entries(part)
    // A policy statement has a Condition too, which is an object; a reference to a condition is its name
    // alone.
    const isFunction = more.length === 0 &&
      (name === 'Ref' || name.startsWith('Fn::') || (name === 'Condition' && typeof argument === 'string'))
    if (!isFunction) {
      return Object.fromEntries(
        Object.entries(part).map(([key, inner]) => [key, value(inner)]).filter(([, inner]) =>
          inner !== NO_VALUE
        )
      )
    }
    if (functions[name] === undefined) throw new Error(`${name} is not known to the renderer`)
    return functions[name](argument)
  }

  const exists = ({ Condition: condition }: Part) =>
    condition === undefined || functions.Condition!(condition) === true
  return value({
    ...template,
    Conditions: undefined,
    Resources: Object.fromEntries(Object.entries(Resources).filter(([, resource]) => exists(resource)))
  })
}

const arn = (service: string, rest: string, region = PSEUDO['AWS::Region']!) =>
  `arn:aws:${service}:${region}:${PSEUDO['AWS::AccountId']}:${rest}`

const ATTRIBUTES: Readonly<Record<string, (name: string) => string>> = {
  'AWS::Cognito::UserPool.Arn': (name) => arn('cognito-idp', `userpool/${name}`),
  'AWS::DynamoDB::Table.Arn': (name) => arn('dynamodb', `table/${name}`),
  'AWS::DynamoDB::Table.StreamArn': (name) => arn('dynamodb', `table/${name}/stream/2026-01-01T00:00:00.000`),
  'AWS::IAM::Role.Arn': (name) => arn('iam', `role/${name}`, ''),
  'AWS::Logs::LogGroup.Arn': (name) => arn('logs', `log-group:${name}:*`),
  'AWS::Serverless::Function.Arn': (name) => arn('lambda', `function:${name}`)
}
