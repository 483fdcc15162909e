import { share } from '../../../src/embedded/mock/processor.ts'

export const kinds = [
  'instance killed',
  'instance frozen',
  'PostgreSQL restarted fast',
  'PostgreSQL restarted immediate',
  'broker killed',
  'LISTEN session ended',
  'processor at 503',
] as const

export interface Fault {
  kind: (typeof kinds)[number]
  /** When it is due, counted from the first record. */
  atSeconds: number
  /** From 0 to below 1: which instance, or which broker, of those that it may strike. */
  target: number
}

/**
 * A fault every so many seconds, all kinds once in each round, in an order that the seed decides. The same seed has the same
 * faults; a longer run has those of a shorter one first. Before the end as much time is left as between two of them.
 */
export function planFaults(seed: string, seconds: number, everySeconds: number): Fault[] {
  const count = Math.max(0, Math.floor(seconds / everySeconds) - 1)
  return Array.from({ length: count }, (_, index) => {
    const round = Math.floor(index / kinds.length)
    const order = [...kinds].sort((one, other) => draw(seed, round, one) - draw(seed, round, other))
    return {
      kind: order[index % kinds.length]!,
      atSeconds: (index + 1) * everySeconds,
      target: draw(seed, index, 'target'),
    }
  })
}

function draw(seed: string, ...what: (string | number)[]): number {
  return share([seed, ...what].join('\0'))
}
