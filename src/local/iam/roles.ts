import { assertKnown, readPolicy, type Statement } from './policy.ts'
import { loadTemplate, PSEUDO, render, type Part } from './template.ts'

/** A role of the template: what it may do, and who may become it. */
export interface Role {
  readonly arn: string
  readonly name: string
  readonly policy: readonly Statement[]
  readonly trust: readonly Statement[]
}

/** What of a role's properties is known; a boundary or a managed policy would change what the role may do. */
const KNOWN = new Set(['Description', 'MaxSessionDuration', 'AssumeRolePolicyDocument', 'Policies'])

/**
 * The roles of a rendered template, by logical id.
 * @throws Error on anything in their policies that the evaluator does not know, naming the role
 */
export function readRoles (resources: Part): Map<string, Role> {
  const entries = Object.entries<Part>(resources)
  return new Map(
    entries.filter(([, { Type }]) => Type === 'AWS::IAM::Role').map(([id, { Properties }]) => {
      const name = `hub-${id}`
      try {
        assertKnown(Properties, KNOWN, 'property')
        const attached = entries.filter(([, { Type, Properties: { RoleName } }]) =>
          Type === 'AWS::IAM::RolePolicy' && RoleName === name
        ).map(([, { Properties }]) => Properties)
        const policy = [...Properties.Policies ?? [], ...attached].flatMap(({ PolicyDocument }: Part) =>
          readPolicy(PolicyDocument)
        )
        return [id, {
          arn: `arn:aws:iam::${PSEUDO['AWS::AccountId']}:role/${name}`,
          name,
          policy,
          trust: readPolicy(Properties.AssumeRolePolicyDocument)
        }]
      } catch (error) {
        throw new Error(`${id} in the template can't be enforced here: ${(error as Error).message}`, {
          cause: error
        })
      }
    })
  )
}

/**
 * The roles of a template file, as they would be deployed with this table.
 * @throws Error as readRoles, and on what is no template or lacks a role that the hub needs
 */
export function loadRoles (file: string, table: string): Map<string, Role> {
  const { Resources } = render(loadTemplate(file), {}, { Table: table })
  const roles = readRoles(Resources)
  for (const id of ['ApiRole', 'TenantRole', 'OperatorRole']) roleOf(roles, id)
  return roles
}

/** @throws Error where the template has no such role */
export function roleOf (roles: ReadonlyMap<string, Role>, id: string): Role {
  const role = roles.get(id)
  if (role === undefined) throw new Error(`There is no ${id} in the template`)
  return role
}
