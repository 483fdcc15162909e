import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { buildSchema, parse, validate } from 'graphql'
import { parsers } from 'prettier/plugins/markdown'
import t from 'tap'
import { database } from './support/database.ts'

/** Every file by its path from the root; the text of documents and code, and of nothing else. */
type Files = ReadonlyMap<string, string>
type Repository = { readonly files: Files; readonly scripts: ReadonlySet<string> }

/** What a document says that can be looked up. */
type Reading = {
  readonly links: readonly string[]
  /** Spans and blocks of code. */
  readonly codes: readonly string[]
  readonly headings: readonly { readonly depth: number; readonly text: string }[]
  readonly paragraphs: readonly string[]
}

/** Of mdast, which prettier's parser answers: https://github.com/syntax-tree/mdast */
type Node = {
  readonly type: string
  readonly value?: string
  readonly url?: string
  readonly depth?: number
  readonly children?: readonly Node[]
}

const root = join(import.meta.dirname, '..')
const notOurs = new Set(['node_modules', '.git', 'dist', '.tap', '.data'])
const repository: Repository = { files: readFiles(), scripts: readScripts() }

function readFiles(): Files {
  const files = new Map<string, string>()
  const enter = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = posix.join(folder, entry.name)
      if (notOurs.has(entry.name)) continue
      if (entry.isDirectory()) enter(path)
      else files.set(path, /\.(md|ts|js|sql)$/.test(path) ? readFileSync(join(root, path), 'utf8') : '')
    }
  }
  enter('')
  return files
}

function readScripts(): Set<string> {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  return new Set(Object.keys(scripts))
}

function isDocument(path: string): boolean {
  return /^(docs\/.*|[^/]*)\.md$/.test(path)
}

async function read(text: string): Promise<Reading> {
  // The parser needs none of prettier's options, whatever its type says.
  const tree = (await parsers.markdown.parse(text, {} as never)) as Node
  const links: string[] = []
  const codes: string[] = []
  const headings: { depth: number; text: string }[] = []
  const paragraphs: string[] = []
  const visit = (node: Node): void => {
    const { type, value = '', url, depth = 0 } = node
    if (url !== undefined) links.push(url)
    if (type === 'html')
      links.push(...[...value.matchAll(/\b(?:href|src)="([^"]+)"/g)].map(([, to = '']) => to))
    if (type === 'inlineCode' || type === 'code') codes.push(value)
    if (type === 'heading') headings.push({ depth, text: textOf(node) })
    if (type === 'paragraph') paragraphs.push(textOf(node))
    node.children?.forEach(visit)
  }
  visit(tree)
  return { links, codes, headings, paragraphs }
}

function textOf({ value = '', children = [] }: Node): string {
  return value + children.map(textOf).join('')
}

/** The anchors that GitHub gives to headings: https://github.com/Flet/github-slugger */
function anchorsOf({ headings }: Reading): Set<string> {
  const anchors = new Set<string>()
  for (const { text } of headings) {
    const slug = text
      .toLowerCase()
      .replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '')
      .replaceAll(' ', '-')
    let anchor = slug
    for (let again = 1; anchors.has(anchor); again++) anchor = `${slug}-${again}`
    anchors.add(anchor)
  }
  return anchors
}

function exists({ files }: Repository, path: string): boolean {
  return files.has(path) || [...files.keys()].some((each) => each.startsWith(`${path.replace(/\/$/, '')}/`))
}

/** What is wrong with the document, in sentences. */
async function judge(repository: Repository, path: string): Promise<string[]> {
  const reading = await read(repository.files.get(path) ?? '')
  const links = await Promise.all(reading.links.map((link) => judgeLink(repository, path, link)))
  return [
    ...links,
    ...pathsIn(reading.codes).map((each) => (exists(repository, each) ? null : `there is no ${each}`)),
    ...scriptsIn(reading.codes).map((each) =>
      repository.scripts.has(each) ? null : `package.json has no script ${each}`,
    ),
    ...bodiesIn(reading.codes).map(judgeBody),
  ]
    .filter((fault) => fault !== null)
    .map((fault) => `${path}: ${fault}`)
}

async function judgeLink(repository: Repository, from: string, link: string): Promise<string | null> {
  if (/^[a-z][a-z0-9+.-]*:|^\/\//i.test(link)) return null
  const [to = '', anchor] = decodeURIComponent(link).split('#')
  const path =
    to === '' ? from : posix.normalize(posix.join(to.startsWith('/') ? '' : posix.dirname(from), to))
  if (path.startsWith('..')) return `${link} leaves the repository`
  if (!exists(repository, path)) return `${link} leads nowhere`
  const text = repository.files.get(path)
  if (anchor === undefined || text === undefined || !path.endsWith('.md')) return null
  return anchorsOf(await read(text)).has(anchor) ? null : `${link} names no heading`
}

/**
 * Paths of the repository that stand in code. A name in capitals (`NAME.sql`) and an ellipsis stand for whatever the reader puts
 * there; of `{read,write}` each is meant.
 */
function pathsIn(codes: readonly string[]): string[] {
  return codes
    .flatMap((code) => code.split(/[\s'"`(),;]+(?![^{]*})/))
    .filter((word) => /^(src|test|migrations|bench)\/[\w./{},-]+$/.test(word))
    .flatMap(expand)
    .map((path) => path.replace(/[.:]$/, ''))
    .filter((path) => !path.split('/').some((name) => /^[A-Z_]+(\.|$)/.test(name)))
}

function expand(path: string): string[] {
  const [, head = '', choices, tail = ''] = /^([^{]*)\{([^}]*)\}(.*)$/.exec(path) ?? [undefined, path]
  if (choices === undefined) return [path]
  return choices.split(',').flatMap((choice) => expand(`${head}${choice}${tail}`))
}

/** Scripts that the code runs with npm. One in capitals stands for any. */
function scriptsIn(codes: readonly string[]): string[] {
  return codes
    .flatMap((code) => [...code.matchAll(/\bnpm (?:run (?:--?\S+ )*|(?=(?:start|test)\b))([\w:.-]+)/g)])
    .map(([, name = '']) => name)
    .filter((name) => !/^[A-Z]+$/.test(name))
}

/** What the code has curl send. */
function bodiesIn(codes: readonly string[]): string[] {
  return codes.flatMap((code) => [...code.matchAll(/ -d '([^']*)'/g)]).map(([, body = '']) => body)
}

const schema = buildSchema(readFileSync(join(root, 'schema/schema.graphql'), 'utf8'))

function judgeBody(body: string): string | null {
  try {
    const { query } = JSON.parse(body) as { query?: string }
    const [fault] = query === undefined ? [] : validate(schema, parse(query))
    return fault === undefined ? null : `${body} asks for what is not there`
  } catch {
    return `${body} is not JSON`
  }
}

/** Documents that code names, as a reader finds them from the root; not those of others, which stand in URLs or have an underscore. */
function documentsIn(code: string): string[] {
  return [...code.matchAll(/(?<![\w./-])(?:\.\.\/)*([A-Za-z0-9/-]+\.md)\b/g)].map(([, path = '']) => path)
}

const decisionsIndex = 'docs/decisions/README.md'
// What fits on a page.
const decisionLinesMax = 60

async function judgeDecision({ files }: Repository, path: string): Promise<string[]> {
  const text = files.get(path) ?? ''
  const { headings, paragraphs } = await read(text)
  const faults: string[] = []
  const number = /^docs\/decisions\/(\d{4})-[a-z0-9-]+\.md$/.exec(path)?.[1]
  const [title, ...parts] = headings.map((heading) => heading.text)
  if (number === undefined) faults.push('is not named NNNN-title.md')
  if (title === undefined || !title.startsWith(`${number}. `))
    faults.push('does not begin with its number and title')
  if (!/^Context,Decision,(Measurement,)?Consequence$/.test(parts.join()))
    faults.push('has other parts than Context, Decision, Measurement (where there is one), Consequence')
  if (!/^Status: (accepted|superseded by \d{4})$/.test(paragraphs[0] ?? '')) faults.push('has no status')
  if (text.trimEnd().split('\n').length > decisionLinesMax) faults.push('is longer than a page')
  const inIndex = `[${title?.slice(number === undefined ? 0 : number.length + 2)}](${posix.basename(path)})`
  if (!files.get(decisionsIndex)?.includes(`| ${number} | ${inIndex} |`))
    faults.push('is not in the index by its title')
  return faults.map((fault) => `${path} ${fault}`)
}

function decisionsOf({ files }: Repository): string[] {
  return [...files.keys()].filter((path) => path.startsWith('docs/decisions/') && path !== decisionsIndex)
}

t.test('every link, path and script that the documents name is there', async (t) => {
  const documents = [...repository.files.keys()].filter(isDocument)
  for (const path of ['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', decisionsIndex])
    t.ok(documents.includes(path), path)
  const faults = await Promise.all(documents.map((path) => judge(repository, path)))
  t.strictSame(faults.flat(), [])
})

t.test('every document that code names is there', async (t) => {
  const code = [...repository.files].filter(
    ([path]) => /^(src|test|bench|migrations)\//.test(path) && path !== 'test/docs.test.ts',
  )
  const named = code.flatMap(([from, text]) => documentsIn(text).map((path) => ({ from, path })))
  t.ok(named.length > 5, `${named.length} are named`)
  t.strictSame(
    named.filter(({ path }) => !repository.files.has(path)),
    [],
  )
  t.strictSame(
    documentsIn("// see design.md §6, docs/a.md\nreadFile('../../docs/b.md') https://a.org/c/d.md"),
    ['design.md', 'docs/a.md', 'docs/b.md'],
  )
})

t.test('no line of prose is longer than a reader of the source can take in', (t) => {
  const long: string[] = []
  for (const [path, text] of repository.files) {
    if (!isDocument(path)) continue
    const prose = text.replaceAll(/^ *(```|~~~)[^]*?^ *\1/gm, (block) =>
      '\n'.repeat(block.split('\n').length - 1),
    )
    prose.split('\n').forEach((line, at) => {
      if (line.length > 150 && !/^ *\|/.test(line)) long.push(`${path}:${at + 1}`)
    })
  }
  t.strictSame(long, [])
  t.end()
})

t.test('every decision has its parts, and its place in the index', async (t) => {
  const decisions = decisionsOf(repository)
  t.ok(decisions.length > 50, `${decisions.length} decisions`)
  const faults = await Promise.all(decisions.map((path) => judgeDecision(repository, path)))
  t.strictSame(faults.flat(), [])
  const numbers = decisions.map((path) => posix.basename(path).slice(0, 4))
  t.equal(new Set(numbers).size, numbers.length, 'no number is given twice')
})

t.test('a document that names what is not there is caught', async (t) => {
  const others: [string, string][] = [
    ['src/log/write/to-claim.ts', ''],
    ['src/log/read/list.ts', ''],
    ['docs/kafka.md', '# Kafka\n\n## What `npm start` does, at once\n\n## Twice\n\n## Twice\n'],
    ['docs/picture.png', ''],
  ]
  const judged = (path: string, text: string): Promise<string[]> =>
    judge({ files: new Map([...others, [path, text]]), scripts: new Set(['bench', 'start']) }, path)

  const broken: [string, string][] = [
    ['[a](docs/kafak.md)', 'docs/kafak.md leads nowhere'],
    ['[a](docs/kafka.md#how)', 'docs/kafka.md#how names no heading'],
    ['[a](docs/kafka.md#twice-2)', 'docs/kafka.md#twice-2 names no heading'],
    ['# Top\n\n[a](#bottom)', '#bottom names no heading'],
    ['[a](../main/README.md)', '../main/README.md leaves the repository'],
    ['[a]: docs/gone.md', 'docs/gone.md leads nowhere'],
    ['![a](docs/gone.png)', 'docs/gone.png leads nowhere'],
    ['<img src="docs/gone.png" alt="">', 'docs/gone.png leads nowhere'],
    ['See `src/claim.ts`.', 'there is no src/claim.ts'],
    ['See `test/{log,gone}/a.test.ts`.', 'there is no test/log/a.test.ts'],
    ['| a |\n|---|\n| `migrations/0009_gone.sql` |', 'there is no migrations/0009_gone.sql'],
    ['```sh\nnpx tap bench/gone.ts\n```', 'there is no bench/gone.ts'],
    ['Run `npm run bnech -- --count 1`.', 'package.json has no script bnech'],
    ['```sh\nnpm run --silent gone\n```', 'package.json has no script gone'],
    ['Run `npm test`.', 'package.json has no script test'],
    ['```sh\ncurl localhost -d \'{"a": "b\n c"}\'\n```', '{"a": "b\n c"} is not JSON'],
    [
      '```sh\ncurl localhost -d \'{"query": "{ gone }"}\'\n```',
      '{"query": "{ gone }"} asks for what is not there',
    ],
  ]
  for (const [text, fault] of broken) {
    const [first = 'nothing'] = await judged('README.md', text)
    t.equal(first, `README.md: ${fault}`)
  }
  t.strictSame(await judged('docs/more.md', '[a](docs/kafka.md)'), [
    'docs/more.md: docs/kafka.md leads nowhere',
  ])

  const sound = [
    '[a](docs/kafka.md) [b](docs/kafka.md#twice-1) [c](docs/kafka.md#what-npm-start-does-at-once) [d](docs)',
    '# Top\n\n[a](#top) [b](https://example.org/#gone) [c](mailto:a@example.org) ![d](docs/picture.png)',
    '`src/log/{read,write}` `src/log/` `src/log/write/NAME.ts` `src/…` `src/log/write/to-claim.ts`',
    '`npm run NAME`, `npm run bench -- --count 1`, `npm start`, `npm ci`',
    '```sh\ncurl localhost -d \'{"query": "{ head { cursor } }"}\' -d @-\n```',
    'Of `lib/gone.ts` and src/gone.ts nothing is said in code of ours.',
  ]
  for (const text of sound) t.strictSame(await judged('README.md', text), [], text)
})

t.test('a decision without a part, a status or a place in the index is caught', async (t) => {
  const path = 'docs/decisions/0007-wait.md'
  const whole =
    '# 0007. Wait\n\nStatus: accepted\n\n## Context\n\nc\n\n## Decision\n\nd\n\n## Measurement\n\nm\n\n## Consequence\n\nq\n'
  const judged = (
    text: string,
    at = path,
    index = '| 0007 | [Wait](0007-wait.md) | . |',
  ): Promise<string[]> =>
    judgeDecision(
      {
        files: new Map([
          [at, text],
          [decisionsIndex, index],
        ]),
        scripts: new Set(),
      },
      at,
    )

  t.strictSame(await judged(whole), [])
  t.strictSame(await judged(whole.replace('## Measurement\n\nm\n\n', '')), [])
  t.strictSame(await judged(whole.replace('accepted', 'superseded by [0008](0008-go.md)')), [])
  const broken: [Promise<string[]>, string][] = [
    [judged(whole.replace('# 0007. Wait', '# Wait')), 'does not begin with its number and title'],
    [judged(whole.replace('Status: accepted\n\n', '')), 'has no status'],
    [judged(whole.replace('accepted', 'proposed')), 'has no status'],
    [judged(whole.replace('## Consequence\n\nq\n', '')), 'has other parts than'],
    [judged(whole.replace('## Context', '## Background')), 'has other parts than'],
    [judged(`${whole}${'\n\nmore'.repeat(decisionLinesMax)}`), 'is longer than a page'],
    [judged(whole, path, '| 0007 | [Go](0007-wait.md) | . |'), 'is not in the index by its title'],
    [judged(whole, path, ''), 'is not in the index by its title'],
    [judged(whole, 'docs/decisions/wait.md'), 'is not named NNNN-title.md'],
  ]
  for (const [judgement, fault] of broken) {
    const [first = 'nothing'] = await judgement
    t.ok(first.includes(fault), `${first} (expected: ${fault})`)
  }
})

t.test("the diagram of a message's statuses is what the log allows", async (t) => {
  const { pool } = await database(t)
  const { rows } = await pool.query<{ transition: string }>(
    `select format('%s by %s to %s', from_status, type, to_status) as transition from legal_transitions
     where from_status <> to_status`,
  )
  const { codes } = await read(repository.files.get('ARCHITECTURE.md') ?? '')
  const diagram = codes.find((code) => code.startsWith('stateDiagram-v2')) ?? ''
  const drawn = [...diagram.matchAll(/^\s*(\S+) --> (\w+): (.+)$/gm)].flatMap(
    ([, from = '', to = '', types = '']) =>
      types.split(', ').map((type) => `${from === '[*]' ? 'none' : from} by ${type} to ${to}`),
  )
  t.ok(drawn.length > 0)
  t.strictSame(drawn.sort(), rows.map(({ transition }) => transition).sort())
})
