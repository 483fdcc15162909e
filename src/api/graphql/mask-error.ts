import { GraphQLError } from 'graphql'
import { ulid } from 'ulid'
import type { Logger } from '../../runtime/logger.ts'
import { DatabaseUnavailable } from '../ask.ts'
import { SubscriptionEnded } from '../stream/subscription-ended.ts'
import type { ErrorCode } from './errors.ts'
import { explainEnd } from './explain-end.ts'

/**
 * What a client may see of an error. A GraphQLError was meant for it: ours, and what graphql says of a document or its
 * variables. For a subscription that ended, the client gets the
 * reason. For any other error it gets an id only, and the service's log has the cause under that id.
 */
export function maskError(error: unknown, logger: Logger): GraphQLError {
  const cause = findCause(error)
  const located = error instanceof GraphQLError ? error : null
  if (located !== null && cause instanceof GraphQLError) return located
  const where = { nodes: located?.nodes ?? null, path: located?.path ?? null }
  if (cause instanceof SubscriptionEnded) {
    const { message, extensions } = explainEnd(cause.reason)
    return new GraphQLError(message, { ...where, extensions })
  }
  const id = ulid()
  const { code, sentence } = explain(cause, id, logger)
  return new GraphQLError(sentence, { ...where, extensions: { code, correlationId: id } })
}

/** The error that was thrown, out of those that graphql wrapped around it to say where. */
function findCause(error: unknown): unknown {
  let cause = error
  while (cause instanceof GraphQLError && cause.originalError !== undefined) cause = cause.originalError
  return cause
}

function explain(cause: unknown, id: string, logger: Logger): { code: ErrorCode; sentence: string } {
  if (cause instanceof DatabaseUnavailable) {
    logger.warn({ error_id: id, reason: cause.message }, 'request without the database')
    return {
      code: 'DATABASE_UNAVAILABLE',
      sentence: `The database does not answer: try again later. (${id})`,
    }
  }
  logger.error({ error_id: id, err: cause }, 'request failed')
  return {
    code: 'INTERNAL_SERVER_ERROR',
    sentence: `Something went wrong that should not have: the log tells more under ${id}.`,
  }
}
