import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../errors.ts'
import { send } from './problems.ts'

interface Path {
  readonly pattern: RegExp
  /** How many of its segments may be anything. */
  readonly open: number
  readonly methods: Set<string>
}

/**
 * What no route takes: 405 with the methods of its path (RFC 9110, section 15.5.6), or 404 where the hub has no such
 * path. Which paths there are is no secret, so that no token is asked for; nor is the body looked at.
 */
export default fp(async (app) => {
  const paths = new Map<string, Path>()

  app.addHook('onRoute', ({ method, url }) => {
    // Answers to the question that goes before a cross-origin request are on every path, also where there is nothing.
    if (url === '*') return
    const path = paths.get(url) ?? { ...patternOf(url), methods: new Set<string>() }
    for (const name of [method].flat()) path.methods.add(name)
    // There is a HEAD for each GET; of a prefix with and without a slash it alone is told for both.
    if (path.methods.has('HEAD')) path.methods.add('GET')
    paths.set(url, path)
  })

  /** The methods of a path; where it is one that has a name of its own, those of that name. */
  function methodsOf (path: string): ReadonlySet<string> {
    const fitting = [...paths.values()].filter(({ pattern }) => pattern.test(path))
    const least = Math.min(...fitting.map(({ open }) => open))
    return new Set(fitting.filter(({ open }) => open === least).flatMap(({ methods }) => [...methods]))
  }

  function problemOf ({ url, method }: FastifyRequest): Problem {
    const methods = methodsOf(url.split('?', 1)[0]!)
    // Where the router does not take a path for what it looks like, there is none.
    if (methods.size === 0 || methods.has(method)) {
      return new Problem('NOT_FOUND', 'There is no such route. /openapi.json lists all routes.')
    }
    const allow = [...methods].sort().join(', ')
    return new Problem('METHOD_NOT_ALLOWED', `The path does not support ${method}. It supports ${allow}.`, {
      headers: { allow }
    })
  }

  app.addHook('onRequest', async (request) => {
    if (request.is404) throw problemOf(request)
  })
  app.setNotFoundHandler((request, reply) => send(request, reply, problemOf(request)))
}, { name: 'not-found', dependencies: ['problems', 'limits'] })

/** Paths that a route's pattern stands for: `:id` is one segment, also an empty one, `*` all the rest. */
function patternOf (url: string): Pick<Path, 'pattern' | 'open'> {
  const parts = url.split(/(:\w+|\*)/)
  const source = parts.map((part) => {
    if (part.startsWith(':')) return '[^/]*'
    return part === '*' ? '.*' : part.replace(/[.+?^${}()|[\]\\]/g, String.raw`\$&`)
  }).join('')
  return { pattern: new RegExp(`^${source}$`), open: (parts.length - 1) / 2 }
}
