/** A destination to which everything flows. */
export const flowing = {
  room: Infinity,
  refusal: null,
  isPaced: false,
  see: () => true,
  check: () => undefined,
}

export const guard = { holdAfter: 20, brakeAfter: 50, probeEveryMs: 5_000 }

export const holdsNothing = (): boolean => false
