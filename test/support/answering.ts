import { createHash } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import type { Server, Socket } from 'node:net'
import type { Test } from 'tap'
import type { Entry } from '../../src/embedded/mock/ledger.ts'
import { startProcessor, type Processor, type Request } from '../deliver/processor.ts'
import type { Line } from './line.ts'

/** What a processor does with the requests of one transaction. */
export interface Answering {
  /** Whether it carries the transaction out, at the first request. */
  effect: boolean
  behave: (socket: Socket, request: Request) => void
}

/**
 * A processor made of a bare socket, in the place of the line's mock, which stands idle: it answers each transaction as it is
 * told to, by id, and writes each request into the mock's ledger before it answers, for the checker.
 */
export function startAnswering(
  t: Pick<Test, 'teardown'>,
  line: Line,
  answeringOf: (transactionId: string) => Answering,
  options: { server?: Server; port?: number } = {},
): Promise<Processor> {
  const effects = new Set<string>()
  return startProcessor(
    t,
    (socket, request) => {
      const { transaction_id: id } = JSON.parse(request.body.toString()) as { transaction_id: string }
      const { effect, behave } = answeringOf(id)
      const entry: Entry = {
        at: new Date().toISOString(),
        key: request.key,
        transaction_id: id,
        sha256: createHash('sha256').update(request.body).digest('hex'),
        effect: effect && !effects.has(request.key),
        status: 0,
      }
      if (effect) effects.add(request.key)
      appendFileSync(line.mock.ledgerPath, `${JSON.stringify(entry)}\n`)
      behave(socket, request)
    },
    options,
  )
}
