import { produce } from '../../../src/produce.ts'
import { wait } from '../../../src/runtime/wait.ts'
import type { Line } from '../../support/line.ts'

const pieceSeconds = 10
const betweenTriesMs = 1_000
/** Each of them waits for its broker too; on a busy machine a killed one may need a minute to be back. */
const triesMax = 20

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
  for (let triesLeft = triesMax - 1; !signal.aborted; triesLeft--) {
    const { fault } = await produce({ brokers, topic, acksPath, ...records })
    if (fault === null) return
    if (triesLeft === 0) throw fault
    await wait(betweenTriesMs, signal)
  }
}
