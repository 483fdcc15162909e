export type ConsumerState =
  'starting' | 'running' | 'rebalancing' | 'waiting for the database' | 'crashed' | 'stopped'

/** What the consumer's parts write as they go, and the service shows. */
export type Health = {
  state: ConsumerState
  /** What it last failed on; null again as soon as it runs. */
  lastError: string | null
  assigned: number[]
  /** The topic's partitions that no member of the group reads. */
  unread: number[]
}

// OpenSSL's own: an address, its error's number, library, function, the words that say what it is, and where in its source.
const opensslText = /[0-9A-F]+:error:[0-9A-F]+:SSL routines:[^:]*:([^:]+):[^]*/

/** What went wrong, in one line: an error's text may come from a broker. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error && error.message !== '' ? error.message : String(error)
  return text
    .replace(opensslText, 'TLS: $1')
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
}
