import type { GraphQLError } from 'graphql'
import type { CursorFault } from '../../log/read/read-events.ts'
import { refuse } from './errors.ts'

/** Says of a cursor that is well formed why the log cannot be read from there. */
export function refuseCursor(reason: CursorFault): GraphQLError {
  switch (reason) {
    case 'epoch':
      return refuse(
        'CURSOR_EPOCH',
        'The log was restored from a copy since this cursor was handed out, and what it has read may not be there: begin again without a cursor.',
      )
    case 'expired':
      return refuse(
        'CURSOR_EXPIRED',
        'Events after this cursor have been archived, and who reads on from it would miss them: begin again without a cursor.',
      )
    case 'above':
      return refuse(
        'CURSOR_INVALID',
        'The cursor lies above the end of the readable log, so this log has not handed it out: begin again without one.',
      )
  }
}
