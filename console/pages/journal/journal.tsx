import { textOf } from '../../parts/dialog.tsx'
import { go, link, place } from '../../router.ts'
import { Entries } from './entries.tsx'
import { kinds, type Wanted } from './read-journal.ts'

const words = {
  PAYMENT: 'payments',
  DESTINATION: 'the destination',
  REPLAY_JOB: 'jobs',
  PARTITION: 'partitions',
  ARCHIVE: 'archives',
  EPOCH: 'epochs of the log',
} as const satisfies Record<(typeof kinds)[number], string>

/** What operators and the service decided, newest first. The filter stands in the address. */
export function Journal() {
  const { search } = place.value
  const about = kinds.find((kind) => kind === search.get('about'))
  const wanted: Wanted = {
    kinds: about === undefined ? null : [about],
    actor: search.get('actor'),
    at: { from: readTime(search.get('from')), to: readTime(search.get('to')) },
  }
  const choose = (event: Event): void => {
    event.preventDefault()
    const form = new FormData(event.currentTarget as HTMLFormElement)
    const names = ['about', 'actor', 'from', 'to']
    go(link('journal', '', Object.fromEntries(names.map((name) => [name, textOf(form, name)]))))
  }
  return (
    <section aria-label="Journal">
      <form key={search.toString()} class="filters" onSubmit={choose}>
        <label>
          About
          <select name="about" defaultValue={about ?? ''}>
            <option value="">anything</option>
            {kinds.map((kind) => (
              <option key={kind} value={kind}>
                {words[kind]}
              </option>
            ))}
          </select>
        </label>
        <label>
          By exactly
          <input name="actor" defaultValue={search.get('actor') ?? ''} autoComplete="off" />
        </label>
        <label>
          From, in this machine’s time
          <input name="from" type="datetime-local" defaultValue={search.get('from') ?? ''} />
        </label>
        <label>
          To
          <input name="to" type="datetime-local" defaultValue={search.get('to') ?? ''} />
        </label>
        <button type="submit">Filter</button>
      </form>
      <Entries key={JSON.stringify(wanted)} wanted={wanted} />
      <p class="quiet">
        What a job or RETAIN_PAYLOAD did to each payment is not listed: the job is. Decisions about payments
        that are archived are in the archives.
      </p>
    </section>
  )
}

/** What a field for a local time gives, as the API takes it; null where it is no time. */
function readTime(text: string | null): string | null {
  const ms = Date.parse(text ?? '')
  return Number.isNaN(ms) ? null : new Date(ms).toISOString()
}
