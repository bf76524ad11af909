import { once } from 'node:events'
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { decide } from './policy.ts'
import { intentsOf, invalid, type Intent } from './requests.ts'
import { roleOf, type Role } from './roles.ts'
import { createSessions, principalTags, StsError, type Session } from './sessions.ts'

/** A call that the policies did not allow. */
export interface Denial extends Intent {
  readonly caller: string
  readonly sid: string | undefined
}

export interface Gateway {
  /** Both of STS and of DynamoDB. */
  readonly endpoint: string
  readonly tenantRoleArn: string
  readonly operatorRoleArn: string
  /** What was denied so far. */
  readonly denials: readonly Denial[]
  /** DynamoDB calls that were let through so far. */
  readonly allowed: number
  stop(): Promise<void>
}

/**
 * Starts STS and the deployed policies in front of a store that has neither: every call is held against the
 * role and the session tag of its access key, and only what the policies allow reaches the store. Signatures
 * are not checked.
 * @param roles what is enforced: those of template.yaml (`loadRoles`)
 * @param store endpoint of the store behind
 */
export async function startGateway (
  { roles, store, now = Date.now }: { roles: ReadonlyMap<string, Role>, store: string, now?: () => number }
): Promise<Gateway> {
  const [tenantRole, operatorRole] = [roleOf(roles, 'TenantRole'), roleOf(roles, 'OperatorRole')]
  const sessions = createSessions(roles, now)
  const agent = new Agent({ keepAlive: true })
  const { hostname, port } = new URL(store)
  const denials: Denial[] = []
  let allowed = 0

  /** DynamoDB's own refusal of a call, or undefined where it may go on. */
  function refusal (
    session: Session | undefined,
    token: unknown,
    operation: string,
    text: string
  ): { type: string, message: string } | undefined {
    if (session === undefined || session.sessionToken !== token) {
      return {
        type: 'UnrecognizedClientException',
        message: 'The security token included in the request is invalid.'
      }
    }
    if (session.endsAt <= now()) {
      return {
        type: 'ExpiredTokenException',
        message: 'The security token included in the request is expired'
      }
    }
    const body = JSON.parse(text) as object
    for (const intent of intentsOf(operation, body)) {
      const { allowed, sid } = decide(session.role.policy, {
        ...intent,
        context: {
          ...principalTags(session),
          ...intent.leadingKeys !== undefined && { 'dynamodb:LeadingKeys': intent.leadingKeys }
        }
      })
      if (allowed) continue
      denials.push({ ...intent, caller: session.arn, sid })
      return {
        type: 'AccessDeniedException',
        message:
          `User: ${session.arn} is not authorized to perform: ${intent.action} on resource: ${intent.resource} because no identity-based policy allows the ${intent.action} action`
      }
    }
    const fault = invalid(operation, body)
    return fault === undefined ? undefined : { type: 'ValidationException', message: fault }
  }

  async function dynamodb (request: IncomingMessage, response: ServerResponse, body: Buffer): Promise<void> {
    const { authorization, 'x-amz-target': target, 'x-amz-security-token': token } = request.headers
    const refused = refusal(
      sessions.of(accessKey(authorization)),
      token,
      String(target).split('.')[1] ?? '',
      body.toString()
    )
    if (refused !== undefined) {
      response.writeHead(400, { 'content-type': 'application/x-amz-json-1.0' }).end(
        JSON.stringify({ __type: `com.amazon.coral.service#${refused.type}`, message: refused.message })
      )
      return
    }
    allowed++
    const forwarded = httpRequest(
      { hostname, port, agent, method: 'POST', headers: request.headers },
      (answer) => {
        response.writeHead(answer.statusCode!, answer.headers)
        answer.pipe(response)
      }
    )
    // A store that is gone looks to the hub as it would without us.
    forwarded.on('error', () => response.destroy())
    forwarded.end(body)
  }

  function sts (request: IncomingMessage, response: ServerResponse, body: Buffer): void {
    try {
      const form = new URLSearchParams(body.toString())
      if (form.get('Action') !== 'AssumeRole') {
        throw new StsError('InvalidAction', 'AssumeRole is all that is here')
      }
      const caller = sessions.of(accessKey(request.headers.authorization))
      if (caller === undefined || caller.endsAt <= now()) {
        throw new StsError(
          'InvalidClientTokenId',
          'The security token included in the request is invalid.',
          403
        )
      }
      const { accessKeyId, secretAccessKey, sessionToken, endsAt, arn } = sessions.assumeRole(caller, form)
      response.writeHead(200, { 'content-type': 'text/xml' }).end(
        `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>${accessKeyId}</AccessKeyId><SecretAccessKey>${secretAccessKey}</SecretAccessKey><SessionToken>${sessionToken}</SessionToken><Expiration>${
          new Date(endsAt).toISOString()
        }</Expiration></Credentials><AssumedRoleUser><Arn>${arn}</Arn><AssumedRoleId>LOCAL</AssumedRoleId></AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>`
      )
    } catch (error) {
      if (!(error instanceof StsError)) throw error
      response.writeHead(error.status, { 'content-type': 'text/xml' }).end(
        `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${error.code}</Code><Message>${error.message}</Message></Error></ErrorResponse>`
      )
    }
  }

  const server = createServer((request, response) => {
    void buffer(request).then((body) =>
      request.headers['x-amz-target'] === undefined
        ? sts(request, response, body)
        : dynamodb(request, response, body)
    ).catch(() => response.destroy())
  })
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tenantRoleArn: tenantRole.arn,
    operatorRoleArn: operatorRole.arn,
    denials,
    get allowed () {
      return allowed
    },
    async stop () {
      agent.destroy()
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    }
  }
}

/** The access key id of a SigV4 Authorization header. */
function accessKey (authorization: string | undefined): string | undefined {
  return /Credential=([^/,\s]+)\//.exec(authorization ?? '')?.[1]
}
