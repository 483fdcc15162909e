import type { ApiDependencies } from './api-dependencies.ts'
import { expunge } from './expunge.ts'
import { metrics } from './metrics.ts'
import { consolePath } from './console/serve-console.ts'
import { wantsPage } from './page/serve-page.ts'
import { replay } from './replay.ts'
import { json, type Answer, type Route } from './route.ts'
import { alive, ready, status } from './status.ts'
import { transactions } from './transactions.ts'

/** Every route of the API, in the order in which `/` lists them. */
export function routes(dependencies: ApiDependencies): Route[] {
  const table: Route[] = [
    {
      method: 'GET',
      path: '/',
      about: 'This list; in a browser the console.',
      needs: null,
      answer: ({ request }) => (wantsPage(request) ? leadToConsole(dependencies) : name(dependencies, table)),
    },
    {
      method: 'GET',
      path: '/metrics',
      about: 'Messages by status; Prometheus text if Accept names text/plain.',
      needs: null,
      answer: (call) => metrics(dependencies, call),
    },
    {
      method: 'GET',
      path: '/status',
      about: 'Whether the service does its work, and the state of its parts.',
      needs: null,
      answer: () => status(dependencies),
    },
    { method: 'GET', path: '/healthz', about: 'Whether the process lives.', needs: null, answer: alive },
    {
      method: 'GET',
      path: '/readyz',
      about: 'Whether this instance may be sent work.',
      needs: null,
      answer: () => ready(dependencies),
    },
    {
      method: 'GET',
      path: '/transactions',
      about: 'The newest transactions; limit is 20 unless given, and at most 1000.',
      needs: 'viewer',
      answer: (call) => transactions(dependencies, call),
    },
    {
      method: 'POST',
      path: '/replay/{transaction_id}',
      about: 'Opens a dead letter again; the body may be {"reason", "operator"}.',
      needs: 'operator',
      answer: (call) => replay(dependencies, call),
    },
    {
      method: 'POST',
      path: '/expunge/{transaction_id}',
      about: 'Removes the bytes of a success or a dead letter for good; the body is {"reason", "operator"}.',
      needs: 'operator',
      answer: (call) => expunge(dependencies, call),
    },
  ]
  return table
}

function name({ release: version }: ApiDependencies, table: readonly Route[]): Answer {
  const value = { service: 'transaction-queue-proxy', version, routes: list(table) }
  return json(200, value, { Vary: 'Accept' })
}

/** Behind a proxy we stand below a path that only the settings know, or the browser, which takes it from the page that it asked for. */
function leadToConsole({ access: { publicUrl = null } }: ApiDependencies): Answer {
  const location = publicUrl === null ? consolePath.slice(1) : `${publicUrl.path}${consolePath}`
  return {
    status: 303,
    type: 'text/plain',
    body: `The console is at ${location}.\n`,
    headers: { Location: location, Vary: 'Accept' },
  }
}

function list(table: readonly Route[]) {
  return table.map(({ method, path, about }) => ({ method, path, about }))
}
