export interface Figures {
  seed: string
  seconds: number
  faults: Inflicted[]
  produced: number
  acknowledged: number
  success: number
  deadLetters: number
  requests: number
  effects: number
  paidTwice: number
  /** Transactions for which the processor got more requests than attempts were started. */
  sentTooOften: number
  /** In which no payment had its effect, and when it began, counted from the first record. */
  longestGap: { seconds: number; atSeconds: number }
  attemptsAbandoned: number
  lateResults: number
  duplicates: number
  missedWakeups: number
  memoryMiB: Record<string, Memory>
  /** Of the instance that lives through the run. */
  heapMiB: Heap
  /** What the end waited for in vain, a sentence each. */
  waitedInVain: string[]
  /** What `npm run verify` said, if it found anything. */
  differences: string | null
}

export interface Inflicted {
  /** In which second it began. */
  atSeconds: number
  struck: string
  /** Until the part that was struck was there again; a machine that is busy with other things takes its time. */
  tookSeconds: number
}

/** Medians of the thirds of a run, in MiB, and what was left when all was settled. */
export interface Memory {
  start: number
  middle: number
  end: number
  settled: number
}

/** The least that the old generation of the heap held in each third of a run, in MiB: after a collection, what is in use. */
export interface Heap {
  start: number
  middle: number
  end: number
}

/** The one whose memory is judged: the other one is killed now and then, and begins anew. */
export const lastingInstance = 'instance 1'

/** How long nothing may be delivered beyond what the longest fault took: Kafka misses a member after 10 s. */
const standstillSecondsMax = 60
/** In less time the heap has not taken its size. */
const judgedFromSeconds = 300
/** What the pools and the heap may still grow by after the first minute. */
const growthMax = 1.25
/** The same of what is in use; compiled code and the pools' last connections come late. */
const heapGrowthMaxMiB = 16
/** What the young generation and bursts of work explain by themselves: the bench's service had 370 MiB at most. */
const plateauMiB = 370

/** What is not as it must be, a sentence each. */
export function judge(figures: Figures): string[] {
  const { produced, acknowledged, success, deadLetters, longestGap } = figures
  const problems = [...figures.waitedInVain]
  const insist = (holds: boolean, sentence: string) => {
    if (!holds) problems.push(sentence)
  }
  insist(acknowledged === produced, `Only ${acknowledged} of ${produced} records were acknowledged.`)
  insist(success === acknowledged, `${success} of ${acknowledged} acknowledged payments are success.`)
  insist(deadLetters === 0, `${deadLetters} payments are dead letters; with these retries none can be.`)
  insist(figures.effects === success, `${figures.effects} effects stand against ${success} successes.`)
  insist(figures.paidTwice === 0, `${figures.paidTwice} payments had two effects.`)
  insist(
    figures.sentTooOften === 0,
    `${figures.sentTooOften} payments were sent more often than attempts began.`,
  )
  insist(figures.missedWakeups === 0, `${figures.missedWakeups} wakeups were missed.`)
  const gapSecondsMax = standstillSecondsMax + Math.max(0, ...figures.faults.map((each) => each.tookSeconds))
  insist(
    longestGap.seconds <= gapSecondsMax,
    `For ${longestGap.seconds} s nothing was delivered, from second ${longestGap.atSeconds} on.`,
  )
  if (figures.seconds >= judgedFromSeconds) problems.push(...judgeMemory(figures))
  insist(figures.differences === null, `verify found differences:\n${figures.differences ?? ''}`)
  return problems
}

function judgeMemory({ memoryMiB, heapMiB }: Figures): string[] {
  const { start, end } = memoryMiB[lastingInstance] ?? { start: NaN, end: NaN }
  const problems: string[] = []
  // Written so that a figure that is missing is a problem too.
  if (!(end <= Math.max(start * growthMax, plateauMiB)))
    problems.push(`The memory of ${lastingInstance} went from ${start} to ${end} MiB.`)
  if (!(heapMiB.end <= heapMiB.start + heapGrowthMaxMiB))
    problems.push(
      `What the heap of ${lastingInstance} holds went from ${heapMiB.start} to ${heapMiB.end} MiB.`,
    )
  return problems
}

/** @param looks in MiB, one a second; where there are enough of them, those of the first minute do not count. */
export function summarizeMemory(looks: readonly number[]): Memory {
  const [start, middle, end] = cutInThirds(looks).map(median)
  return { start: start!, middle: middle!, end: end!, settled: looks.at(-1) ?? NaN }
}

/** @param looks in MiB, one a second, as those of the memory. */
export function summarizeHeap(looks: readonly number[]): Heap {
  const [start, middle, end] = cutInThirds(looks).map((third) => Math.min(...third))
  return { start: start!, middle: middle!, end: end! }
}

function cutInThirds(looks: readonly number[]): number[][] {
  const counted = looks.length >= judgedFromSeconds ? looks.slice(60) : looks
  const third = Math.ceil(counted.length / 3)
  return [0, 1, 2].map((at) => counted.slice(at * third, (at + 1) * third))
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? NaN
}
