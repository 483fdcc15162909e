import { TransactionLink } from '../../parts/message-table.tsx'
import { Time } from '../../parts/time.tsx'
import { Compare } from './compare.tsx'
import type { Message } from './read-life.ts'

// As many as the API gives where it is not asked for a number.
const shownMax = 20

/** Records that came with the same id and other bytes, or the message that had the id first. */
export function Conflicts({ message }: { message: Message }) {
  const { conflictsWith, conflicts, conflictCount } = message
  if (conflictsWith === null && conflictCount === 0) return null
  return (
    <section aria-labelledby="conflicts">
      <h2 id="conflicts">Conflicts</h2>
      {conflictsWith !== null && (
        <p>
          Another transaction had this id first, with other bytes:{' '}
          <TransactionLink id={conflictsWith.transactionId} />
        </p>
      )}
      {conflictsWith !== null && (
        <Compare stored={conflictsWith.transactionId} other={message.transactionId} />
      )}
      {conflictCount > 0 && (
        <>
          <p>
            {conflictCount} {conflictCount === 1 ? 'record' : 'records'} came with this id and other bytes.
            None was sent.
          </p>
          {conflicts !== null && conflicts.length < conflictCount && (
            <p class="quiet">
              {conflicts.length === shownMax
                ? `Here are the first ${shownMax}.`
                : 'Those that are archived are left out.'}
            </p>
          )}
          <ul>
            {(conflicts ?? []).map(({ transactionId, createdAt }) => (
              <li key={transactionId}>
                <Time at={createdAt} /> <TransactionLink id={transactionId} />{' '}
                <Compare stored={message.transactionId} other={transactionId} />
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  )
}
