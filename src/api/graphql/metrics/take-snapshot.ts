import type { Pool, PoolClient } from 'pg'
import { readPulse, type Pulse } from '../../../log/read/read-pulse.ts'
import { foldPiece } from '../../../log/write/fold-counts.ts'
import { printTime } from '../../../runtime/date-time.ts'
import { ask } from '../../ask.ts'
import type { ApiDependencies } from '../../api-dependencies.ts'

/** What the fields of one answer share. Make one for each answer: it holds on to what was read for it. */
export type MetricsSnapshot = {
  readonly at: string
  readonly dependencies: ApiDependencies
  /** Asks the database, with the rollups folded far enough that it is cheap. */
  readonly read: <Value>(reader: (client: PoolClient) => Promise<Value>) => Promise<Value>
  readonly pulse: () => Promise<Pulse>
}

export function takeSnapshot(dependencies: ApiDependencies): MetricsSnapshot {
  const { database } = dependencies
  const folded = once(() => keepFolded(database))
  const read: MetricsSnapshot['read'] = async (reader) => {
    await folded()
    return ask(database, reader)
  }
  return {
    // The process's own clock, so that there is an answer when there is no database.
    at: printTime(new Date()),
    dependencies,
    read,
    pulse: once(() => ask(database, readPulse)),
  }
}

// Each statement that appends events leaves a row that readers sum: under load some 170 a second. The sweep folds them once a minute, so
// that an idle service does nothing else; who looks more often folds more often.
const foldRowsMin = 256
const foldEveryMs = 1_000

const foldedAt = new WeakMap<Pool, number>()

/** Whether it can be folded or not, there is an answer: it only takes longer. */
async function keepFolded(database: Pool): Promise<void> {
  const now = performance.now()
  if (now - (foldedAt.get(database) ?? -Infinity) < foldEveryMs) return
  foldedAt.set(database, now)
  await ask(database, (client) => foldPiece(client, foldRowsMin)).catch(() => undefined)
}

function once<Value>(read: () => Promise<Value>): () => Promise<Value> {
  let value: Promise<Value> | undefined
  return () => (value ??= read())
}
