const lengthMax = 200

/**
 * An error's text fit for a caller: no credentials of a URL, nothing that PostgreSQL quotes (names of roles, values of rows), no
 * control characters, no more than a line.
 */
export function mask(text: string): string
export function mask(text: string | null): string | null
export function mask(text: string | null): string | null {
  if (text === null) return null
  return text
    .replace(/\/\/[^\s/]*@/g, '//…@')
    .replace(/"[^"]*"/g, '"…"')
    .replace(/\b(password|secret|token)=[^\s&]*/gi, '$1=…')
    .replace(/[\p{Cc}\p{Bidi_Control}]+/gu, ' ')
    .slice(0, lengthMax)
}
