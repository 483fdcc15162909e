import PgBoss from 'pg-boss'
import { concurrent, consume, databaseUrl, deliver, untilTold } from './kafka.js'

// kafkajs with pg-boss, set as its documentation says for many jobs: `insert` takes a batch, several workers fetch batches beside each
// other, as often as is allowed, and `notifyWorker` spares them the wait. A batch is completed as one, so it is as long as its slowest.

const queue = 'deliver'
const workers = 4
const batchSize = 1_000
const boss = new PgBoss({ connectionString: databaseUrl, max: 10 })
boss.on('error', (error) => process.stderr.write(`${error}\n`))
await boss.start()
await boss.createQueue(queue)
const ids = []
for (let worker = 0; worker < workers; worker++)
  ids.push(
    await boss.work(queue, { batchSize, pollingIntervalSeconds: 0.5 }, (jobs) =>
      Promise.all(jobs.map(({ data }) => deliver(data.body))),
    ),
  )
const stopConsuming = await consume(async (bodies) => {
  await boss.insert(bodies.map((body) => ({ name: queue, data: { body } })))
  for (const id of ids) boss.notifyWorker(id)
})
await untilTold()
await stopConsuming()
await boss.stop({ graceful: true, wait: true })
process.exit(0)
