import type { Fault } from '../../api/ask.ts'
import type { NowMetrics } from './now.tsx'

const words = {
  counts: 'payments by status',
  deadLetters: 'open dead letters',
  held: 'payments on hold',
  outcomeUnknown: 'payments in doubt',
  oldestDueAt: 'the oldest due',
  consumer: 'Kafka partitions',
  kafka: 'how this instance stands with Kafka',
  instances: 'the instances that live',
  wakeups: 'notices of PostgreSQL',
  watermark: 'the end of the log',
  inFlight: 'requests under way',
  throughput: 'the last hour',
  latency: 'how long it took',
} as const satisfies Partial<Record<keyof NowMetrics, string>>

/** Null where there is nothing to tell of; a fault says when it is null for another reason. */
const nullable: readonly (keyof NowMetrics)[] = ['oldestDueAt']

/** The figures that the API could not tell, in words. */
export function findMissing(now: NowMetrics, faults: readonly Fault[]): string[] {
  const faulty = new Set(faults.map(({ path }) => path?.[1]))
  return (Object.keys(words) as (keyof typeof words)[])
    .filter((name) => faulty.has(name) || (now[name] === null && !nullable.includes(name)))
    .map((name) => words[name])
}
