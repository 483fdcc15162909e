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
