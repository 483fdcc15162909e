import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { overLimit } from './output.ts'

const unpack = promisify(gunzip)

/** @throws if the bytes are corrupt or unpack to more than `bytesMax` */
export async function unpackGzip(packed: Buffer, bytesMax: number): Promise<Buffer> {
  try {
    return await unpack(packed, { maxOutputLength: bytesMax })
  } catch (error) {
    throw isTooLarge(error) ? overLimit(bytesMax) : error
  }
}

function isTooLarge(error: unknown): boolean {
  return error instanceof RangeError && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
}
