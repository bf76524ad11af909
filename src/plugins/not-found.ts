import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../errors.ts'
import { send } from './problems.ts'

/**
 * What no route takes: 405 with the methods of its path (RFC 9110, section 15.5.6), or 404 where the hub has no such
 * path. Which paths there are is no secret, so that no token is asked for.
 */
export default fp(async (app) => {
  const methodsByPath = new Map<string, { readonly pattern: RegExp, readonly methods: Set<string> }>()

  app.addHook('onRoute', ({ method, url }) => {
    const path = methodsByPath.get(url) ?? { pattern: patternOf(url), methods: new Set<string>() }
    for (const name of [method].flat()) path.methods.add(name)
    methodsByPath.set(url, path)
  })

  const methodsOf = (path: string) =>
    new Set(
      [...methodsByPath.values()].filter(({ pattern }) => pattern.test(path)).flatMap((
        { methods }
      ) => [...methods])
    )

  app.setNotFoundHandler((request: FastifyRequest, reply: FastifyReply) => {
    const methods = methodsOf(request.url.split('?', 1)[0]!)
    // Where the router does not take a path for what it looks like, there is none.
    if (methods.size === 0 || methods.has(request.method)) {
      return send(
        request,
        reply,
        new Problem('NOT_FOUND', 'There is no such route; /openapi.json lists them all.')
      )
    }
    const allow = [...methods].sort().join(', ')
    return send(
      request,
      reply,
      new Problem('METHOD_NOT_ALLOWED', `${request.method} is not for this path; it takes ${allow}.`, {
        headers: { allow }
      })
    )
  })
}, { name: 'not-found', dependencies: ['problems'] })

/** Paths that a route's pattern stands for: `:id` is one segment, `*` all the rest. */
function patternOf (url: string): RegExp {
  const source = url.split(/(:\w+|\*)/).map((part) => {
    if (part.startsWith(':')) return '[^/]+'
    return part === '*' ? '.*' : part.replace(/[.+?^${}()|[\]\\]/g, String.raw`\$&`)
  }).join('')
  return new RegExp(`^${source}$`)
}
