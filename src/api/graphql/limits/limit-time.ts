import type { Plugin } from 'graphql-yoga'
import { refuse } from '../errors.ts'

// Each question to the database is given up after 3 s; this bounds how many an operation may put one after the other.
const operationMsMax = 10_000

/** Ends a query or a mutation that takes too long. Subscriptions are meant to last, and are not executed but subscribed to. */
export function limitTime(msMax = operationMsMax): Plugin {
  return {
    onExecute: ({ executeFn, setExecuteFn }) =>
      setExecuteFn((args) =>
        within(msMax, (signal) => executeFn({ ...args, signal } as typeof args) as unknown),
      ),
  }
}

/** The signal keeps resolvers that have not begun from beginning. */
async function within(msMax: number, execute: (signal: AbortSignal) => unknown): Promise<unknown> {
  const over = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise((resolve) => {
    timer = setTimeout(() => {
      const error = refuse(
        'TIMEOUT',
        `Not answered within ${msMax / 1_000} s. What the operation should have changed may have been recorded all the same.`,
        { http: { status: 503, spec: true } },
      )
      resolve({ errors: [error] })
      over.abort(error)
    }, msMax)
  })
  const result = Promise.resolve(execute(over.signal))
  // It rejects with the same error when the signal aborts.
  result.catch(() => undefined)
  try {
    return await Promise.race([result, tooLate])
  } finally {
    clearTimeout(timer)
  }
}
