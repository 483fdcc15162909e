const counts = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const rates = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })

/** A count as the API gives it, decimal digits, in groups of three. */
export function formatCount(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return '–'
  return counts.format(typeof value === 'string' ? BigInt(value) : value)
}

/** A count that may be an estimate. */
export function formatEstimate(
  count: { readonly value: string | number; readonly exact: boolean } | null | undefined,
): string {
  return `${count?.exact === false ? 'about ' : ''}${formatCount(count?.value)}`
}

/** A rate, by the second. */
export function formatRate(perSecond: number | null): string {
  if (perSecond === null) return '–'
  return `${perSecond >= 100 ? counts.format(perSecond) : rates.format(perSecond)}/s`
}

/** A length of time, in its two largest units. */
export function formatDuration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return '–'
  if (ms < 0) return `−${formatDuration(-ms)}`
  if (ms < 1) return ms === 0 ? '0 ms' : `${rates.format(ms)} ms`
  if (ms < 1_000) return `${Math.round(ms)} ms`
  const seconds = ms / 1_000
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** An enum's value as words: DEAD_LETTER becomes dead letter. */
export function formatName(value: string): string {
  return value.toLowerCase().replaceAll('_', ' ')
}

export function formatBytes(bytes: number | null): string {
  if (bytes === null) return '–'
  return bytes < 10_000 ? `${counts.format(bytes)} bytes` : `${counts.format(bytes / 1024)} KiB`
}
