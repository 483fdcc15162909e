import type { ApiDependencies } from './dependencies.ts'
import { metrics } from './metrics.ts'
import { replay } from './replay.ts'
import { json, type Route } from './route.ts'
import { alive, ready, status } from './status.ts'
import { transactions } from './transactions.ts'

/** Every route of the API, in the order in which `/` lists them. */
export function routes(dependencies: ApiDependencies): Route[] {
  const table: Route[] = [
    {
      method: 'GET',
      path: '/',
      about: 'This list.',
      needs: null,
      answer: () =>
        json(200, { service: 'transaction-queue-proxy', version: dependencies.release, routes: list(table) }),
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
  ]
  return table
}

function list(table: readonly Route[]) {
  return table.map(({ method, path, about }) => ({ method, path, about }))
}
