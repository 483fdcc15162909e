import { statementTimeoutMs } from '../../runtime/create-pool.ts'

/**
 * For at most this long after the start of one of our statements, its transaction may still commit and its rows become visible. The
 * server ends the statement after `statementTimeoutMs`; the rest is for its way there, and for the commit. The SQL function `look_lane` has
 * the same bound, written out: older releases call it, so it takes no further parameter.
 */
export const commitMsMax = statementTimeoutMs + 5_000
