import pg from 'pg'

/**
 * What a failed statement means for who sent it. `data`: PostgreSQL refused a value, and will again. `transient`: the
 * transaction lost a race and may be sent again at once. `locked`: another session holds what it needs for longer than we wait,
 * and may go on doing so; nothing was committed. `broken`: the log would contradict itself, and will until somebody mends it;
 * nothing was committed. `lost`: the database or the way to it is gone, or cannot do it now, and the transaction may have been
 * committed all the same.
 */
export type Fault = 'data' | 'transient' | 'locked' | 'broken' | 'lost'

/**
 * What PostgreSQL can say of a value that we hand over: bytes that are no character of its encoding, text or bytes that are not
 * of the type (the JSON of the headers among them), a character that the type cannot hold. The list is short on purpose: who is
 * on it is a record that is never sent, or an outcome that is not stored, so whatever may be said of anything else stays off it.
 * Of numbers there is none: a record's reach the log in types that hold them, and what overflows there is a counter of ours.
 */
const valueRefused = new Set(['22021', '22P02', '22P03', '22P05'])
// Serialization failure, deadlock.
const raceLost = new Set(['40001', '40P01'])
const lockNotAvailable = '55P03'
// A unique or foreign key, a check, a transition that project() calls illegal.
const integrityViolation = /^23/

/**
 * By PostgreSQL's Appendix A. Whatever is not known to be one of the others is `lost`, because that is waited for and costs
 * nothing. So are a limit of the server (54: its queue of notifications is full, transaction ids have run out), a full disk,
 * memory or list of connections (53), a missing function or right (42), a lost file (58) and a server that has become
 * read-only (25): these end when an operator mends them.
 */
export function classifyFault(error: unknown): Fault {
  if (!(error instanceof pg.DatabaseError) || error.code === undefined) return 'lost'
  if (valueRefused.has(error.code)) return 'data'
  if (raceLost.has(error.code)) return 'transient'
  if (error.code === lockNotAvailable) return 'locked'
  return integrityViolation.test(error.code) ? 'broken' : 'lost'
}
