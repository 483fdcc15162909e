import { readFileSync } from 'node:fs'
import t from 'tap'
import { startService } from '../api/service.ts'
import { database } from '../support/database.ts'
import { readAlertRules } from '../support/alert-rules.ts'

type Dashboard = {
  templating: { list: { query: string | { query: string } }[] }
  panels: { title: string; targets?: { expr: string; legendFormat: string }[] }[]
}

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const dashboard = JSON.parse(read('ops/grafana.json')) as Dashboard
const contract = read('docs/contract.md')

/** What Prometheus adds to every series, and what a histogram has. */
const common = ['job', 'instance', 'le']
/** Series of Prometheus itself. */
const own: Readonly<Record<string, readonly string[]>> = {
  up: [],
  ALERTS: ['alertname', 'alertstate', 'severity'],
}

const { pool } = await database(t)
const { call } = await startService(t, pool)
const { text } = await call('GET', '/metrics', { headers: { accept: 'text/plain' } })
const types = new Map([...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => [name!, type!]))

t.test('every metric and label that the rules name is in a scrape', (t) => {
  for (const { alert, expr } of readAlertRules()) t.strictSame(faultsOf(expr), [], alert)
  t.end()
})

t.test('every metric and label that the dashboard names is in a scrape', (t) => {
  const panels = dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map((target) => ({ title, ...target })),
  )
  t.ok(panels.length > 30)
  for (const { title, expr, legendFormat } of panels) {
    t.strictSame(faultsOf(expr, legendFormat), [], title)
    t.match(expr, /job="\$job"/, `${title}: of the chosen service`)
  }
  for (const { query } of dashboard.templating.list)
    if (typeof query !== 'string') t.match(query.query, /^label_values\(tqp_build_info, job\)$/)
  t.end()
})

t.test('a metric or a label that is not there is caught', (t) => {
  for (const [expr, fault] of [
    ['max(tqp_gone)', 'no metric tqp_gone'],
    ['max(tqp_messages{state="failed"})', 'tqp_messages has no label state'],
    ['max by (lane) (tqp_messages)', 'no label lane'],
    ['rate(tqp_messages_bucket[5m])', 'no metric tqp_messages_bucket'],
    ['rate(tqp_end_to_end_seconds[5m])', 'no metric tqp_end_to_end_seconds'],
  ] as const)
    t.strictSame(faultsOf(expr), [fault])
  t.strictSame(faultsOf('max by (status) (tqp_messages)', '{{lane}}'), ['no label lane'])
  t.end()
})

/** What an expression and its legend name that is not there. */
function faultsOf(commented: string, legend = ''): string[] {
  const expr = commented.replace(/#.*$/gm, '')
  const faults: string[] = []
  const labels = new Set(common)
  for (const [, name = '', matchers = ''] of expr.matchAll(
    /\b((?:tqp|process|nodejs)_\w+|up|ALERTS)\b(?:\{([^}]*)\})?/g,
  )) {
    const known = labelsOf(name)
    if (known === null) {
      faults.push(`no metric ${name}`)
      continue
    }
    for (const label of known) labels.add(label)
    for (const [, label = ''] of matchers.matchAll(/(\w+)\s*[=!]/g))
      if (![...common, ...known].includes(label)) faults.push(`${name} has no label ${label}`)
  }
  const named = [
    ...[...expr.matchAll(/\b(?:by|on)\s*\(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/\s*,\s*/)),
    ...[...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label),
  ]
  return [...faults, ...named.filter((label) => !labels.has(label)).map((label) => `no label ${label}`)]
}

/** Null if there is no such series. The labels of ours are those of docs/contract.md, which its test holds against a scrape. */
function labelsOf(series: string): readonly string[] | null {
  const known = own[series]
  if (known !== undefined) return known
  const [, base = '', suffix] = /^(\w+?)(_bucket|_count|_sum)?$/.exec(series) ?? []
  const type = types.get(suffix === undefined ? series : base)
  if (type === undefined || (type === 'histogram') !== (suffix !== undefined)) return null
  const [, cell] = new RegExp(`^\\| \`${base}\` \\| ([^|]*)\\|`, 'm').exec(contract) ?? []
  return [...(cell ?? '').matchAll(/`(\w+)`/g)].map(([, label = '']) => label)
}
