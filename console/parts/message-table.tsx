import { link } from '../router.ts'
import { Foreign, writeOut } from './foreign.tsx'
import { Status } from './status.tsx'
import { Time } from './time.tsx'

type MessageLine = {
  readonly transactionId: string
  readonly status: string
  readonly held: boolean
  readonly resolution: string | null
  readonly outcomeUnknown: boolean
  readonly createdAt: string
  readonly updatedAt: string
  readonly errorMessage: string | null
}

type Props = {
  readonly caption: string
  readonly messages: readonly MessageLine[]
  /** Those that are chosen, where they can be. */
  readonly chosen?: ReadonlySet<string>
  readonly choose?: (transactionId: string, is: boolean) => void
}

/** Messages in a list, each a link to its own page. */
export function MessageTable({ caption, messages, chosen, choose }: Props) {
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={writeOut(caption)}>
      <table>
        <caption>{writeOut(caption)}</caption>
        <thead>
          <tr>
            {choose !== undefined && <th scope="col">Choose</th>}
            <th scope="col">Transaction</th>
            <th scope="col">Status</th>
            <th scope="col">Changed</th>
            <th scope="col">Received</th>
            <th scope="col">Last error</th>
          </tr>
        </thead>
        <tbody>
          {messages.map((each) => (
            <tr key={each.transactionId}>
              {choose !== undefined && (
                <td>
                  <input
                    type="checkbox"
                    aria-label={`Choose ${writeOut(each.transactionId)}`}
                    checked={chosen?.has(each.transactionId) ?? false}
                    onChange={(event) => choose(each.transactionId, event.currentTarget.checked)}
                  />
                </td>
              )}
              <th scope="row">
                <TransactionLink id={each.transactionId} />
              </th>
              <td>
                <Status {...each} />
              </td>
              <td>
                <Time at={each.updatedAt} />
              </td>
              <td>
                <Time at={each.createdAt} />
              </td>
              <td class="words">
                <Foreign text={each.errorMessage} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

export function TransactionLink({ id }: { id: string }) {
  return (
    <a class="id" href={link('transaction', id)}>
      <Foreign text={id} />
    </a>
  )
}
