import pg from 'pg'

/**
 * What a failed statement means for who sent it. `data`: PostgreSQL refused a value, and will again. `transient`: the
 * transaction lost a race and may be sent again at once. `lost`: the database or the way to it is gone, and the transaction
 * may have been committed all the same.
 */
export type Fault = 'data' | 'transient' | 'lost'

// Serialization failure, deadlock, lock not available.
const raceLost = new Set(['40001', '40P01', '55P03'])

/**
 * Classes by PostgreSQL's Appendix A: 21 cardinality violation, 22 data exception, 23 integrity constraint violation, 54
 * program limit exceeded. A missing function or right (42) is no fault of the data: it ends when an operator mends it.
 */
export function classifyFault(error: unknown): Fault {
  if (!(error instanceof pg.DatabaseError) || error.code === undefined) return 'lost'
  if (raceLost.has(error.code)) return 'transient'
  return ['21', '22', '23', '54'].includes(error.code.slice(0, 2)) ? 'data' : 'lost'
}
