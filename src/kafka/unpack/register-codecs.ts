import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import kafkajs from 'kafkajs'
import { unpackGzip } from './unpack-gzip.ts'
import { unpackLz4 } from './unpack-lz4.ts'
import { unpackSnappy } from './unpack-snappy.ts'
import { unpackZstd } from './unpack-zstd.ts'

type Unpack = (packed: Buffer, bytesMax: number) => Buffer | Promise<Buffer>
type Codec = {
  compress: (encoder: { buffer: Buffer }) => Promise<Buffer>
  decompress: (packed: Buffer) => Promise<Buffer>
}

// Node finds only some of this CommonJS package's exports by name.
const { CompressionCodecs, CompressionTypes: types } = kafkajs
const pack = promisify(gzip)

/** kafkajs' codecs by Kafka's numbers; its types leave out what they are. */
export const codecs = CompressionCodecs as unknown as Record<number, (() => Codec) | undefined>

/**
 * Gives kafkajs every codec that Kafka has, each with a limit: it comes with gzip alone, which unpacks without one. A batch that
 * unpacks to more than `bytesMax` is then an undecodable batch, and not the end of the process. The codecs are the whole process's.
 */
export function registerCodecs(bytesMax: number): void {
  const register = (type: number, unpack: Unpack, compress: Codec['compress'] = refuse): void => {
    const codec: Codec = { compress, decompress: async (packed) => unpack(packed, bytesMax) }
    codecs[type] = () => codec
  }
  register(types.GZIP, unpackGzip, (encoder) => pack(encoder.buffer))
  register(types.Snappy, unpackSnappy)
  register(types.LZ4, unpackLz4)
  register(types.ZSTD, unpackZstd)
}

/** Nothing of ours produces in these. */
function refuse(): Promise<Buffer> {
  return Promise.reject(new Error('this codec only unpacks'))
}
