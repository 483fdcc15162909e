import type { Plugin } from 'graphql-yoga'
import { late, within } from '../../../runtime/within.ts'
import { refuse } from '../errors.ts'

// Each question to the database is given up after 3 s; this bounds how many an operation may put one after the other.
const operationMsMax = 10_000

/** Ends a query or a mutation that takes too long. Subscriptions are meant to last, and are not executed but subscribed to. */
export function limitTime(msMax = operationMsMax): Plugin {
  return {
    onExecute: ({ executeFn, setExecuteFn }) =>
      setExecuteFn((args) =>
        limit(msMax, (signal) => executeFn({ ...args, signal } as typeof args) as unknown),
      ),
  }
}

/** The signal keeps resolvers that have not begun from beginning. */
async function limit(msMax: number, execute: (signal: AbortSignal) => unknown): Promise<unknown> {
  const over = new AbortController()
  const result = await within(Promise.resolve(execute(over.signal)), msMax)
  if (result !== late) return result
  const error = refuse(
    'TIMEOUT',
    `Not answered within ${msMax / 1_000} s. What the operation should have changed may have been recorded all the same.`,
    { http: { status: 503, spec: true } },
  )
  over.abort(error)
  return { errors: [error] }
}
