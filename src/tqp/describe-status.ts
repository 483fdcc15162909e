/** How a message stands, as the API tells it. */
export type Standing = {
  readonly status: string
  readonly held: boolean
  readonly resolution: string | null
  readonly outcomeUnknown: boolean
}

/** The status in words, with what makes it another matter. */
export function describeStatus({ status, held, resolution, outcomeUnknown }: Standing): string {
  const words = [status.toLowerCase()]
  if (held) words.push('on hold')
  if (resolution !== null) words.push(`resolved: ${resolution.toLowerCase()}`)
  // One that was accepted was carried out, whatever became of an earlier attempt.
  if (outcomeUnknown && status !== 'SUCCESS') words.push('in doubt')
  return words.join(', ')
}
