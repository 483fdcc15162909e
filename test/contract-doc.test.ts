import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { eventTypes, statuses } from '../src/message/message.ts'
import { startService } from './api/service.ts'
import { database } from './support/database.ts'
import { writeHistory } from './verify/history.ts'

const root = join(import.meta.dirname, '..')
const documented = readFileSync(join(root, 'docs/contract.md'), 'utf8')
/** What stands beside every event, whatever its type. */
const common = ['message_id', 'version', 'position', 'recorded_at', 'type', 'actor', 'status', 'retry_count']
/** The one warning that `inspectServer` has for the log. */
const warning =
  'full_page_writes is off: unless the file system never writes half a page, a crash may damage the log'
const { pool } = await database(t)
await writeHistory(pool)

t.test('every table and view is named, as one to read or one to leave alone', async (t) => {
  const { rows } = await pool.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v')
       and not relispartition`,
  )
  const [, alone = ''] = documented.split('Leave these alone.')
  const named = [...cells('table or view', 0), ...quoted(alone.split('\n\n')[0]!)]
  t.strictSame(named.sort(), rows.map(({ name }) => name).sort())
})

t.test('what is called append-only is what the database keeps so', async (t) => {
  const { rows } = await pool.query<{ name: string }>(
    `select c.relname as name from pg_trigger t join pg_class c on c.oid = t.tgrelid
     where t.tgname = 'append_only' and not c.relispartition`,
  )
  const called = table('table or view')
    .filter((row) => row[1]?.includes('append-only'))
    .flatMap(([name = '']) => quoted(name))
  t.strictSame(called.sort(), rows.map(({ name }) => name).sort())
})

for (const name of ['messages', 'message_events']) {
  t.test(`every column of ${name} is explained`, async (t) => {
    const { rows } = await pool.query<{ name: string }>(
      `select attname as name from pg_attribute where attrelid = $1::regclass and attnum > 0`,
      [name],
    )
    const [, section = ''] = documented.split(`\n### ${name}\n`)
    t.strictSame(cells('column', 0, section).sort(), rows.map((row) => row.name).sort())
  })
}

t.test('every event has the columns that its type is said to have', async (t) => {
  const { rows } = await pool.query<{ type: string; columns: string[] }>(
    `select e.type, array_agg(distinct c.key) as columns
      from message_events e cross join lateral jsonb_each_text(to_jsonb(e)) c
      where c.value is not null and c.key <> all ($1)
      group by e.type`,
    [common],
  )
  const told = table('type').map(([type = '', , columns = '']): [string, string[]] => [
    quoted(type)[0]!,
    // No replay of the history names a key.
    quoted(columns)
      .filter((column) => column !== 'request_key')
      .sort(),
  ])
  t.strictSame(
    Object.fromEntries(told),
    Object.fromEntries(rows.map(({ type, columns }) => [type, columns.sort()])),
  )
})

t.test('the statuses, types and outcomes are those of the code and the database', async (t) => {
  t.strictSame(cells('status', 0).sort(), [...statuses].sort())
  t.strictSame(cells('type', 0).sort(), [...eventTypes].sort())
  const { rows } = await pool.query<{ rule: string }>(
    `select pg_get_constraintdef(oid) as rule from pg_constraint where conname = 'message_events_outcome_check'`,
  )
  t.strictSame(
    cells('outcome', 0),
    [...rows[0]!.rule.matchAll(/'(\w+)'/g)].map(([, kind]) => kind),
  )
})

t.test('every channel is one that is notified, and every one that is notified is there', (t) => {
  const sources = [...textsBelow('migrations', '.sql'), ...textsBelow('src', '.ts')].join('\n')
  const notified = [...sources.matchAll(/(?:pg_notify\(|heartbeatChannel = )'(\w+)'/g)].map(
    ([, name]) => name!,
  )
  t.strictSame(cells('channel', 0).sort(), [...new Set(notified)].sort())
  t.end()
})

t.test('every line of the log is in the table with its level, and no other', (t) => {
  t.ok(textsBelow('src/log', 'inspect-server.ts')[0]?.includes(`'${warning}'`), 'the warning is what it was')
  const told = table('event').map(([event = '', level]) => `${level} ${quoted(event)[0]}`)
  t.strictSame(told.sort(), [...new Set(logLines())].sort())
  t.end()
})

t.test(
  'every metric of ours that a scrape shows is in the table with its labels, and no other',
  async (t) => {
    const { call } = await startService(t, pool)
    const { text } = await call('GET', '/metrics', { headers: { accept: 'text/plain' } })
    const shown = [...text.matchAll(/^# TYPE (tqp_\S+)/gm)].map(([, name]) => name!)
    t.strictSame(cells('metric', 0).sort(), shown.sort())
    const told = Object.fromEntries(
      table('metric').map(([metric = '', labels = '']) => [quoted(metric)[0]!, quoted(labels).sort()]),
    )
    const seen = new Map<string, Set<string>>()
    for (const [, name = '', , labels = ''] of text.matchAll(/^(tqp_\w+?)(_bucket)?\{(.*)\} /gm)) {
      const names = [...labels.matchAll(/(\w+)="/g)].map(([, label]) => label!)
      seen.set(name, new Set([...(seen.get(name) ?? []), ...names.filter((label) => label !== 'le')]))
    }
    // A metric that has no series yet shows no labels, and the sum of a histogram has those of its buckets.
    for (const [name, labels] of seen)
      if (told[name] !== undefined) t.strictSame([...labels].sort(), told[name], name)
  },
)

/** The rows of the first table whose head begins so, each as its cells. */
function table(head: string, text = documented): string[][] {
  const lines = text.split('\n')
  const at = lines.findIndex((line) => line.startsWith(`| ${head} |`))
  if (at < 0) throw new Error(`no table begins with ${head}`)
  const rows = lines.slice(at + 2)
  const end = rows.findIndex((line) => !line.startsWith('|'))
  return rows.slice(0, end < 0 ? undefined : end).map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  )
}

/** What stands between backticks in one column of such a table. */
function cells(head: string, column: number, text?: string): string[] {
  return table(head, text).flatMap((row) => quoted(row[column] ?? ''))
}

function quoted(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)
}

function textsBelow(folder: string, ending: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => readFileSync(join(root, folder, name), 'utf8'))
}

/** Every line that the code has for its logger, as its level and its event. */
function logLines(): string[] {
  const found: string[] = []
  for (const text of textsBelow('src', '.ts')) {
    const visit = (node: ts.Node) => {
      if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
        const { name, expression } = node.expression
        if (/^(debug|info|warn|error)$/.test(name.text) && /logger$/.test(expression.getText()))
          for (const event of eventsOf(node)) found.push(`${name.text} ${event}`)
      }
      node.forEachChild(visit)
    }
    visit(ts.createSourceFile('source.ts', text, ts.ScriptTarget.ES2023, true))
  }
  return found
}

/** The event is the last argument: a text, two of which one is chosen, or one that is put together. */
function eventsOf({ arguments: given }: ts.CallExpression): string[] {
  const last = given.at(-1)!
  if (ts.isConditionalExpression(last)) return [textOf(last.whenTrue), textOf(last.whenFalse)]
  if (ts.isIdentifier(last) && last.text === 'warning') return [warning]
  return [textOf(last)]
}

function textOf(node: ts.Expression): string {
  if (ts.isStringLiteralLike(node)) return node.text
  if (ts.isBinaryExpression(node)) return textOf(node.left) + textOf(node.right)
  throw new Error(`an event that cannot be read: ${node.getText()}`)
}
