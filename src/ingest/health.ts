export type ConsumerState =
  'starting' | 'running' | 'rebalancing' | 'waiting for the database' | 'crashed' | 'stopped'

/** What the consumer's parts write as they go, and the service shows. */
export type Health = {
  state: ConsumerState
  /** What it last failed on; null again as soon as it runs. */
  lastError: string | null
  assigned: number[]
}

export function reasonOf(error: unknown): string {
  return error instanceof Error && error.message !== '' ? error.message : String(error)
}
