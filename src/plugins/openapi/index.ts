import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import fp from 'fastify-plugin'
import type { Config } from '../../config.ts'
import { VERSION } from '../../version.ts'
import { complete } from './complete.ts'
import { withComponents } from './components.ts'

declare module 'fastify' {
  interface FastifySchema {
    /** What the document says of the body beyond its schema, or in place of one where the route reads it by itself. */
    'x-request-body'?: object
  }
}

/** In the order in which one reads them. */
const TAGS = [{
  name: 'bookmarks',
  description: 'Bookmarks and folders of your own space and of your groups'
}, {
  name: 'settings',
  description: 'JSON values by name, in your own space and in your groups'
}, {
  name: 'sync',
  description: 'Keeps the records of a user the same on every device: pull changes, push edits'
}, { name: 'trash', description: 'Deleted records, and how to restore them' }, {
  name: 'groups',
  description: 'People who share a space: members, roles, invitations'
}, { name: 'sessions', description: 'Devices, app passwords, and codes that sign a new device in' }, {
  name: 'public',
  description: 'Settings that their owners made public. These routes need no token'
}, { name: 'hub', description: 'The hub itself: its limits, its health, and who you are' }]

/** The tenant's own scope, of the resource server in template.yaml. */
export const TENANT_SCOPE = 'sync-hub/tenant'

/** /openapi.json (OpenAPI 3.1), made from the routes' own schemas, and /docs to read and try it. */
type Options = Pick<Config, 'oauthDomain' | 'local' | 'publicUrl'> & {
  /** The answers that every operation may give. */
  readonly problems: object
}

export default fp<Options>(async (app, config) => {
  const { oauthDomain, local, publicUrl = '/', problems } = config
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Sync Hub',
        version: VERSION,
        description:
          "Keeps the settings and bookmarks of an app's users the same on every device. No tenant can see or change the data of another. Errors are application/problem+json (RFC 9457).",
        license: { name: 'MIT', identifier: 'MIT' }
      },
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            description: 'An access token of a trusted issuer (a JWT), or the deviceToken of a session'
          },
          basic: {
            type: 'http',
            scheme: 'basic',
            description:
              'For programs that support nothing else: the user id and an app password (POST /v1/sessions)'
          },
          cognito: {
            type: 'oauth2',
            description: 'Cognito user pool: authorization code with PKCE',
            flows: {
              authorizationCode: {
                authorizationUrl: `${oauthDomain}/oauth2/authorize`,
                tokenUrl: `${oauthDomain}/oauth2/token`,
                scopes: {
                  openid: 'Who you are',
                  email: 'Your e-mail address',
                  profile: 'Your profile',
                  [TENANT_SCOPE]: 'What is yours in your tenant'
                }
              }
            }
          }
        }
      },
      servers: [{ url: local ? '/' : publicUrl, description: 'This hub' }],
      security: [{ bearer: [] }, { basic: [] }, { cognito: ['openid', TENANT_SCOPE] }],
      tags: TAGS
    },
    transformObject: (document) => {
      const { openapiObject } = document as { openapiObject: { paths: never } }
      return withComponents({
        ...openapiObject,
        paths: complete(openapiObject.paths, problems as never)
      })
    },
    hideUntagged: true
  })
  await app.register(async (docs) => {
    docs.addHook('onRoute', (route) => {
      route.config = { ...route.config, public: true }
    })
    await docs.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP:
        `default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; connect-src 'self' ${oauthDomain}; object-src 'none'; base-uri 'self'; frame-ancestors 'none'`,
      initOAuth: { usePkceWithAuthorizationCodeGrant: true },
      ...await bundledFiles()
    })
  })
}, { name: 'openapi' })

/** A bundle has no node_modules: `npm run build` puts the page's files into a folder beside it. */
async function bundledFiles (): Promise<object> {
  const folder = fileURLToPath(new URL('./docs/', import.meta.url))
  if (!existsSync(folder)) return {}
  return {
    baseDir: folder,
    logo: { type: 'image/svg+xml', content: await readFile(join(folder, 'logo.svg')) }
  }
}
