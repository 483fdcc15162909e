import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { setUpLine, type Line } from '../support/line.ts'
import { isReady, startReadyService, type Service } from '../support/service.ts'
import { until } from '../support/until.ts'

t.jobs = 2

/** How many attempts each of these instances started. */
async function countStarts(line: Line, instances: Service[]): Promise<number[]> {
  const { rows } = await line.pool.query<{ instance: string; starts: number }>(
    `select split_part(actor, '/', 1) as instance, count(*)::int as starts
      from message_events where type = 'attempt_started' group by 1`,
  )
  return instances.map((each) => rows.find(({ instance }) => instance === nameOf(each))?.starts ?? 0)
}

function nameOf({ log }: Service): unknown {
  return log.find(({ event }) => event === 'started')?.instance
}

async function countOpen(line: Line, instance: Service): Promise<number> {
  const { rows } = await line.pool.query<{ open: number }>(
    `select count(*)::int as open from message_states
      where status = 'processing' and split_part(claimed_by, '/', 1) = $1`,
    [nameOf(instance)],
  )
  return rows[0]!.open
}

/** Freezes it in a moment in which it has attempts of which it does not know the outcome: all of them may just be being settled. */
async function freezeAtWork(line: Line, instance: Service): Promise<void> {
  await until('it to be frozen with open attempts', async () => {
    instance.kill('SIGSTOP')
    // What it has sent to the database is carried out all the same.
    await sleep(1_000)
    if ((await countOpen(line, instance)) > 0) return true
    instance.kill('SIGCONT')
    return false
  })
}

t.test(
  'two instances share the load, and one takes over when the other is killed',
  { buffered: true },
  async (t) => {
    const line = await setUpLine(t, ['--success', '0.9', '--latency', '20'])
    const one = await startReadyService(t, line.settings)
    const other = await startReadyService(t, line.settings)
    let produced = 0
    const produce = async (count: number) => {
      await line.produce(count)
      produced += count
    }
    // One of them may be done with all that there is before the other is given its partitions.
    await until('both to have started attempts', async () => {
      await produce(500)
      return (await countStarts(line, [one, other])).every((starts) => starts > 50)
    })
    await produce(1_000)
    one.kill('SIGKILL')
    await produce(500)
    await line.settled(produced)
    await line.isSentOnce(t)
    await line.isClean(t)
  },
)

t.test(
  'what an instance frozen beyond its leases held is taken over, and its late answers are only observed',
  { buffered: true },
  async (t) => {
    const line = await setUpLine(t, ['--success', '1', '--latency', '300'])
    const settings = { ...line.settings, MAX_CONCURRENT: '20' }
    const frozen = await startReadyService(t, settings)
    await line.produce(200)
    const other = await startReadyService(t, settings)
    await line.produce(400)
    await until('both to have open attempts', async () => {
      const open = await Promise.all([frozen, other].map((each) => countOpen(line, each)))
      return open.every((count) => count > 0)
    })
    await freezeAtWork(line, frozen)
    await line.produce(100)
    // Its partitions come to the other one only after Kafka's session timeout.
    await line.settled(700)

    frozen.kill('SIGCONT')
    await until('its late answers', async () => ((await line.events()).late_result_observed ?? 0) > 0)
    await isReady(frozen)
    await line.produce(100)
    await line.settled(800)
    await line.isSentOnce(t)
    await line.isClean(t)
  },
)
