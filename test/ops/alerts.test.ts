import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parse } from 'yaml'
import { readAlertRules, rulesPath } from '../support/alert-rules.ts'
import { runPromtool, withoutPrometheus } from '../support/prometheus.ts'

type RuleTests = {
  tests: { name: string; promql_expr_test: { exp_samples: { labels: string; value: number }[] }[] }[]
}

const casesPath = new URL('alerts.test.yml', import.meta.url)
const rules = readAlertRules()
const names = [...new Set(rules.map(({ alert }) => alert))]
const documented = readFileSync(new URL('../../docs/operate.md', import.meta.url), 'utf8')

t.test('promtool takes the rules and the configuration', { skip: withoutPrometheus }, async (t) => {
  const config = new URL('prometheus.yml', rulesPath)
  for (const [kind, path] of [
    ['rules', rulesPath],
    ['config', config],
  ] as const) {
    const { code, output } = await runPromtool('check', kind, fileURLToPath(path))
    t.equal(code, 0, output)
  }
})

t.test('each rule fires and closes as its cases say', { skip: withoutPrometheus }, async (t) => {
  const { code, output } = await runPromtool('test', 'rules', fileURLToPath(casesPath))
  t.equal(code, 0, output)
})

t.test('each rule has a case in which it fires, alone of its name, and then closes', (t) => {
  const { tests } = parse(readFileSync(casesPath, 'utf8')) as RuleTests
  for (const { alert, labels } of rules) {
    const closes = tests.some(({ name, promql_expr_test: checks }) => {
      const firing = checks.map(({ exp_samples: samples }) => samples.map((each) => each.labels))
      const isTold = firing.some((each) =>
        each.includes(`{alertname="${alert}", severity="${labels.severity}"}`),
      )
      return name.startsWith(`${alert}: `) && isTold && firing.at(-1)?.length === 0
    })
    t.ok(closes, `${alert}, ${labels.severity}`)
  }
  t.end()
})

t.test('each alert says what is wrong and what to run first, and leads to its section', (t) => {
  t.ok(rules.length >= 15)
  for (const { alert, labels, annotations } of rules) {
    const { summary, description, runbook } = annotations
    t.match(alert, /^Tqp[A-Z]/)
    t.match(labels, { severity: /^(critical|warning)$/ }, alert)
    t.match(summary, /^[A-Z].*\.$/, alert)
    t.match(description, /\b(curl|psql|npm run|npx tqp|openssl|timedatectl)\b/, alert)
    t.equal(runbook, `docs/operate.md#${alert.toLowerCase()}`)
  }
  const [, section = ''] = documented.split('\n## Alerts\n')
  const parts = section
    .split('\n## ')[0]!
    .split('\n### ')
    .filter((part) => part.startsWith('Tqp'))
  t.strictSame(parts.map((part) => part.split('\n')[0]).sort(), [...names].sort(), 'and no other has one')
  for (const part of parts)
    t.match(
      part,
      /^Tqp\w+\n\n\*\*You see:\*\* .*\n\n```sh\n(curl|psql|npm run|npx tqp|openssl|timedatectl)/s,
      part,
    )
  t.end()
})
