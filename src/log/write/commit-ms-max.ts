import { statementTimeoutMs } from '../../runtime/pool.ts'

/**
 * So long after one of our statements was begun its transaction may still be committed, and what it wrote come to be seen. The
 * server ends the statement after `statementTimeoutMs`; the rest is for its way there, and for the commit. The SQL function `look` has
 * the same bound, written out: older releases call it, so it takes no further parameter.
 */
export const commitMsMax = statementTimeoutMs + 5_000
