import { countByStatus } from '../log/count-by-status.ts'
import { ask } from './ask.ts'
import type { ApiDependencies } from './dependencies.ts'
import { exposeMetrics } from './expose-metrics.ts'
import { json, type Answer, type Call } from './route.ts'

/** Six integers for people and scripts; for a Prometheus that says so, everything that is measured. */
export async function metrics(dependencies: ApiDependencies, { request }: Call): Promise<Answer> {
  if (wantsText(request.headers.accept ?? '')) return exposeMetrics(dependencies)
  const counts = await ask(dependencies.database, countByStatus)
  const total = counts.pending + counts.processing + counts.success + counts.failed + counts.dead_letter
  return json(200, { ...counts, total })
}

/** Text only where it is asked for by name, and JSON is not as welcome: axios, for one, names both. */
function wantsText(accept: string): boolean {
  const text = Math.max(weigh(accept, 'text/plain'), weigh(accept, 'application/openmetrics-text'))
  return text > weigh(accept, 'application/json')
}

/** The weight (RFC 9110 §12.4.2) at which a header names the type itself, wildcards aside; 0 where it does not. */
function weigh(accept: string, type: string): number {
  const weights = accept.split(',').map((range) => {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    if (name !== type) return 0
    const weight = Number(parameters.find((each) => each.startsWith('q='))?.slice(2) ?? 1)
    return Number.isNaN(weight) ? 0 : weight
  })
  return Math.max(...weights)
}
