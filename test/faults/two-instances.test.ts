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
  const names = instances.map(({ log }) => log.find(({ event }) => event === 'started')?.instance)
  return names.map((name) => rows.find(({ instance }) => instance === name)?.starts ?? 0)
}

/** How many instances have open attempts. */
async function countOpen(line: Line): Promise<number> {
  const { rows } = await line.pool.query<{ claimed_by: string }>(
    `select distinct claimed_by from message_states where status = 'processing' and claimed_by like '%/fresh'`,
  )
  return rows.length
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
    await startReadyService(t, settings)
    await line.produce(400)
    await until('both to have open attempts', async () => (await countOpen(line)) === 2)
    frozen.kill('SIGSTOP')
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
