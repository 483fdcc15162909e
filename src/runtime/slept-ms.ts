// What a clock is corrected by while it runs is less.
const stepMsMin = 2_000

let offset = Date.now() - performance.now()
let slept = 0

/**
 * For how many milliseconds this machine has stood still since the process began, as far as that shows: performance.now() does not run while a
 * machine is suspended, and the time of day is right again afterwards. A clock that is set forward looks the same.
 *
 * Whoever compares two answers knows whether the time between them may be longer than performance.now() says.
 */
export function sleptMs(): number {
  const found = Date.now() - performance.now()
  if (found - offset >= stepMsMin) slept += found - offset
  offset = found
  return slept
}
