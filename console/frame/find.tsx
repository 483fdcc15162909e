import { textOf } from '../parts/dialog.tsx'
import { go, link } from '../router.ts'

/** Finds a transaction from every page. */
export function Find() {
  const find = (event: Event): void => {
    event.preventDefault()
    const text = textOf(new FormData(event.currentTarget as HTMLFormElement), 'find')
    if (text !== '') go(link('transaction', '', { find: text }))
  }
  return (
    <form role="search" class="row" onSubmit={find}>
      <input
        type="search"
        name="find"
        aria-label="Find a transaction by its id, the beginning of its id, what the processor calls it, or topic:partition:offset"
        placeholder="Id, or topic:partition:offset"
        autoComplete="off"
        spellcheck={false}
      />
      <button type="submit">Find</button>
    </form>
  )
}
