const table = buildTable()

/**
 * CRC-32C (RFC 3720, appendix B.4) of `bytes` from `start` on. node:zlib only has the other CRC-32. One byte
 * a step runs at 400 MB/s; eight bytes a step ran at 430, which does not justify the larger tables.
 */
export function crc32c(bytes: Buffer, start: number): number {
  let crc = -1
  for (let at = start; at < bytes.length; at += 1) {
    crc = (table[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8)
  }
  return ~crc >>> 0
}

function buildTable(): Int32Array {
  const castagnoliReflected = 0x82f63b78
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ castagnoliReflected : crc >>> 1
    return crc
  })
}
