import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { registry } from '../entities/index.ts'

/** The plan of the house, held: layers, privileges by folder, and habits that a compiler does not see. */
const files = [...walk('src'), ...walk('entities')].map((path) => ({
  path,
  text: readFileSync(path, 'utf8')
}))
const code = new Map(files.map(({ path, text }) => [path, text.replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, '')]))

function walk (dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? walk(join(dir, entry.name)) : [join(dir, entry.name)]
  )
}

/**
 * From the top down; a file imports its own layer and those below. `src/local` and the entries stand beside
 * the tower.
 */
const LAYERS = [/^src\/(?:server|lambda|authorizer)\.ts$/, /^src\/app\.ts$/, /^src\/routes\//,
  /^src\/plugins\//, /^src\/operations\//, /^src\/services\//, /^src\/engine\//, /^src\/store\//,
  /^src\/(?:config|environment|errors|fair-queue|issuers|limits|misspelt|turns|version)\.ts$/, /^entities\//]
const layerOf = (path: string) => LAYERS.findIndex((layer) => layer.test(path))

function importsOf (path: string): { from: string, typeOnly: boolean }[] {
  const { statements } = ts.createSourceFile(path, code.get(path)!, ts.ScriptTarget.Latest)
  return statements.flatMap((statement) => {
    const isImport = ts.isImportDeclaration(statement)
    if (!isImport && !ts.isExportDeclaration(statement)) return []
    if (statement.moduleSpecifier === undefined) return []
    const { text } = statement.moduleSpecifier as ts.StringLiteral
    return [{
      typeOnly: isImport ? statement.importClause?.isTypeOnly === true : statement.isTypeOnly,
      from: text.startsWith('.') ? relative('.', join(dirname(path), text)) : text
    }]
  })
}

/** Where a pattern occurs, except in the files that may hold it. */
const uses = (pattern: RegExp, allowed: RegExp) =>
  files.map(({ path }) => path).filter((path) => !allowed.test(path) && pattern.test(code.get(path)!))

t.test('each layer imports itself and those below', (t) => {
  for (const { path } of files.filter(({ path }) => layerOf(path) >= 0)) {
    for (const { from } of importsOf(path)) {
      if (!from.startsWith('src/') && !from.startsWith('entities/')) continue
      const ok = from.startsWith('src/local/') ? path === 'src/server.ts' : layerOf(from) >= layerOf(path)
      t.ok(ok, `${path} imports ${from}`)
    }
  }
  t.end()
})

t.test('no file imports itself through others, types included', (t) => {
  const state = new Map<string, 'open' | 'done'>()
  const visit = (path: string, trail: string[]) => {
    if (state.get(path) === 'done') return
    if (state.get(path) === 'open') return t.fail([...trail, path].join(' -> '))
    state.set(path, 'open')
    for (const { from } of importsOf(path)) if (code.has(from)) visit(from, [...trail, path])
    state.set(path, 'done')
  }
  for (const { path } of files) visit(path, [])
  t.equal([...state.values()].filter((value) => value === 'done').length, files.length)
  t.end()
})

t.test('a folder is a privilege', (t) => {
  t.strictSame(
    uses(/from '(?:@aws-sdk|@smithy)/, /^src\/(?:store|local)\/|^src\/app\.ts$/),
    [],
    'the AWS SDK is for the store'
  )
  t.strictSame(
    uses(
      /from '(?:@fastify|fastify)/,
      /^src\/(?:app|lambda|authorizer)\.ts$|^src\/(?:plugins|routes|local)\//
    ),
    [],
    'services, store and entities know no HTTP'
  )
  t.strictSame(uses(/process\.env/, /^src\/config\.ts$/), [], 'the environment is read in one place')
  t.strictSame(
    uses(/\bclaims\b/, /^src\/plugins\/(?:auth\/|tenant\.ts)|^src\/local\/issuer\.ts$/),
    [],
    'claims are read where they are checked'
  )
  t.strictSame(
    uses(
      /\.go\(/,
      /^src\/(?:engine\/(?:rows|batch-rows|idempotency-rows|list|expire)|services\/(?:public-settings|last-seen)|operations\/(?:tenants|audit|pairings))\.ts$/
    ),
    [],
    'rows are read and written in few places'
  )
  t.strictSame(
    uses(/\.(?:find|match|scan)\b\s*\(\{|\.scan\b|ScanCommand/, /^$/),
    [],
    'nothing can become a Scan'
  )
  t.strictSame(uses(/new Service\(/, /^$/), [], 'no shared entity is handed to a Service')
  t.strictSame(uses(/\b(?:enum|namespace)\s+\w+\s*\{|NODE_ENV|AsyncLocalStorage/, /^$/), [])
  t.end()
})

t.test('the client stands alone: of the hub it knows the types of records, and nothing at run time', (t) => {
  for (const { path } of files.filter(({ path }) => path.startsWith('src/client/'))) {
    for (const { from, typeOnly } of importsOf(path)) {
      const isOwn = from.startsWith('src/client/')
      t.ok(isOwn || (typeOnly && /^(?:entities\/[\w-]+\.ts|typebox)$/.test(from)), `${path}: ${from}`)
    }
  }
  t.strictSame(uses(/from '[^']*client\/index/, /^src\/client\//), [], 'and the hub does not know it')
  t.end()
})

t.test('every log of a hub is looked through: tests make hubs by startHub, startApp and startServer', (t) => {
  for (const path of walk('test').filter((path) => path !== 'test/harness/hub.ts')) {
    t.notMatch(readFileSync(path, 'utf8'), /import \{[^}]*\bbuildApp\b[^}]*\} from/, path)
  }
  const servers = walk('test').filter((path) => path.endsWith('.test.ts')).flatMap((path) =>
    Array.from(readFileSync(path, 'utf8').matchAll(/startServer\(\{[^]*?\n/g), ([call]) => call)
  )
  t.ok(servers.length > 0)
  for (const call of servers) t.match(call, /\}, t\)/)
  t.end()
})

t.test('every registry is complete', (t) => {
  const kinds = files.filter(({ text }) => /\bdefine\(\{/.test(text)).map(({ path }) => path)
  t.strictSame(
    kinds.map((path) => /(\w+)\.ts$/.exec(path)![1]).sort(),
    Object.keys(registry).sort(),
    'each kind of record is registered'
  )
  const listed = readFileSync('src/routes/index.ts', 'utf8')
  const routes = files.map(({ path }) => path).filter((path) =>
    path.startsWith('src/routes/') && /export default/.test(code.get(path)!) && !path.endsWith('index.ts')
  )
  for (const path of routes) t.match(listed, `./${path.slice('src/routes/'.length)}`, path)
  for (const entity of walk('entities').filter((path) => /casing|composite/.test(code.get(path)!))) {
    for (const [key] of code.get(entity)!.matchAll(/\{[^{}]*\bcomposite: [^{}]*(?:\$\{\w+\}[^{}]*)*\}/g)) {
      t.match(key, /casing: 'none'/, `${entity}: ${key}`)
    }
    t.equal(
      code.get(entity)!.match(/composite:/g)!.length,
      code.get(entity)!.match(/casing: 'none'/g)!.length
    )
  }
  t.end()
})

/** Files that are longer than a file should be, and how long they may be: to be split, never to be added to. */
const LONG = new Map([['src/engine/writer.ts', 277], ['src/services/bookmarks/import/plan.ts', 253], [
  'src/services/trash.ts',
  262
]])

t.test('files are small, and say in their name what they do', (t) => {
  for (const { path, text } of files) {
    const most = LONG.get(path) ?? 250
    t.ok(text.split('\n').length <= most, `${path} has at most ${most} lines`)
    t.notMatch(path, /util|helper|manager|common|base\b/i)
  }
  t.end()
})
