import { randomBytes } from 'node:crypto'
import { LOCAL_CREDENTIALS } from '../../store/client.ts'
import { decide } from './policy.ts'
import { roleOf, type Role } from './roles.ts'
import { PSEUDO } from './template.ts'

/** Someone who calls with an access key: a role, and the tags that the session carries. */
export interface Session {
  readonly role: Role
  /** As CloudTrail would name the caller. */
  readonly arn: string
  readonly tags: Readonly<Record<string, string>>
  readonly secretAccessKey: string
  readonly sessionToken: string | undefined
  /** Milliseconds since 1970. */
  readonly endsAt: number
}

/** A refusal as STS words it. */
export class StsError extends Error {
  readonly code: string
  readonly status: number
  constructor (code: string, message: string, status = 400) {
    super(message)
    this.code = code
    this.status = status
  }
}

/** The credentials of an AssumeRole. */
export interface Minted extends Session {
  readonly accessKeyId: string
}

/** STS on a desk: who holds which access key. The hub's own key is the API's role, as on Lambda. */
export function createSessions (roles: ReadonlyMap<string, Role>, now: () => number) {
  const api = roleOf(roles, 'ApiRole')
  const sessions = new Map<string, Session>([[LOCAL_CREDENTIALS.accessKeyId, {
    role: api,
    arn: `${api.arn}/hub`,
    tags: {},
    secretAccessKey: LOCAL_CREDENTIALS.secretAccessKey,
    sessionToken: undefined,
    endsAt: Infinity
  }]])

  return {
    /** The session of an access key, also an ended one. */
    of: (accessKeyId: string | undefined): Session | undefined =>
      accessKeyId === undefined ? undefined : sessions.get(accessKeyId),

    /**
     * AssumeRole: the caller's policy and the role's trust must both allow it.
     * Source: STS API Reference, AssumeRole.
     * @param form the call's parameters
     * @throws StsError as STS would answer
     */
    assumeRole (caller: Session, form: URLSearchParams): Minted {
      const [arn, name, seconds] = [form.get('RoleArn') ?? '', form.get('RoleSessionName') ?? '',
        Number(form.get('DurationSeconds') ?? 3600)]
      if (!/^[\w+=,.@-]{2,64}$/.test(name)) {
        throw new StsError('ValidationError', 'RoleSessionName is 2 to 64 of A-Z a-z 0-9 _ + = , . @ -')
      }
      // 3,600 s is the most that one role may ask for when it becomes another.
      if (!(seconds >= 900 && seconds <= 3600)) {
        throw new StsError('ValidationError', 'DurationSeconds is 900 to 3600')
      }
      const tags = tagsOf(form)
      const role = [...roles.values()].find((role) => role.arn === arn)
      const context = {
        ...Object.fromEntries(Object.entries(tags).map(([key, value]) => [`aws:RequestTag/${key}`, [value]])),
        ...Object.keys(tags).length > 0 && { 'aws:TagKeys': Object.keys(tags) },
        ...principalTags(caller)
      }
      for (const action of ['sts:AssumeRole', ...Object.keys(tags).length > 0 ? ['sts:TagSession'] : []]) {
        const question = { action, resource: arn, context }
        const trust = role?.trust.filter(({ principals }) => principals?.includes(caller.role.arn)) ?? []
        if (!decide(caller.role.policy, question).allowed || !decide(trust, question).allowed) {
          throw new StsError(
            'AccessDenied',
            `User: ${caller.arn} is not authorized to perform: ${action} on resource: ${arn}`,
            403
          )
        }
      }
      const accessKeyId = `ASIA${randomBytes(8).toString('hex').toUpperCase()}`
      const session: Session = {
        role: role!,
        arn: `arn:aws:sts::${PSEUDO['AWS::AccountId']}:assumed-role/${role!.name}/${name}`,
        tags,
        secretAccessKey: randomBytes(30).toString('base64url'),
        sessionToken: randomBytes(30).toString('base64url'),
        endsAt: now() + seconds * 1000
      }
      sessions.set(accessKeyId, session)
      return { ...session, accessKeyId }
    }
  }
}

/** The session's tags as condition keys. */
export const principalTags = ({ tags }: Session) =>
  Object.fromEntries(Object.entries(tags).map(([key, value]) => [`aws:PrincipalTag/${key}`, [value]]))

function tagsOf (form: URLSearchParams): Record<string, string> {
  const tags: Record<string, string> = {}
  for (let index = 1; form.has(`Tags.member.${index}.Key`); index++) {
    const [key, value] = [form.get(`Tags.member.${index}.Key`)!, form.get(`Tags.member.${index}.Value`) ?? '']
    if (
      !/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u.test(key) || !/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u.test(value)
    ) throw new StsError('ValidationError', 'A tag has letters, digits, spaces and _ . : / = + - @')
    if (key in tags) throw new StsError('InvalidParameterValue', 'Duplicate tag keys found')
    tags[key] = value
  }
  return tags
}
