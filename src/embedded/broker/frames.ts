/**
 * Kafka's own limit for a request (socket.request.max.bytes). Plain text sent to this port reads as a larger
 * length.
 */
const frameBytesMax = 100 * 1024 * 1024
const lengthBytes = 4

/**
 * Cuts a stream into the frames of Kafka's protocol, each a four-byte length and that many bytes; yields the
 * bytes.
 */
export async function* frames(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let chunks: Buffer[] = []
  let gatheredBytes = 0
  let neededBytes = lengthBytes
  for await (const chunk of stream) {
    chunks.push(chunk)
    gatheredBytes += chunk.length
    if (gatheredBytes < neededBytes) continue

    let rest = chunks.length === 1 ? chunk : Buffer.concat(chunks)
    for (;;) {
      neededBytes = rest.length < lengthBytes ? lengthBytes : lengthBytes + frameLength(rest)
      if (rest.length < neededBytes) break
      yield rest.subarray(lengthBytes, neededBytes)
      rest = rest.subarray(neededBytes)
    }
    chunks = rest.length > 0 ? [rest] : []
    gatheredBytes = rest.length
  }
}

function frameLength(bytes: Buffer): number {
  const length = bytes.readInt32BE(0)
  if (length < 0 || length > frameBytesMax)
    throw new RangeError(`${length} bytes are not a valid length of a request`)
  return length
}
