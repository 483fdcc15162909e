const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text that these bytes are in UTF-8, every character of it; null where they are not. */
export function decodeText(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes)
  } catch {
    return null
  }
}
