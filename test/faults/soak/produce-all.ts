import { produce } from '../../../src/kafka/test-topic/produce.ts'
import { wait } from '../../../src/runtime/wait.ts'
import type { Line } from '../../support/line.ts'

const pieceSeconds = 10
const betweenTriesMs = 1_000
/** A killed broker was back after two minutes on a machine that was busy with other things. */
const patienceMs = 300_000

/**
 * Produces so many seconds of records at a steady rate, in pieces. A piece that was not wholly acknowledged goes out again under
 * the same ids, as any producer's would, and is a duplicate where the broker had it after all. What is late goes out as fast as
 * it can. Answers how many they were.
 */
export async function produceAll(
  line: Line,
  run: { seconds: number; rate: number; seed: string; signal: AbortSignal },
): Promise<number> {
  const { seconds, rate, seed, signal } = run
  const startedAt = performance.now()
  let produced = 0
  for (let from = 0; from < seconds; from += pieceSeconds) {
    const count = Math.round(Math.min(pieceSeconds, seconds - from) * rate)
    const earlyMs = startedAt + from * 1_000 - performance.now()
    if (!(await wait(Math.max(0, earlyMs), signal))) break
    await producePiece(line, {
      count,
      rate: earlyMs < -1_000 ? null : rate,
      prefix: `soak-${seed}-${from}`,
      signal,
    })
    produced += count
  }
  return produced
}

async function producePiece(
  { brokers, topic, acksPath }: Line,
  piece: { count: number; rate: number | null; prefix: string; signal: AbortSignal },
): Promise<void> {
  const { signal, ...records } = piece
  const startedAt = performance.now()
  while (!signal.aborted) {
    const { fault } = await produce({ brokers, topic, acksPath, ...records })
    if (fault === null) return
    if (performance.now() - startedAt > patienceMs)
      throw new Error(`no broker acknowledged ${records.prefix} in ${patienceMs / 1_000} s`, { cause: fault })
    await wait(betweenTriesMs, signal)
  }
}
