import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import { createClient, type Client, type Options, type Sleep } from '../../src/client/index.ts'
import type { Page } from '../../src/client/wire.ts'
import type { Hub } from './hub.ts'

/** Devices with the client for apps, of users of one hub. */

let users = 0
export const newUser = () => ({ tenant: 'acme', user: `user${++users}` })
export type User = ReturnType<typeof newUser>

/** Requests straight into a hub, without a network. */
export const into = ({ app }: Hub): typeof fetch => async (input, { method, headers, body } = {}) => {
  const { statusCode, headers: sent, payload } = await app.inject({
    method: method as 'GET',
    url: (input as string).slice('http://hub'.length),
    headers: headers as Record<string, string>,
    ...body !== undefined && { payload: body as string }
  })
  return new Response(payload, { status: statusCode, headers: sent as Record<string, string> })
}

/** Waits that take no time, so that a test does not either. */
export const sleep = () => pause(0)
/** Time-outs that do not come. */
export const timeout: Sleep = (_milliseconds, signal) =>
  new Promise((resolve) => {
    signal?.addEventListener('abort', () => {
      resolve()
    })
  })

export interface Devices {
  /** A device of a user. What it keeps outlives it in `store`. */
  readonly device: (t: Test, user: User, options?: Partial<Options>, at?: Hub) => Promise<Client>
  readonly two: (t: Test, user?: User, options?: Partial<Options>) => Promise<readonly [Client, Client]>
}

export function devicesOf (hub: Hub): Devices {
  const device: Devices['device'] = async (t, user, options = {}, at = hub) => {
    const { token } = await at.as(user)
    const client = await createClient({
      url: 'http://hub',
      token,
      fetch: into(at),
      sleep,
      timeout,
      ...options
    })
    t.teardown(() => client.close())
    return client
  }
  return {
    device,
    two: async (t, user = newUser(), options = {}) =>
      [await device(t, user, options), await device(t, user)] as const
  }
}

export const home = { url: 'https://example.com', title: 'Home', tags: ['a'] }
export const problem = (
  status: number,
  errorType: string,
  more: object = {},
  headers: Record<string, string> = {}
) =>
  new Response(JSON.stringify({ status, errorType, ...more }), {
    status,
    headers: { 'content-type': 'application/problem+json', ...headers }
  })
/** A request without an answer. */
export const never = (init: RequestInit | undefined) =>
  new Promise<Response>((_resolve, reject) => {
    const abort = () => {
      reject(new TypeError('aborted'))
    }
    init!.signal!.addEventListener('abort', abort)
    if (init!.signal!.aborted) abort()
  })
export const isPush = (init: RequestInit | undefined) => init?.method === 'POST'

/** A hub that answers pulls with given pages. */
export function pagesOf (...pages: Partial<Page>[]): typeof fetch {
  let n = 0
  return async (_, init) => {
    if (isPush(init)) return problem(404, 'NOT_FOUND')
    const page = pages.shift() ?? {}
    return Response.json({ changes: [], more: pages.length > 0, cursor: `c${++n}`, ...page })
  }
}
export const put = (id: string, rev: number, title = id) =>
  ({
    type: 'bookmark',
    id,
    act: 'put',
    rev,
    record: { id, rev, url: 'https://example.com', title, tags: [], createdAt: '', updatedAt: '' }
  }) as const
