import { textOf } from '../../parts/dialog.tsx'
import { go, link, place } from '../../router.ts'
import { Entries } from './entries.tsx'
import type { Wanted } from './read-journal.ts'

/** What operators and the guard decided, newest first. The filter stands in the address. */
export function Journal() {
  const { search } = place.value
  const about = search.get('about')
  const wanted: Wanted = {
    about: about === 'payments' || about === 'destination' ? about : 'all',
    actor: search.get('actor') ?? '',
    from: readTime(search.get('from')),
    to: readTime(search.get('to')),
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
          <select name="about" defaultValue={wanted.about}>
            <option value="all">payments and the destination</option>
            <option value="payments">payments</option>
            <option value="destination">the destination</option>
          </select>
        </label>
        <label>
          By exactly
          <input name="actor" defaultValue={wanted.actor} autoComplete="off" />
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
        Decisions about stopped partitions are not listed here: the table partition_decisions of the database
        has them.
      </p>
    </section>
  )
}

/** What a field for a local time gives, as the API takes it; null where it is no time. */
function readTime(text: string | null): string | null {
  const ms = Date.parse(text ?? '')
  return Number.isNaN(ms) ? null : new Date(ms).toISOString()
}
