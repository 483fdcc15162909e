const bytesMax = 2048

// Control characters (C0, DEL, C1), the bidi controls that can disguise a line, and halves of surrogate pairs.
const unclean = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu

/**
 * Text from outside, fit for the log: control characters become spaces, and it is cut to 2 KiB of UTF-8. PostgreSQL refuses NUL
 * in text, and one such row would fail its whole batch.
 */
export function cleanText(text: string): string {
  const clean = text.slice(0, bytesMax).replace(unclean, ' ').trim()
  if (Buffer.byteLength(clean) <= bytesMax) return clean
  // A cut in the middle of a character decodes to U+FFFD, which is dropped.
  return Buffer.from(clean)
    .subarray(0, bytesMax)
    .toString('utf8')
    .replace(/\ufffd+$/, '')
}
