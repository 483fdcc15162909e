import { replay as replayInLog, type ReplayAnswer } from '../log/write/replay.ts'
import { isLine, requestKeyBytesMax } from '../message/is-line.ts'
import { jobKeyPrefix } from '../message/replay-job.ts'
import { ask, DatabaseUnavailable } from './ask.ts'
import type { ApiDependencies } from './api-dependencies.ts'
import { readOperator } from './read-operator.ts'
import { explainKeyWindow } from './explain-key-window.ts'
import { explainStanding } from './explain-decision.ts'
import { json, refusal, type Answer, type Call } from './route.ts'

/**
 * Opens a dead letter again. A request that carries an Idempotency-Key can be sent again safely: it is accepted once and
 * answered each time.
 */
export async function replay(dependencies: ApiDependencies, call: Call): Promise<Answer> {
  const read = await readRequest(dependencies, call)
  if ('refused' in read) return read.refused
  const transactionId = call.parameter
  const answer = await act(dependencies, { transactionId, ...read })
  if (answer === null) {
    return refusal(
      503,
      'The database did not answer, and the replay may have been recorded all the same: look at the transaction first.',
    )
  }
  dependencies.logger.info(
    { transaction_id: transactionId, operator: read.actor, answer: answer.kind },
    'replay',
  )
  return describe(transactionId, answer)
}

type Read = { actor: string; reason: string; requestKey: string | null; confirmNotCarriedOut: boolean }

async function readRequest(dependencies: ApiDependencies, call: Call): Promise<Read | { refused: Answer }> {
  const requestKey = call.request.headers['idempotency-key'] ?? null
  if (requestKey !== null && !isLine(requestKey, requestKeyBytesMax)) {
    return { refused: refusal(400, `Idempotency-Key must be 1 to ${requestKeyBytesMax} bytes.`) }
  }
  if (requestKey?.startsWith(jobKeyPrefix) === true)
    return { refused: refusal(400, `Idempotency-Key must not begin with ${jobKeyPrefix}`) }
  const operator = await readOperator(call)
  if ('refused' in operator) return operator
  if (operator.reason === null && dependencies.reasonsRequired)
    return { refused: refusal(400, 'REASONS is required here: give a reason in the body, {"reason": "…"}.') }
  const confirmed = operator.fields.confirm_not_carried_out ?? false
  if (typeof confirmed !== 'boolean')
    return { refused: refusal(400, 'confirm_not_carried_out must be true or false.') }
  const reason = operator.reason ?? 'none given'
  return { actor: operator.actor, reason, requestKey, confirmNotCarriedOut: confirmed }
}

/** Null where the database gave no answer: whether the replay was committed then, nobody can say. */
async function act(
  { database, logger, keyWindow }: ApiDependencies,
  request: Read & { transactionId: string },
): Promise<ReplayAnswer | null> {
  try {
    return await ask(database, (client) => replayInLog(client, request, keyWindow))
  } catch (error) {
    if (!(error instanceof DatabaseUnavailable)) throw error
    logger.warn(
      { transaction_id: request.transactionId, operator: request.actor, reason: error.message },
      'replay failed',
    )
    return null
  }
}

function describe(transactionId: string, answer: ReplayAnswer): Answer {
  switch (answer.kind) {
    case 'replayed':
      return accepted(transactionId, answer, `Transaction ${transactionId} is pending again.`)
    case 'repeated':
      return accepted(
        transactionId,
        answer,
        `Transaction ${transactionId} was replayed by this request before.`,
      )
    case 'key_reused':
      return refusal(409, 'This Idempotency-Key was used for a replay with another reason.')
    case 'key_window_passed':
      return refusal(
        409,
        `${explainKeyWindow(transactionId, answer.endedAt)}, then send {"confirm_not_carried_out": true}.`,
      )
    case 'not_replayable':
      return refusal(409, explainRefusal(transactionId, answer.status))
    case 'expunged':
      return refusal(409, `The payload of ${transactionId} was expunged: there are no bytes to send.`)
    case 'already_held':
    case 'already_resolved':
      return refusal(409, explainStanding(transactionId, answer))
    case 'archived':
      return refusal(
        409,
        `Transaction ${transactionId} is archived in ${answer.archive}: it takes no more events.`,
      )
    case 'unknown':
      return refusal(404, `Transaction ${transactionId} is unknown.`)
  }
}

function accepted(
  transactionId: string,
  { status, version }: Extract<ReplayAnswer, { version: number }>,
  message: string,
): Answer {
  return json(200, { success: true, message, transaction_id: transactionId, status, version })
}

function explainRefusal(transactionId: string, status: string): string {
  return status === 'dead_letter'
    ? `${transactionId} is a record that was rejected or conflicts with another: it can never be sent.`
    : `Transaction ${transactionId} is ${status}: only a dead letter can be replayed.`
}
