import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { textOf } from '../../parts/dialog.tsx'
import { Foreign } from '../../parts/foreign.tsx'
import { MessageTable } from '../../parts/message-table.tsx'
import { Notice, sentenceOf } from '../../parts/notice.tsx'
import { go, link } from '../../router.ts'
import { findByReference, findExact, findPrefix, isPrefix, prefixBytesMin, type Page } from './find.ts'

/** Finds transactions. What is found exactly is opened at once. */
export function Search({ text }: { text: string }) {
  const page = useSignal<Page | null>(null)
  const called = useSignal<Page['nodes']>([])
  const fault = useSignal<string | null>(null)
  const isBusy = useSignal(false)

  const load = async (after: string | null): Promise<void> => {
    isBusy.value = true
    fault.value = null
    try {
      const exact = after === null ? await findExact(text) : null
      // The way back from the transaction leads past this page.
      if (exact !== null) location.replace(link('transaction', exact))
      else {
        if (after === null) called.value = (await findByReference(text)).nodes
        page.value = await findPrefix(text, after)
      }
    } catch (error) {
      page.value = null
      fault.value = sentenceOf(error)
    }
    isBusy.value = false
  }
  useEffect(() => {
    if (text !== '') void load(null)
  }, [])

  const find = (event: Event): void => {
    event.preventDefault()
    go(
      link('transaction', '', { find: textOf(new FormData(event.currentTarget as HTMLFormElement), 'text') }),
    )
  }
  const found = page.value
  return (
    <>
      <form class="narrow" onSubmit={find}>
        <label>
          Transaction id, the beginning of one, what the processor calls it, or topic:partition:offset
          <input name="text" type="search" defaultValue={text} autoComplete="off" spellcheck={false} />
        </label>
        <button type="submit" class="main">
          Find
        </button>
      </form>
      {fault.value !== null && <Notice tone="bad">{fault.value}</Notice>}
      {isBusy.value && <p role="status">Looking …</p>}
      {found !== null && !isBusy.value && found.nodes.length + called.value.length === 0 && (
        <Notice tone="calm">
          Nothing is stored under exactly “<Foreign text={text} />”
          {isPrefix(text)
            ? ', no id begins so, and the processor calls no payment so.'
            : `, and the processor calls no payment so. Whether an id begins so was not asked: that needs ${prefixBytesMin} bytes or more.`}
        </Notice>
      )}
      {called.value.length > 0 && (
        <MessageTable caption={`Transactions that the processor calls ${text}`} messages={called.value} />
      )}
      {found !== null && found.nodes.length > 0 && (
        <>
          <MessageTable caption={`Transactions whose id begins with ${text}`} messages={found.nodes} />
          {found.pageInfo.hasNextPage && (
            <button type="button" onClick={() => void load(found.pageInfo.endCursor)}>
              Next page
            </button>
          )}
        </>
      )}
    </>
  )
}
