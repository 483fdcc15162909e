import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { startReadyService, startService } from '../support/service.ts'

t.jobs = 3

// Each start is killed at its place on top of what the one before left; the last one has to bring in all of it.
const chains = {
  'between Kafka and the log': [
    'ingest.before_commit',
    'ingest.after_commit',
    'offset.before_commit',
    'offset.after_commit',
  ],
  'in the fresh lane': [
    'fresh.before_claim',
    'fresh.after_claim',
    'fresh.sent',
    'fresh.before_outcome',
    'fresh.after_outcome',
  ],
  'in the retry lane': [
    'retry.before_claim',
    'retry.after_claim',
    'retry.sent',
    'retry.before_outcome',
    'retry.after_outcome',
  ],
}

for (const [where, places] of Object.entries(chains)) {
  t.test(
    `a kill at any point ${where} loses nothing and repeats no effect`,
    { buffered: true },
    async (t) => {
      const line = await setUpLine(t, ['--success', '0.5'])
      // Kafka gives up a killed member after ten seconds; a group of its own spares each start the wait. Where the partition
      // stands is in PostgreSQL.
      const settings = (start: string) => ({
        ...line.settings,
        MAX_CONCURRENT: '10',
        KAFKA_GROUP_ID: `${line.topic}-${start}`,
      })
      for (const place of places) {
        await line.produce(40)
        const doomed = await startService(t, { ...settings(place), FAILPOINT: `${place}:1` })
        t.equal(await doomed.ended, 'SIGKILL', `killed at ${place}`)
      }
      await startReadyService(t, settings('last'))
      await line.settled(40 * places.length)
      await line.isSentOnce(t)
      await line.isClean(t)
    },
  )
}
