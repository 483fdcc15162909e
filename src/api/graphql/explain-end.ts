import type { GraphQLError } from 'graphql'
import type { EndReason } from '../stream/subscription-ended.ts'
import { refuse } from './errors.ts'
import { refuseArchived } from './refuse-archived.ts'
import { refuseCursor } from './refuse-cursor.ts'

/** Tells the client why its subscription ended, or was not begun. */
export function explainEnd(reason: EndReason): GraphQLError {
  switch (reason.kind) {
    case 'slow':
      return refuse(
        'SLOW_CONSUMER',
        'Events come faster than this subscriber takes them: subscribe again after its last cursor, or with a filter.',
      )
    case 'draining':
      return refuse('DRAINING', 'This instance is about to stop: subscribe again after the last cursor.')
    case 'cursor':
      return refuseCursor(reason.fault)
    case 'archived':
      return refuseArchived(reason.archived)
    case 'token_removed':
      return refuse('UNAUTHENTICATED', 'This token is no longer valid: subscribe again with another.')
    case 'too_many':
      return refuse(
        'TOO_MANY_SUBSCRIPTIONS',
        reason.of === 'client'
          ? `A client may have ${reason.max} subscriptions at once.`
          : `This instance serves ${reason.max} subscriptions at once: try again later.`,
      )
  }
}
