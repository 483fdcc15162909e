import { GraphQLError } from 'graphql'

/** What a client can tell refusals apart by; the words beside the code are for people. */
export type ErrorCode =
  | 'BAD_REQUEST'
  | 'BAD_USER_INPUT'
  | 'CURSOR_INVALID'
  | 'CURSOR_EPOCH'
  | 'CURSOR_EXPIRED'
  | 'ARCHIVED'
  | 'AMBIGUOUS'
  | 'SLOW_CONSUMER'
  | 'TOO_MANY_SUBSCRIPTIONS'
  | 'DRAINING'
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'TIMEOUT'
  | 'COST_EXCEEDED'
  | 'DATABASE_UNAVAILABLE'
  | 'INTERNAL_SERVER_ERROR'

/** The refusal of an argument that is no line of text of so many bytes. */
export function refuseText(name: string, bytesMax: number): GraphQLError {
  return refuse(
    'BAD_USER_INPUT',
    `${name} must be text of 1 to ${bytesMax} bytes without control characters.`,
  )
}

/** An error that the client is told as it stands: a code, and a sentence that names the fix. */
export function refuse(
  code: ErrorCode,
  sentence: string,
  more: Readonly<Record<string, unknown>> = {},
): GraphQLError {
  return new GraphQLError(sentence, { extensions: { ...more, code } })
}
