import t from 'tap'
import { whyNoApacheKafka } from '../support/apache-kafka/missing.ts'
import { judge, summarizeHeap, summarizeMemory, type Figures } from './soak/judge.ts'
import { kinds, planFaults } from './soak/plan-faults.ts'
import { runSoak } from './soak/run-soak.ts'

// A seed whose faults come so that each finds work to disturb; `npm run soak` is the long run.
const seed = '140'

t.test(
  'under a fault of each kind every payment is delivered, none has two effects, and verify is clean',
  { timeout: 280_000, skip: await whyNoApacheKafka() },
  async (t) => {
    const say = (line: string) => t.comment(line)
    const { signal } = new AbortController()
    const { figures, problems } = await runSoak(t, {
      seconds: 48,
      everySeconds: 6,
      rate: 200,
      brokers: 1,
      seed,
      say,
      signal,
    })
    t.same(problems, [])
    t.equal(figures.faults.length, kinds.length)
    t.equal(figures.success, 9_600)
    t.ok(figures.attemptsAbandoned > 0, `${figures.attemptsAbandoned} attempts were abandoned`)
    t.comment(figures)
  },
)

t.test('the same seed has the same faults, and a longer run has those of a shorter one first', async (t) => {
  const plan = planFaults('a', 900, 20)
  t.equal(plan.length, 44)
  t.same(planFaults('a', 900, 20), plan)
  t.same(planFaults('a', 300, 20), plan.slice(0, 14))
  t.notSame(planFaults('b', 900, 20), plan)
  for (let from = 0; from + kinds.length <= plan.length; from += kinds.length) {
    const round = plan.slice(from, from + kinds.length).map(({ kind }) => kind)
    t.same(round.toSorted(), [...kinds].sort(), 'each kind once in each round')
  }
})

const clean: Figures = {
  seed,
  seconds: 900,
  faults: [{ atSeconds: 20, struck: 'instance 1 frozen', tookSeconds: 15 }],
  produced: 100,
  acknowledged: 100,
  success: 100,
  deadLetters: 0,
  requests: 120,
  effects: 100,
  paidTwice: 0,
  sentTooOften: 0,
  longestGap: { seconds: 20, atSeconds: 100 },
  attemptsAbandoned: 5,
  lateResults: 1,
  duplicates: 0,
  missedWakeups: 0,
  memoryMiB: { 'instance 1': { start: 200, middle: 210, end: 220, settled: 200 } },
  heapMiB: { start: 60, middle: 65, end: 62 },
  waitedInVain: [],
  differences: null,
}

t.test('a run is right only if every figure is', async (t) => {
  t.same(judge(clean), [])
  const wrong: Partial<Figures>[] = [
    { acknowledged: 99, success: 99, effects: 99 },
    { success: 99, effects: 99 },
    { success: 99, deadLetters: 1, effects: 99 },
    { effects: 99 },
    { paidTwice: 1 },
    { sentTooOften: 1 },
    { missedWakeups: 1 },
    { longestGap: { seconds: 76, atSeconds: 0 } },
    { memoryMiB: { 'instance 1': { start: 300, middle: 350, end: 400, settled: 400 } } },
    { memoryMiB: {} },
    { heapMiB: { start: 60, middle: 70, end: 80 } },
    { heapMiB: { start: NaN, middle: NaN, end: NaN } },
    { waitedInVain: ['waited in vain'] },
    { differences: 'S1' },
  ]
  for (const each of wrong) t.ok(judge({ ...clean, ...each }).length > 0, JSON.stringify(each))
})

t.test('memory counts from the second minute on, by the medians of three thirds', async (t) => {
  const looks = (of: [number, number][]) => of.flatMap(([count, MiB]) => Array<number>(count).fill(MiB))
  const summary = { start: 200, middle: 210, end: 220, settled: 190 }
  t.same(
    summarizeMemory(
      looks([
        [60, 100],
        [80, 200],
        [80, 210],
        [79, 220],
        [1, 190],
      ]),
    ),
    summary,
  )
  t.same(
    summarizeMemory(
      looks([
        [3, 200],
        [3, 210],
        [2, 220],
        [1, 190],
      ]),
    ),
    summary,
  )
})

t.test('of the heap the least of each third counts, from the second minute on', async (t) => {
  const looks = [...Array<number>(60).fill(20), ...Array.from({ length: 300 }, (_, at) => 50 + (at % 50))]
  t.same(summarizeHeap(looks), { start: 50, middle: 50, end: 50 })
  t.same(summarizeHeap([9, 7, 8, 6, 5, 9]), { start: 7, middle: 6, end: 5 })
})
