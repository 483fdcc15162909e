import { decodeText } from './decode-text.ts'

const bytesMax = 1024 * 1024
const depthMax = 64

/**
 * The JSON value that these bytes are, as JavaScript has it: large numbers lose digits, and of a key that stands twice the last
 * counts. Undefined where they are no JSON, over 1 MiB or deeper than 64, which clients' own parsers may not survive.
 */
export function shownJson(bytes: Buffer): unknown {
  if (bytes.length > bytesMax || isDeeper(bytes)) return undefined
  const text = decodeText(bytes)
  if (text === null) return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/** Counts brackets outside strings; of what is no JSON any answer will do. */
function isDeeper(bytes: Buffer): boolean {
  let depth = 0
  let isInString = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (isInString) {
      if (byte === 0x5c) at++
      else if (byte === 0x22) isInString = false
    } else if (byte === 0x22) isInString = true
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > depthMax) return true
    } else if (byte === 0x7d || byte === 0x5d) depth--
  }
  return false
}
