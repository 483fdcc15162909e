import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import kafkajs from 'kafkajs'

// Node finds only some of this CommonJS package's exports by name.
const { CompressionCodecs, CompressionTypes } = kafkajs
const pack = promisify(gzip)
const unpack = promisify(gunzip)

/**
 * Replaces kafkajs' gzip codec, which unpacks without a limit, by one that refuses a batch of more than `bytesMax` when
 * unpacked: a gzip bomb is then an undecodable batch and not the end of the process. The codecs are the whole process's.
 */
export function limitGzip(bytesMax: number): void {
  const codec = {
    compress: (encoder: { buffer: Buffer }) => pack(encoder.buffer),
    decompress: (bytes: Buffer) => unpack(bytes, { maxOutputLength: bytesMax }),
  }
  CompressionCodecs[CompressionTypes.GZIP] = () => codec
}
