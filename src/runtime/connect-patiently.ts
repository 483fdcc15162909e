import { setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net'

/**
 * Half of the least time that a connect to Kafka or PostgreSQL is given (3 s): an address that does not answer leaves the other half to the
 * next one.
 */
const attemptMaxMs = 1_500

/**
 * Gives each address of a host name more time to connect, in the whole process. If a name has IPv4 and IPv6 addresses, Node tries them one
 * after the other and gives each but the last 250 ms. If one family leads nowhere and the other needs longer, Node never connects.
 */
export function connectPatiently(): void {
  setDefaultAutoSelectFamilyAttemptTimeout(attemptMaxMs)
}
