import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'
import type { Operation } from '../api/operations.ts'
import { writeCurl } from '../api/curl.ts'
import { Copy } from './copy.tsx'
import { writeOut } from './foreign.tsx'
import { Notice, sentenceOf } from './notice.tsx'

/** One request of an action, as it is sent and as it is copied. */
type Request = {
  readonly operation: Operation<unknown, never>
  readonly variables: object
}

type Props = {
  readonly title: string
  /** What it will do, in a sentence or two. */
  readonly about: string
  readonly verb: string
  /** The requests that the form as it is filled in makes, for whoever copies them. */
  readonly requests: (form: FormData) => readonly Request[]
  /** Sends them: null if it was done, else why not, in the API's words. */
  readonly send: (form: FormData) => Promise<string | null>
  readonly onClose: (done: boolean) => void
  /** Whether the reason was given before, so that none is asked for. */
  readonly hasReason?: boolean
  /** Fields beside the reason. */
  readonly children?: ComponentChildren
}

/** Asks for a reason and does one thing; what was refused stays open with the reason for it. */
export function ActionDialog({
  title,
  about,
  verb,
  requests,
  send,
  onClose,
  hasReason = false,
  children,
}: Props) {
  const dialog = useRef<HTMLDialogElement>(null)
  const form = useRef<HTMLFormElement>(null)
  const titleId = useId()
  const isSending = useSignal(false)
  const refusal = useSignal<string | null>(null)
  useEffect(() => {
    const opener = document.activeElement
    dialog.current?.showModal()
    return () =>
      // Once it is gone: while it is open nothing outside of it takes the focus.
      queueMicrotask(() => {
        if (opener instanceof HTMLElement && opener.isConnected) opener.focus()
      })
  }, [])

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault()
    if (form.current === null || isSending.value) return
    isSending.value = true
    refusal.value = null
    try {
      refusal.value = await send(new FormData(form.current))
      if (refusal.value === null) onClose(true)
    } catch (error) {
      // The answer may have been lost, and not the request.
      refusal.value = `${sentenceOf(error)} Look at what is recorded before you try again.`
    } finally {
      isSending.value = false
    }
  }
  const curl = (): string =>
    form.current === null
      ? ''
      : requests(new FormData(form.current))
          .map(({ operation, variables }) => writeCurl(operation, variables as never))
          .join('\n')

  // Once it is sent it cannot be taken back, so it stays open until it can tell what became of it.
  const stay = (event: Event): void => {
    if (isSending.value) event.preventDefault()
  }
  const leave = (): void => {
    // A browser closes at the second Escape whatever the page says to the first.
    if (isSending.value) dialog.current?.showModal()
    else onClose(false)
  }

  return (
    <dialog ref={dialog} aria-labelledby={titleId} onCancel={stay} onClose={leave}>
      <form ref={form} onSubmit={(event) => void submit(event)}>
        <h2 id={titleId}>{writeOut(title)}</h2>
        <p>{about}</p>
        {children}
        {!hasReason && (
          <label>
            Reason <span class="quiet">(it stays in the log for ever)</span>
            <input name="reason" required maxLength={2_000} autoComplete="off" />
          </label>
        )}
        {refusal.value !== null && <Notice tone="bad">{writeOut(refusal.value)}</Notice>}
        <div class="row end">
          <Copy text={curl}>Copy as curl</Copy>
          <button type="button" disabled={isSending.value} onClick={() => dialog.current?.close()}>
            Close
          </button>
          <button type="submit" class="main" disabled={isSending.value}>
            {isSending.value ? 'Sending …' : verb}
          </button>
        </div>
      </form>
    </dialog>
  )
}

/** A field's text, trimmed. */
export function textOf(form: FormData, name: string): string {
  const value = form.get(name)
  return typeof value === 'string' ? value.trim() : ''
}
