import { isIPv4, isIPv6 } from 'node:net'

/**
 * The address of a caller, as far as it tells callers apart: whoever has IPv6 has a network of 64 bits at least (RFC 6177), and may send from
 * any address in it. Null where there is none.
 */
export function networkOf(address: string | undefined): string | null {
  if (address === undefined) return null
  const bare = address.replace(/%.*$/, '')
  const [, embedded] = /^::ffff:([\d.]+)$/i.exec(bare) ?? []
  if (embedded !== undefined && isIPv4(embedded)) return embedded
  if (!isIPv6(bare)) return bare
  if (bare === '::1') return bare
  const [head = '', tail] = bare.split('::')
  const [left, right] = [head, tail ?? ''].map((part) => part.split(':').filter((group) => group !== ''))
  const missing = tail === undefined ? 0 : 8 - (left?.length ?? 0) - (right?.length ?? 0)
  const groups = [...(left ?? []), ...Array<string>(Math.max(0, missing)).fill('0'), ...(right ?? [])]
  return `${groups
    .slice(0, 4)
    .map((group) => parseInt(group, 16).toString(16))
    .join(':')}::/64`
}
