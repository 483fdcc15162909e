import { expunge as expungeInLog, type ExpungeAnswer, type ExpungeRequest } from '../log/write/expunge.ts'
import { ask, DatabaseUnavailable } from './ask.ts'
import type { ApiDependencies } from './api-dependencies.ts'
import { explainExpunge } from './explain-expunge.ts'
import { readOperator } from './read-operator.ts'
import { json, refusal, type Answer, type Call } from './route.ts'

/**
 * Takes the bytes of a message out of the database for good. It cannot be undone, so a reason has to be given. Asked again, it does
 * nothing more and is answered as before.
 */
export async function expunge(dependencies: ApiDependencies, call: Call): Promise<Answer> {
  const read = await readOperator(call)
  if ('refused' in read) return read.refused
  const { actor, reason } = read
  if (reason === null)
    return refusal(400, 'To expunge takes a reason in the body: {"reason": "…"}. It cannot be undone.')
  const transactionId = call.parameter
  const answer = await act(dependencies, { transactionId, actor, reason })
  if (answer === null) {
    return refusal(
      503,
      'The database did not answer, and the message may have been expunged all the same: the request can safely be sent again.',
    )
  }
  dependencies.logger.info({ transaction_id: transactionId, operator: actor, answer: answer.kind }, 'expunge')
  return describe(transactionId, answer)
}

/** Null where the database gave no answer: whether the message was expunged then, nobody can say. */
async function act(
  { database, logger }: ApiDependencies,
  request: ExpungeRequest,
): Promise<ExpungeAnswer | null> {
  try {
    return await ask(database, (client) => expungeInLog(client, request))
  } catch (error) {
    if (!(error instanceof DatabaseUnavailable)) throw error
    logger.warn(
      { transaction_id: request.transactionId, operator: request.actor, reason: error.message },
      'expunge failed',
    )
    return null
  }
}

function describe(transactionId: string, answer: ExpungeAnswer): Answer {
  switch (answer.kind) {
    case 'expunged':
      return done(transactionId, answer, `The payload of ${transactionId} is expunged.`)
    case 'already':
      return done(transactionId, answer, `The payload of ${transactionId} was expunged before.`)
    case 'open':
    case 'archived':
      return refusal(409, explainExpunge(transactionId, answer))
    case 'unknown':
      return refusal(404, explainExpunge(transactionId, answer))
  }
}

function done(
  transactionId: string,
  { status, version }: Extract<ExpungeAnswer, { version: number }>,
  message: string,
): Answer {
  return json(200, { success: true, message, transaction_id: transactionId, status, version })
}
