import { setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net'

/**
 * Half of the least time that a connect to Kafka or PostgreSQL is given (3 s): an address that does not answer leaves the other half to the
 * next one.
 */
const attemptMaxMs = 1_500

/**
 * Lets each address of a name take its time in the whole process. Node tries the addresses of a name with both families one after the
 * other and gives each but the last 250 ms, so that a host that takes longer is not connected to if its other family leads nowhere.
 */
export function connectPatiently(): void {
  setDefaultAutoSelectFamilyAttemptTimeout(attemptMaxMs)
}
