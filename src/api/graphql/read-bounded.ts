import { refuse } from './errors.ts'

/**
 * A whole number within bounds, or the sentence that says what they are. Every list of the API is bounded by one.
 *
 * @throws BAD_USER_INPUT
 */
export function readBounded(name: string, value: number, min: number, max: number): number {
  if (value >= min && value <= max) return value
  throw refuse('BAD_USER_INPUT', `${name} must be from ${min} to ${max}.`)
}

/** Whether a text can stand in PostgreSQL as it is: no NUL, and no half of a surrogate pair, which would become another text. */
export function isStorable(text: string): boolean {
  return !/[\0\p{Cs}]/u.test(text)
}
