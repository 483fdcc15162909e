/**
 * The weight (RFC 9110 §12.4.2) that a header such as Accept or Accept-Encoding gives to the name itself, wildcards aside; 0 where it
 * does not name it.
 */
export function weigh(header: string | undefined, name: string): number {
  const weights = (header ?? '').split(',').map((range) => {
    const [each = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    if (each !== name) return 0
    const weight = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1)
    return Number.isNaN(weight) ? 0 : weight
  })
  return Math.max(...weights)
}
