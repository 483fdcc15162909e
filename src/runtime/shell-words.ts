import { printable } from './printable.ts'

/**
 * A command line of words and flags, as a shell reads it again. A value that looks like a flag is tied to its own, and words that do stand
 * behind `--`.
 */
export function commandLine(
  words: readonly string[],
  flags: Readonly<Record<string, string | boolean | undefined>>,
  ids: readonly string[] = [],
): string {
  const parts = words.map(quote)
  const given = Object.entries(flags).flatMap(([name, value]) => {
    if (typeof value !== 'string') return value === true ? [`--${name}`] : []
    return value.startsWith('-') || value === ''
      ? [`--${name}=${quote(value)}`]
      : [`--${name} ${quote(value)}`]
  })
  const isTied = ids.some((id) => id.startsWith('-'))
  return (
    isTied ? [...parts, ...given, '--', ...ids.map(quote)] : [...parts, ...ids.map(quote), ...given]
  ).join(' ')
}

/** A word as a shell reads it again: a bare one that begins with `=` is the path of a command for zsh. */
export function quote(word: string): string {
  return /^(?!=)[\w./:@=+-]+$/.test(word) ? word : `'${printable(word).replaceAll("'", String.raw`'\''`)}'`
}
