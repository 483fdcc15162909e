import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'

const newline = 0x0a

/** Reads the lines of a gzip file, without their ends. A line ends at a newline and nothing else: text may have other line breaks. */
export async function* readLinesOf(path: string): AsyncGenerator<string> {
  // A line may be many megabytes long. With the default of 16 KiB it would be copied again for each of its chunks.
  const unpacked = createGunzip({ chunkSize: 1024 * 1024 })
  // A fault of the file or of the packing ends the loop below with its error.
  pipeline(createReadStream(path), unpacked).catch(() => undefined)
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of unpacked as AsyncIterable<Buffer>) {
    const held = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let start = 0
    for (let end = held.indexOf(newline); end >= 0; end = held.indexOf(newline, start)) {
      yield held.toString('utf8', start, end)
      start = end + 1
    }
    rest = held.subarray(start)
  }
  if (rest.length > 0) yield rest.toString('utf8')
}
