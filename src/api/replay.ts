import { replay as replayInLog, type ReplayAnswer } from '../log/write/replay.ts'
import { isLine, reasonBytesMax, requestKeyBytesMax } from '../message/is-line.ts'
import { anonymous } from './access.ts'
import { ask, DatabaseUnavailable } from './ask.ts'
import type { ApiDependencies } from './dependencies.ts'
import { readBody } from './read-body.ts'
import { json, refusal, type Answer, type Call } from './route.ts'

const operatorBytesMax = 128

/**
 * Opens a dead letter again. A request that carries an Idempotency-Key can be sent again safely: it is accepted once and
 * answered each time.
 */
export async function replay(dependencies: ApiDependencies, call: Call): Promise<Answer> {
  const read = await readRequest(call)
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

type Read = { actor: string; reason: string; requestKey: string | null }

async function readRequest({ request, viewer }: Call): Promise<Read | { refused: Answer }> {
  const requestKey = request.headers['idempotency-key'] ?? null
  if (requestKey !== null && !isLine(requestKey, requestKeyBytesMax)) {
    return { refused: refusal(400, `Idempotency-Key must be 1 to ${requestKeyBytesMax} bytes.`) }
  }
  const body = await readBody(request)
  if ('refused' in body) return body
  const { reason } = body.fields
  // A token names its holder, whatever the body says; without tokens the caller is believed.
  const holder = viewer === null || viewer === anonymous ? null : viewer.name
  const operator = holder ?? body.fields.operator
  if (!isAbsent(reason) && !isLine(reason, reasonBytesMax))
    return { refused: refuseField('reason', reasonBytesMax) }
  if (!isAbsent(operator) && !isLine(operator, operatorBytesMax)) {
    return { refused: refuseField('operator', operatorBytesMax) }
  }
  return {
    actor: operator ?? 'rest',
    reason: reason ?? 'none given',
    requestKey,
  }
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null
}

function refuseField(name: string, bytesMax: number): Answer {
  return refusal(400, `${name} must be text of 1 to ${bytesMax} bytes without control characters.`)
}

/** Null where the database gave no answer: whether the replay was committed then, nobody can say. */
async function act(
  { database, logger }: ApiDependencies,
  request: Read & { transactionId: string },
): Promise<ReplayAnswer | null> {
  try {
    return await ask(database, (client) => replayInLog(client, request))
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
    case 'not_replayable':
      return refusal(409, explainRefusal(transactionId, answer.status))
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
