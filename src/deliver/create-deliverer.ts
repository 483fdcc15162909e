import type { Outcome } from '../message/outcome.ts'
import type { ReferenceSource } from '../message/reference.ts'
import type { Tls } from '../runtime/tls.ts'
import { Attempt, type AttemptContext } from './attempt.ts'
import type { AnswerStatuses } from './classify.ts'
import { createConnections } from './connections.ts'
import { watchDeadlines } from './watch-deadlines.ts'
import { fixedHeaders } from './fixed-headers.ts'
import { createRequestHead, type Delivery } from './create-request-head.ts'

export type DelivererSettings = {
  url: URL
  /** Only for the text of reasons; the deadline comes with each delivery. */
  timeoutMs: number
  /** Requests beyond this number wait for a connection, within their deadline. */
  connections: number
  /** How long a connection is used, ± 25 %, before its host is resolved again. */
  connectionLifetimeMs?: number
  headers: Readonly<Record<string, string>>
  statuses: AnswerStatuses
  /** Where answers have what the processor calls the payment; null, as without it, if nobody looks for it. */
  reference?: ReferenceSource | null
  tls: Tls
}

export type Deliverer = {
  /**
   * Never rejects. `deadlineAt` is on performance.now()'s clock, in ms; after it nothing is sent
   * (`not_sent`).
   */
  deliver(delivery: Delivery, deadlineAt: number): Promise<Outcome>
  /**
   * Ends every open request now, as `unknown` if bytes may have left and as `not_sent` if not. Starts no
   * other request afterwards.
   */
  abortAll(reason: string): void
  /** Ends the open requests as `abortAll` does, and closes the connections. */
  close(): Promise<void>
}

/**
 * Sends one HTTP request for each call: no retries, no redirects, and no request is repeated once its bytes
 * may have left.
 *
 * @throws an Error with a sentence for the operator, if the headers cannot be used
 */
export function createDeliverer(settings: DelivererSettings): Deliverer {
  const { url, timeoutMs, statuses } = settings
  const { host, headOf } = createRequestHead(url, fixedHeaders(url, settings.headers))
  const connections = createConnections(
    url,
    settings.connections,
    timeoutMs,
    settings.tls,
    host,
    settings.reference ?? null,
    settings.connectionLifetimeMs,
  )
  const context: AttemptContext = {
    open: new Set(),
    peer: `${url.hostname}:${url.port || (url.protocol === 'https:' ? '443' : '80')}`,
    secure: url.protocol === 'https:',
    statuses,
    timeoutReason: `timeout after ${timeoutMs / 1000} s`,
  }
  const deadlines = watchDeadlines(context.open)
  let stopped: string | null = null

  const abortAll = (reason: string) => {
    stopped ??= reason
    for (const attempt of context.open) attempt.end(reason)
  }

  return {
    deliver(delivery, deadlineAt) {
      return new Promise((resolve) => {
        const head = headOf(delivery)
        const attempt = new Attempt(context, { head: head ?? '', body: delivery.body }, deadlineAt, resolve)
        if (head === null) attempt.fail(illegalKey())
        else if (stopped !== null) attempt.end(stopped)
        else if (performance.now() >= deadlineAt) attempt.expire()
        else {
          deadlines.arm()
          connections.dispatch(attempt)
        }
      })
    },
    abortAll,
    async close() {
      abortAll('closed')
      await connections.close()
    },
  }
}

function illegalKey(): Error {
  return Object.assign(new Error('illegal idempotency key'), { code: 'ERR_INVALID_CHAR' })
}
