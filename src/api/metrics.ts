import { countByStatus } from '../log/read/count-by-status.ts'
import { ask } from './ask.ts'
import type { ApiDependencies } from './api-dependencies.ts'
import { exposeMetrics } from './expose-metrics.ts'
import { json, type Answer, type Call } from './route.ts'
import { weigh } from './weigh.ts'

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
