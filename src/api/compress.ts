import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { weigh } from './weigh.ts'

const pack = promisify(gzip)
// Below, what is saved is no packet less.
const bytesMin = 1_024

/**
 * A body as this caller wants it: with gzip where `Accept-Encoding` names it and there is something to gain, else as it is. A list of a
 * thousand transactions becomes a tenth. Nothing is to be learnt from the sizes (BREACH): no answer holds a token or any other secret of
 * its reader, and a page of another origin cannot ask in his name, because there are no cookies. Streams are never compressed: an
 * event would wait for the next to fill the compressor's window.
 */
export async function compress(
  body: string,
  acceptEncoding: string | null | undefined,
): Promise<{ body: Uint8Array; headers: Readonly<Record<string, string>> }> {
  const plain = Buffer.from(body)
  if (plain.length < bytesMin || weigh(acceptEncoding ?? undefined, 'gzip') <= 0)
    return { body: plain, headers: {} }
  return { body: await pack(plain), headers: { 'Content-Encoding': 'gzip' } }
}
