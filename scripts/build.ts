import { cp, mkdir, rename, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { packClient } from './client-package.ts'

/**
 * get-jwks brings jwk-to-pem, and that elliptic (GHSA-848j-6mx2-7j84, without a fix). The hub makes its PEM through
 * node:crypto and never calls it: no bundle holds either.
 */
const withoutElliptic: Plugin = {
  name: 'without-elliptic',
  setup (build) {
    build.onLoad({ filter: /[\\/]jwk-to-pem[\\/]/ }, () => ({
      contents: "module.exports = () => { throw new Error('jwk-to-pem is left out of the bundle') }"
    }))
  }
}

const USAGE = `npm run build: bundles the hub into dist/

  dist/server.mjs       the entry for Node and containers
  dist/lambda.mjs       the entry for Lambda (handler: lambda.handler)
  dist/authorizer.mjs   the entry for the API's request authorizer on Lambda (handler: authorizer.handler)
  dist/client.mjs       the client, for browsers and Node
  dist/client/          the client as a package to install, @sync-hub/client, with its types (not with --hub)
  dist/docs/            the files of the /docs page

The bundles need no node_modules; local mode finds its embedded store at run time.`

if (process.argv.includes('--help')) {
  console.log(USAGE)
} else {
  // Built aside and swapped: a hub that runs goes on serving its own files until the new ones are whole.
  const out = `dist.${process.pid}.new`
  await build({
    entryPoints: ['src/server.ts', 'src/lambda.ts', 'src/authorizer.ts'],
    outdir: out,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    minifyWhitespace: true,
    minifySyntax: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    // CommonJS inside an ES module: it may want a require and its own folder.
    banner: {
      js:
        "import { createRequire as __createRequire } from 'node:module'; import { dirname as __dirnameOf } from 'node:path'; import { fileURLToPath as __toPath } from 'node:url'; const require = __createRequire(import.meta.url); const __filename = __toPath(import.meta.url); const __dirname = __dirnameOf(__filename);"
    },
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'linked',
    logLevel: 'warning',
    plugins: [withoutElliptic]
  })
  await build({
    entryPoints: { client: 'src/client/index.ts' },
    outdir: out,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'neutral',
    target: 'es2022',
    format: 'esm',
    sourcemap: 'linked',
    logLevel: 'warning'
  })
  const page = join(dirname(createRequire(import.meta.url).resolve('@fastify/swagger-ui')), 'static')
  await mkdir(join(out, 'docs'))
  for (
    const file of ['index.css', 'logo.svg', 'oauth2-redirect.html', 'oauth2-redirect.js',
      'swagger-ui-bundle.js', 'swagger-ui-standalone-preset.js', 'swagger-ui.css', 'favicon-16x16.png',
      'favicon-32x32.png']
  ) {
    await cp(join(page, file), join(out, 'docs', file))
  }
  if (!process.argv.includes('--hub')) {
    const { bytes, gzip } = await packClient(join(out, 'client'))
    console.log(`@sync-hub/client: ${bytes} bytes, ${gzip} compressed`)
  }
  const old = `dist.${process.pid}.old`
  await rename('dist', old).catch(() => {})
  await rename(out, 'dist')
  await rm(old, { recursive: true, force: true })
}
