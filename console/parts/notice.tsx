import type { ComponentChildren } from 'preact'

/** What the reader must know before the rest of the page. */
export function Notice({ tone, children }: { tone: 'bad' | 'calm' | 'good'; children: ComponentChildren }) {
  return (
    <p class={`notice ${tone}`} role={tone === 'bad' ? 'alert' : 'status'}>
      {children}
    </p>
  )
}

/** A sentence from whatever was thrown. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
