import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'

const root = fileURLToPath(new URL('../src/', import.meta.url))

type Import = { from: string; to: string; isType: boolean }

/** The folder of src/ that a file stands in, or the file's own name if it stands at the top. */
function partOf(path: string): string {
  const [first = '', ...rest] = path.split('/')
  return rest.length === 0 ? first.replace(/\.ts$/, '') : first
}

/** What everyone may import, but for those who know nothing. */
const common = ['message', 'runtime', 'metrics']

/** What each part may import beside itself. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  message: [],
  runtime: [],
  metrics: ['message'],
  config: common,
  log: common,
  deliver: common,
  wake: common,
  // It is loaded only where traces are on, so nobody but main imports it at run time.
  trace: common,
  kafka: common,
  ingest: [...common, 'log', 'kafka'],
  dispatch: [...common, 'log', 'wake'],
  api: [...common, 'log'],
  embedded: [...common, 'config', 'commands', 'kafka'],
  archive: [...common, 'log'],
  verify: ['config'],
  // It asks over the API alone, as anybody could.
  tqp: ['runtime', 'config', 'commands'],
  commands: [...common, 'config', 'log', 'kafka', 'archive', 'verify'],
}

// Parts that may take the types of others: those that are pure and those that must be independent may not.
const mayTakeTypes = [
  'config',
  'log',
  'kafka',
  'deliver',
  'wake',
  'trace',
  'ingest',
  'dispatch',
  'api',
  'archive',
  'embedded',
]
// They meet in the log and nowhere else, not even by their types.
const meetInTheLog = ['ingest', 'dispatch', 'api']
// Files at the top of src/ that put the parts together. Nobody imports main.
const wiring = ['main', 'prepare-database', 'service', 'banner']
// What every command is run and recorded by. Nobody imports a command itself.
const runners = ['commands/run-command.ts', 'commands/record-command.ts', 'commands/explain-database.ts']

const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .sort()
const sources = new Map(
  files.map((path) => [
    path,
    ts.createSourceFile(path, readFileSync(join(root, path), 'utf8'), ts.ScriptTarget.ES2023, true),
  ]),
)

function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node)
  node.forEachChild((child) => walk(child, visit))
}

function isWiring(path: string): boolean {
  return !path.includes('/') && wiring.includes(partOf(path))
}

/** Imports, re-exports and dynamic imports; `typeof import()` and `import type` bring nothing in at run time. */
function importsOf(source: ts.SourceFile): { specifier: string; isType: boolean }[] {
  const found: { specifier: string; isType: boolean }[] = []
  walk(source, (node) => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
      if (node.moduleSpecifier === undefined || !ts.isStringLiteral(node.moduleSpecifier)) return
      found.push({ specifier: node.moduleSpecifier.text, isType: isTypeOnly(node) })
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [argument] = node.arguments
      if (argument !== undefined && ts.isStringLiteral(argument))
        found.push({ specifier: argument.text, isType: false })
    }
  })
  return found
}

function isTypeOnly(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(node)) return node.isTypeOnly
  const clause = node.importClause
  if (clause === undefined) return false
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true
  const bindings = clause.namedBindings
  return (
    clause.name === undefined &&
    bindings !== undefined &&
    ts.isNamedImports(bindings) &&
    bindings.elements.length > 0 &&
    bindings.elements.every((element) => element.isTypeOnly)
  )
}

const internal: Import[] = [...sources].flatMap(([path, source]) =>
  importsOf(source)
    .filter(({ specifier }) => specifier.startsWith('.'))
    .map(({ specifier, isType }) => ({ from: path, to: normalize(join(dirname(path), specifier)), isType })),
)

/** Why an import is not allowed; null if it is. */
function judge({ from, to, isType }: Import): string | null {
  const [part, target] = [partOf(from), partOf(to)]
  const because = (why: string): string => `src/${from} imports src/${to}: ${why}`
  if (to.startsWith('..')) return because('it lies outside src/')
  if (isWiring(to) && !(isWiring(from) && target !== 'main')) return because(`nobody imports ${target}.ts`)
  if (target === 'commands' && !runners.includes(to)) return because('nobody imports a command')
  if (target === 'embedded' && part !== 'embedded' && part !== 'main' && !isType)
    return because('only main knows the embedded parts')
  if (part === target || isWiring(from)) return null
  if (isType && mayTakeTypes.includes(part) && !meetInTheLog.includes(target)) return null
  const may = allowed[part] ?? []
  if (may.includes(target)) return null
  return because(
    may.length === 0 ? `${part} imports nothing of ours` : `${part} imports only ${may.join(', ')}`,
  )
}

/** Types count too: who reads one file of a circle has to read them all. */
function findCircles(imports: readonly Import[]): string[] {
  const targets = new Map<string, string[]>()
  for (const { from, to } of imports) targets.set(from, [...(targets.get(from) ?? []), to])
  const done = new Set<string>()
  const circles: string[] = []
  const visit = (path: string, way: readonly string[]): void => {
    const at = way.indexOf(path)
    if (at >= 0) circles.push([...way.slice(at), path].join(' → '))
    if (at >= 0 || done.has(path)) return
    for (const next of targets.get(path) ?? []) visit(next, [...way, path])
    done.add(path)
  }
  for (const path of targets.keys()) visit(path, [])
  return circles
}

t.test('every part of src/ is in the import table', async (t) => {
  const parts = new Set(files.filter((path) => !isWiring(path)).map(partOf))
  t.strictSame(
    [...parts].filter((part) => !(part in allowed)),
    [],
  )
})

t.test('the parts import each other only as the table says', async (t) => {
  t.strictSame(internal.map(judge).filter(Boolean), [])
})

/** Whether a file of one folder imports a file of the other at run time. */
function crossings(from: string, to: string): string[] {
  return internal
    .filter((each) => each.from.startsWith(from) && each.to.startsWith(to) && !each.isType)
    .map((each) => each.to)
}

t.test('what reads the log cannot change it', async (t) => {
  t.strictSame(crossings('log/read/', 'log/write/'), [])
  t.strictSame(crossings('log/server/', 'log/write/'), [])
  t.strictSame(
    [...new Set(crossings('api/', 'log/write/'))].sort(),
    [
      'log/write/decide-message.ts',
      'log/write/expunge.ts',
      'log/write/fold-counts.ts',
      'log/write/plan-replay.ts',
      'log/write/record-accesses.ts',
      'log/write/replay.ts',
      'log/write/steer-destination.ts',
      'log/write/steer-job.ts',
    ],
    'an operator replays, expunges, decides, plans, pauses and resumes, what was counted is folded before it is read, and accesses are recorded',
  )
})

t.test('kafkajs is known to src/kafka alone', async (t) => {
  const users = [...sources]
    .filter(([, source]) => importsOf(source).some(({ specifier }) => specifier.startsWith('kafkajs')))
    .map(([path]) => path)
  t.strictSame(
    users.filter((path) => !path.startsWith('kafka/')),
    [],
  )
})

t.test('no file imports itself by way of others', async (t) => {
  t.strictSame(findCircles(internal), [])
  const circle = ['a', 'b', 'c'].map((from, at, all) => ({ from, to: all[(at + 1) % 3] ?? '', isType: true }))
  t.strictSame(findCircles([...circle, { from: 'd', to: 'a', isType: false }]), ['a → b → c → a'])
})

t.test('the table catches what it is there for', async (t) => {
  const refused: [string, string][] = [
    ['ingest/a.ts', 'dispatch/lane.ts'],
    ['api/a.ts', 'ingest/store.ts'],
    ['dispatch/a.ts', 'deliver/deliver.ts'],
    ['log/a.ts', 'dispatch/lane.ts'],
    ['message/a.ts', 'log/claim.ts'],
    ['message/a.ts', 'runtime/wait.ts'],
    ['wake/a.ts', 'log/look.ts'],
    ['deliver/a.ts', 'log/look.ts'],
    ['verify/a.ts', 'log/look.ts'],
    ['verify/a.ts', 'message/idempotency-key.ts'],
    ['kafka/a.ts', 'log/look.ts'],
    ['kafka/a.ts', 'ingest/store.ts'],
    ['runtime/a.ts', 'kafka/connect.ts'],
    ['commands/a.ts', 'commands/verify.ts'],
    ['commands/a.ts', 'embedded/start-embedded.ts'],
    ['service.ts', 'embedded/start-embedded.ts'],
    ['ingest/a.ts', 'embedded/start-embedded.ts'],
    ['api/a.ts', 'main.ts'],
    ['service.ts', 'main.ts'],
    ['api/a.ts', 'service.ts'],
  ]
  for (const [from, to] of refused) t.ok(judge({ from, to, isType: false }), `src/${from} → src/${to}`)
  t.ok(judge({ from: 'api/a.ts', to: 'dispatch/lane.ts', isType: true }), 'not even their types')
  t.equal(judge({ from: 'dispatch/a.ts', to: 'log/look.ts', isType: false }), null)
  t.ok(judge({ from: 'verify/a.ts', to: 'log/look.ts', isType: true }), 'not even its types')
  t.equal(judge({ from: 'banner.ts', to: 'embedded/start-embedded.ts', isType: true }), null)
  t.equal(judge({ from: 'main.ts', to: 'embedded/start-embedded.ts', isType: false }), null)
})

t.test('the domain is pure: of the platform message imports nothing but a hash', async (t) => {
  const outside = [...sources]
    .filter(([path]) => path.startsWith('message/'))
    .flatMap(([path, source]) => importsOf(source).map(({ specifier }) => ({ path, specifier })))
    .filter(({ specifier }) => !specifier.startsWith('.') && specifier !== 'node:crypto')
  t.strictSame(outside, [])
})

t.test('process.env is read only by config.ts', async (t) => {
  const readers: string[] = []
  for (const [path, source] of sources) {
    walk(source, (node) => {
      const named =
        (ts.isPropertyAccessExpression(node) && node.name.text === 'env') ||
        (ts.isElementAccessExpression(node) &&
          ts.isStringLiteral(node.argumentExpression) &&
          node.argumentExpression.text === 'env')
      if (named && node.expression.getText() === 'process' && path !== 'config.ts') readers.push(path)
    })
  }
  t.strictSame(readers, [])
})

// Statements, as they begin.
const sql =
  /^\s*(select\s|insert\s+into\s|update\s+\S+\s+set\s|delete\s+from\s|with\s+\S+\s+as\s|truncate\s|begin$|commit$|rollback$)/i

// migrate keeps the history of migrations; pooler asks a connection who serves it; the embedded server is asked whether it answers and
// where its data is.
const besideTheLog =
  /^(log|verify)\/|^runtime\/(migrate|apply-functions|replace-function|in-transaction|explain-held-lock|lock-tables|pooler|prepare-session|proven-pool)\.ts$|^embedded\/(start-postgres\.ts$|postgres\/)/

t.test('SQL stands only in log, verify and migrations', async (t) => {
  const found: string[] = []
  for (const [path, source] of sources) {
    if (besideTheLog.test(path)) continue
    walk(source, (node) => {
      if (!ts.isStringLiteralLike(node) && !ts.isTemplateExpression(node)) return
      const text = ts.isTemplateExpression(node) ? node.getText().slice(1, -1) : node.text
      if (sql.test(text)) found.push(`src/${path}: ${text.trim().slice(0, 60)}`)
    })
  }
  t.strictSame(found, [])
})

t.test('the streams are about the log: they know nothing of GraphQL', async (t) => {
  const known = [...sources]
    .filter(([path]) => path.startsWith('api/stream/'))
    .flatMap(([path, source]) => importsOf(source).map(({ specifier }) => `${path} imports ${specifier}`))
    .filter((each) => each.includes('graphql'))
  t.strictSame(known, [])
})
