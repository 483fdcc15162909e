import { makeWorkerUtils, run } from 'graphile-worker'
import { concurrent, consume, databaseUrl, deliver, untilTold } from './kafka.js'

// kafkajs with graphile-worker, set as its page on performance says: jobs are added in batches by `addJobs`, fetched in batches into a
// local queue, and completed in batches.

const poolMax = 25
const utils = await makeWorkerUtils({ connectionString: databaseUrl, maxPoolSize: 4 })
await utils.migrate()
const runner = await run({
  taskList: { deliver: ({ body }) => deliver(body) },
  noHandleSignals: true,
  preset: {
    worker: {
      connectionString: databaseUrl,
      concurrentJobs: concurrent,
      maxPoolSize: poolMax,
      localQueue: { size: concurrent },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    },
  },
})
const stopConsuming = await consume((bodies) =>
  utils.addJobs(bodies.map((body) => ({ identifier: 'deliver', payload: { body } }))),
)
await untilTold()
await stopConsuming()
await runner.stop()
await utils.release()
process.exit(0)
