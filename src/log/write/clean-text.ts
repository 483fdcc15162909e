const textBytesMax = 2048

// Control characters (C0, DEL, C1), the bidi controls that can disguise a line, and halves of surrogate pairs.
const unclean = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu

/**
 * Makes text from outside fit for the log: control characters become spaces, and the text is cut to 2 KiB of UTF-8. PostgreSQL
 * refuses NUL in text, and one such row would fail its whole batch.
 */
export function cleanText(text: string): string {
  return cutText(text.slice(0, textBytesMax).replace(unclean, ' ').trim(), textBytesMax)
}

/** The longest beginning that has at most so many bytes of UTF-8. */
export function cutText(text: string, bytesMax: number): string {
  if (Buffer.byteLength(text) <= bytesMax) return text
  // The cut may be in the middle of a character, which then decodes to U+FFFD and is removed.
  return Buffer.from(text)
    .subarray(0, bytesMax)
    .toString('utf8')
    .replace(/\ufffd+$/, '')
}
