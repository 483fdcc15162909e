/** What hides in a text, or changes the order in which it is read, such as that of the digits of an amount. */
const hiding = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu
const hidingInLines = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

type Props = {
  readonly text: string | null
  readonly class?: string
}

/** A text from outside, such as an id or a reason. Nothing in it acts: control and bidi characters are written out. */
export function Foreign({ text, class: name }: Props) {
  return <bdi class={name}>{writeOut(text ?? '')}</bdi>
}

/** The same where only words may stand, such as a title. */
export function writeOut(text: string): string {
  return text.replace(hiding, writeCodePoint)
}

/** The same of a text in lines, such as a payload: ends of lines and tabs stay. */
export function writeOutInLines(text: string): string {
  return text.replace(hidingInLines, writeCodePoint)
}

function writeCodePoint(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16) ?? ''}}`
}
