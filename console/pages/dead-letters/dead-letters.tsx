import type { MessagesVariables } from '../../api/operations.ts'
import { textOf } from '../../parts/dialog.tsx'
import { formatName } from '../../parts/format.ts'
import { MessageList } from '../../parts/message-list.tsx'
import { go, link, place } from '../../router.ts'

type Filter = MessagesVariables['filter']
type Cause = NonNullable<Filter['deadLetterCause']>[number]

const causes: readonly Cause[] = [
  'REFUSED',
  'RETRIES_EXHAUSTED',
  'REJECTED_RECORD',
  'CONFLICTING_RECORD',
  'CANCELLED',
  'OUTCOME_UNKNOWN',
]

/** The dead letters that wait for a decision, and apart from them the resolved ones. The filter stands in the address. */
export function DeadLetters() {
  const { search } = place.value
  const shown = search.get('shown') === 'resolved' ? 'resolved' : 'open'
  const [cause, error, doubt] = ['cause', 'error', 'doubt'].map((name) => search.get(name) ?? '')
  const filter: Filter = {
    status: ['DEAD_LETTER'],
    resolved: shown === 'resolved',
    ...(causes.some((each) => each === cause) ? { deadLetterCause: [cause as Cause] } : {}),
    ...(error ? { errorContains: error } : {}),
    ...(doubt ? { outcomeUnknown: true } : {}),
  }
  const choose = (event: Event): void => {
    event.preventDefault()
    const form = new FormData(event.currentTarget as HTMLFormElement)
    const names = ['shown', 'cause', 'error', 'doubt']
    go(link('dead-letters', '', Object.fromEntries(names.map((name) => [name, textOf(form, name)]))))
  }
  return (
    <section aria-label="Dead letters">
      <form key={search.toString()} class="filters" onSubmit={choose}>
        <label>
          Which
          <select name="shown" defaultValue={shown}>
            <option value="open">Open: they wait for a decision</option>
            <option value="resolved">Resolved</option>
          </select>
        </label>
        <label>
          Cause
          <select name="cause" defaultValue={cause ?? ''}>
            <option value="">any</option>
            {causes.map((each) => (
              <option key={each} value={each}>
                {formatName(each)}
              </option>
            ))}
          </select>
        </label>
        <label>
          Error contains
          <input name="error" type="search" defaultValue={error ?? ''} autoComplete="off" />
        </label>
        <label>
          <input name="doubt" type="checkbox" value="yes" defaultChecked={doubt === 'yes'} /> May have been
          paid
        </label>
        <button type="submit">Filter</button>
      </form>
      <MessageList
        key={JSON.stringify(filter)}
        caption={shown === 'resolved' ? 'Resolved dead letters' : 'Open dead letters'}
        filter={filter}
        empty={shown === 'resolved' ? 'No such dead letter was resolved.' : 'No such dead letter is open.'}
      />
    </section>
  )
}
