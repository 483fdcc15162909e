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

// Node finds only some exports of this CommonJS package by name.
const { CompressionCodecs, CompressionTypes: types } = kafkajs
const pack = promisify(gzip)

/** kafkajs' codecs by Kafka's codec numbers; its types do not describe them. */
export const codecs = CompressionCodecs as unknown as Record<number, (() => Codec) | undefined>

/**
 * Gives kafkajs every codec that Kafka has, each with a limit: kafkajs itself only has gzip, without a limit.
 * A batch that unpacks to more than `bytesMax` is then an undecodable batch and does not exhaust the
 * process's memory. The codecs apply to the whole process.
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

/** This service never packs with these codecs. */
function refuse(): Promise<Buffer> {
  return Promise.reject(new Error('this codec only unpacks'))
}
