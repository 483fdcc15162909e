import { statementTimeoutMs } from '../../runtime/pool.ts'

/**
 * So long after one of our statements was begun its transaction may still be committed, and what it wrote come to be seen. The
 * server ends the statement after `statementTimeoutMs`; the rest is for its way there, and for the commit.
 */
export const commitMsMax = statementTimeoutMs + 5_000
