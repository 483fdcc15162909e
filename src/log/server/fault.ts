import pg from 'pg'

/**
 * What a failed statement means for its caller.
 *
 * - `data`: PostgreSQL refused a value, and would refuse it again.
 * - `transient`: the transaction lost a race. It may be sent again at once.
 * - `locked`: another session holds a lock for longer than we wait, and may go on holding it. Nothing was committed.
 * - `broken`: the log would contradict itself, and this stays so until somebody repairs it. Nothing was committed.
 * - `lost`: the database or the way to it is gone, or it cannot do the work now. The transaction may have been committed.
 */
export type Fault = 'data' | 'transient' | 'locked' | 'broken' | 'lost'

/**
 * Errors that can only be about a value that we hand over: bytes that are no character of the encoding, text or bytes that do
 * not fit the type (also the JSON of the headers), a character that the type cannot hold. The list is short on purpose: for an
 * error on it a record is never sent, or an outcome is not stored. An error that can also have another cause is not on it. No
 * error about numbers is on it: the types of the columns hold every number of a record, so a number that overflows is a counter
 * of ours.
 */
const valueRefused = new Set(['22021', '22P02', '22P03', '22P05'])
// Serialization failure, deadlock.
const raceLost = new Set(['40001', '40P01'])
const lockNotAvailable = '55P03'
// A unique or foreign key, a check, or a transition that project() refuses as illegal.
const integrityViolation = /^23/

/**
 * Classifies an error by its SQLSTATE (PostgreSQL's documentation, Appendix A). Every error that is not known to be one of the
 * others is `lost`: the caller waits and tries again, which loses nothing. Among these are errors that end when an operator has
 * repaired the cause: a limit of the server (54: its queue of notifications is full, transaction ids have run out), a lack of
 * disk, memory or connections (53), a missing function or right (42), a lost file (58), and a server that has become read-only
 * (25).
 */
export function classifyFault(error: unknown): Fault {
  if (!(error instanceof pg.DatabaseError) || error.code === undefined) return 'lost'
  if (valueRefused.has(error.code)) return 'data'
  if (raceLost.has(error.code)) return 'transient'
  if (error.code === lockNotAvailable) return 'locked'
  return integrityViolation.test(error.code) ? 'broken' : 'lost'
}
