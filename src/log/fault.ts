import pg from 'pg'

/**
 * What a failed statement means for who sent it. `data`: PostgreSQL refused a value, and will again. `transient`: the
 * transaction lost a race and may be sent again at once. `locked`: another session holds what it needs for longer than we wait,
 * and may go on doing so; nothing was committed. `lost`: the database or the way to it is gone, and the transaction
 * may have been committed all the same.
 */
export type Fault = 'data' | 'transient' | 'locked' | 'lost'

// Serialization failure, deadlock.
const raceLost = new Set(['40001', '40P01'])
const lockNotAvailable = '55P03'

/**
 * Classes by PostgreSQL's Appendix A: 21 cardinality violation, 22 data exception, 23 integrity constraint violation, 54
 * program limit exceeded. A missing function or right (42) is no fault of the data, nor is a full disk, memory or list of
 * connections (53), a lost file (58) or a server that has become read-only (25): these end when an operator mends them.
 */
export function classifyFault(error: unknown): Fault {
  if (!(error instanceof pg.DatabaseError) || error.code === undefined) return 'lost'
  if (raceLost.has(error.code)) return 'transient'
  if (error.code === lockNotAvailable) return 'locked'
  return ['21', '22', '23', '54'].includes(error.code.slice(0, 2)) ? 'data' : 'lost'
}
