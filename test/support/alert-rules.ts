import { readFileSync } from 'node:fs'
import { parse } from 'yaml'

export type AlertRule = {
  alert: string
  expr: string
  for?: string
  labels: { severity: string }
  annotations: { summary: string; description: string; runbook: string }
}

export const rulesPath = new URL('../../ops/alerts.yml', import.meta.url)

/** The rules of ops/alerts.yml. Two may have one name. */
export function readAlertRules(): AlertRule[] {
  const file = parse(readFileSync(rulesPath, 'utf8')) as { groups: { rules: AlertRule[] }[] }
  return file.groups.flatMap(({ rules }) => rules)
}
