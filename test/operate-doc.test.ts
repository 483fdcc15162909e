import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '..')
const documented = readFileSync(join(root, 'docs/operate.md'), 'utf8')
const code = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(join(root, 'src', name), 'utf8'))
  .join('\n')

t.test('docs/operate.md has every metric of the service, and no other', (t) => {
  t.strictSame(metricsIn(sectionOf('Metrics')), metricsIn(code))
  const inCode = new Set(metricsIn(code))
  t.strictSame(
    metricsIn(documented).filter((name) => !inCode.has(name)),
    [],
  )
  t.end()
})

t.test('each line of the log that docs/operate.md explains is one that the code writes', (t) => {
  const cells = [...sectionOf("The service's own log").matchAll(/^\| (`[^|]+) \|/gm)].map(
    ([, cell = '']) => cell,
  )
  const events = cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, event = '']) => event))
  t.ok(events.length > 50, `${events.length} lines`)
  // The beginning of one stands for it.
  for (const event of events.filter((each) => each !== 'event' && !each.startsWith('…')))
    t.ok(code.includes(`'${event}`) || code.includes(`"${event}`), event)
  t.end()
})

function sectionOf(heading: string): string {
  const [, rest = ''] = documented.split(`\n## ${heading}\n`)
  return rest.split('\n## ')[0] ?? ''
}

function metricsIn(text: string): string[] {
  return [...new Set(text.match(/\btqp_[a-z_]+[a-z]\b/g))].sort()
}
