import { Lane } from '../../src/dispatch/lane.ts'
import type { Claim } from '../../src/log/write/to-claim.ts'
import type { LaneName } from '../../src/message/message.ts'
import { flowing } from '../support/flowing.ts'

/** A lane whose leases end a second after the timeout, and whose requests never end. */
export function hangingLane(
  name: LaneName,
  instance: string,
  limit: number,
  onSend: (claim: Claim, deadlineAt: number) => void = () => undefined,
): Lane {
  return new Lane({
    name,
    instance,
    limit,
    leaseMs: 31_000,
    timeoutMs: 30_000,
    destination: flowing,
    send: (claim, deadlineAt) => {
      onSend(claim, deadlineAt)
      return new Promise<never>(() => undefined)
    },
    drop: ({ transactionId }, reason) => {
      throw new Error(`${transactionId} was dropped: ${reason}`)
    },
  })
}
