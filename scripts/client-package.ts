import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import ts from 'typescript'

const ENTRY = 'src/client/index.ts'
const RECORDS = 'src/client/records.ts'

/**
 * Makes the package @sync-hub/client: one minified module, its types without any import of others, and a
 * package.json of its own.
 * @returns bytes of the module, as it is and compressed
 */
export async function packClient (outdir: string): Promise<{ bytes: number, gzip: number }> {
  await mkdir(outdir, { recursive: true })
  await build({
    entryPoints: [ENTRY],
    outfile: join(outdir, 'index.js'),
    bundle: true,
    minify: true,
    platform: 'neutral',
    target: 'es2022',
    format: 'esm',
    sourcemap: 'linked',
    logLevel: 'warning'
  })
  for (const [name, text] of declarations()) await writeFile(join(outdir, name), text)
  const { version, license, engines } = JSON.parse(await readFile('package.json', 'utf8')) as {
    version: string,
    license: string,
    engines: object
  }
  const manifest = {
    name: '@sync-hub/client',
    version,
    description:
      'The client of Sync Hub for browsers and Node: a replica and an outbox that survive anything.',
    license,
    type: 'module',
    sideEffects: false,
    exports: { '.': { types: './index.d.ts', default: './index.js' }, './package.json': './package.json' },
    types: './index.d.ts',
    files: ['*.js', '*.js.map', '*.d.ts'],
    engines
  }
  await writeFile(join(outdir, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`)
  for (const [from, to] of [['LICENSE', 'LICENSE'], ['docs/client.md', 'README.md']] as const) {
    // An image is built without documents.
    await copyFile(from, join(outdir, to)).catch(() => {})
  }
  const code = await readFile(join(outdir, 'index.js'))
  return { bytes: code.length, gzip: gzipSync(code, { level: 9 }).length }
}

/** The client's declarations. Those of records are written out: their schemas are the hub's, and stay there. */
function declarations (): Map<string, string> {
  const { config } = ts.readConfigFile('tsconfig.json', (path) => ts.sys.readFile(path)) as { config: object }
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [ENTRY] }, ts.sys, '.')
  const program = ts.createProgram([ENTRY], {
    ...options,
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
    removeComments: false,
    outDir: 'out'
  })
  const found = new Map<string, string>()
  program.emit(
    undefined,
    (path, text) => {
      const [, name] = /src\/client\/([\w-]+\.d\.ts)$/.exec(path) ?? []
      if (name !== undefined) {
        found.set(
          name,
          text.replace(/(from '\.\/[\w-]+)\.ts'/g, "$1.js'").replace(/(from "\.\/[\w-]+)\.ts"/g, '$1.js"')
        )
      }
    },
    undefined,
    true
  )
  found.set('records.d.ts', recordsOf(program))
  return found
}

function recordsOf (program: ts.Program): string {
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(RECORDS)!
  const format = ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.InTypeAlias |
    ts.TypeFormatFlags.UseSingleQuotesForStringLiteralType | ts.TypeFormatFlags.MultilineObjectLiterals
  return checker.getExportsOfModule(checker.getSymbolAtLocation(source)!).map((exported) => {
    const properties = checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(exported)).map(
      (property) => {
        const fields = checker.getPropertiesOfType(checker.getTypeOfSymbol(property)).map((field) => {
          const isOptional = (field.flags & ts.SymbolFlags.Optional) !== 0
          const type = checker.typeToString(
            isOptional
              ? checker.getNonNullableType(checker.getTypeOfSymbol(field))
              : checker.getTypeOfSymbol(field),
            undefined,
            format
          )
          return `    ${field.name}${isOptional ? '?' : ''}: ${type};`
        })
        return [`  readonly ${property.name}: {`, ...fields, '  };'].join('\n')
      }
    )
    return `export interface ${exported.name} {\n${properties.join('\n')}\n}\n`
  }).join('\n')
}
