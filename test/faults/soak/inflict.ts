import { wait } from '../../../src/runtime/wait.ts'
import type { TestBroker } from '../../support/broker.ts'
import type { Line } from '../../support/line.ts'
import type { OwnPostgres } from '../../support/own-postgres.ts'
import { until } from '../../support/until.ts'
import type { Instance } from './instance.ts'
import type { Fault } from './plan-faults.ts'

export interface Parts {
  line: Line
  postgres: OwnPostgres
  /** The nodes of one Kafka. */
  brokers: readonly Pick<TestBroker, 'restart'>[]
  /** Waits until all nodes are back, and every record is on all of them. */
  areWhole: () => Promise<void>
  /** Never killed: what its memory does over the whole run is what is judged. */
  lasting: Instance
  replaced: Instance
}

// Beyond Kafka's session timeout of 10 s, and every lease.
const frozenMs = 15_000
const outageSeconds = 10

/** Does it, and puts right what must be put right by hand; says in a few words what was struck. An abort cuts its waits short. */
export async function inflict(fault: Fault, parts: Parts, signal: AbortSignal): Promise<string> {
  const { line, postgres, brokers, areWhole, lasting, replaced } = parts
  const struck = pick([lasting, replaced], fault.target)
  switch (fault.kind) {
    case 'instance killed':
      await replaced.replace()
      return `${replaced.name} killed, and started again`
    case 'instance frozen':
      struck.freeze()
      await wait(frozenMs, signal)
      struck.thaw()
      return `${struck.name} frozen for ${frozenMs / 1_000} s`
    case 'PostgreSQL restarted fast':
      await postgres.stop()
      await postgres.restart()
      return 'PostgreSQL shut down fast, and started again'
    case 'PostgreSQL restarted immediate':
      postgres.crash()
      await until('PostgreSQL to be gone', () => !postgres.isAlive())
      await postgres.restart()
      return 'PostgreSQL shut down immediate, and started again'
    case 'broker killed': {
      const index = Math.floor(fault.target * brokers.length)
      await brokers[index]!.restart()
      // Two at once are another fault: then no record can be stored.
      await areWhole()
      return `broker ${index + 1} of ${brokers.length} killed, and started again`
    }
    case 'LISTEN session ended':
      await endSession(line, await struck.id())
      return `the LISTEN session of ${struck.name} ended`
    case 'processor at 503':
      await line.mock.beginOutage(outageSeconds)
      await wait(outageSeconds * 1_000, signal)
      return `the processor at 503 for ${outageSeconds} s`
  }
}

function pick<Each>(of: readonly Each[], target: number): Each {
  return of[Math.floor(target * of.length)]!
}

/** One that is just being made, because of the fault before, is waited for. */
async function endSession(line: Line, instance: string): Promise<void> {
  await until('the LISTEN session to be there', async () => {
    const { rowCount } = await line.pool.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1',
      [`transaction-queue-proxy listen ${instance}`],
    )
    return rowCount === 1
  })
}
