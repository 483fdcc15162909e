/** What a terminal would obey, or what disguises a line: ids and reasons come from outside. */
const unprintable = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu

/** A value as JSON that is the same for a program, and does nothing to a terminal: what JSON itself leaves as it is is written out too. */
export function printableJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    /(?!\n)[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu,
    writeUnit,
  )
}

/** All of them are of one unit of UTF-16. */
function writeUnit(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** The text on one line, with what does not belong on a terminal written out. */
export function printable(text: string): string {
  return text.replace(unprintable, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
}
