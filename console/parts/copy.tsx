import { useSignal } from '@preact/signals'

/** Copies a text. Where the browser does not let it (a page without TLS), it shows the text to be copied by hand. */
export function Copy({ text, children }: { text: () => string; children: string }) {
  const copied = useSignal(false)
  const shown = useSignal<string | null>(null)
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text())
      copied.value = true
      setTimeout(() => {
        copied.value = false
      }, 2_000)
    } catch {
      shown.value = text()
    }
  }
  return (
    <>
      <button type="button" onClick={() => void copy()}>
        {copied.value ? 'Copied' : children}
      </button>
      {shown.value !== null && (
        <textarea readOnly rows={5} aria-label="Text to copy" value={shown.value} onFocus={selectAll} />
      )}
    </>
  )
}

function selectAll(event: Event): void {
  ;(event.currentTarget as HTMLTextAreaElement).select()
}
