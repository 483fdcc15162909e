import { registerCodecs } from '../kafka/unpack/register-codecs.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { retryDelayMs } from '../runtime/retry-delay-ms.ts'
import { wait } from '../runtime/wait.ts'
import { explainMissing } from './stop-fault.ts'
import { newHealth, type Health } from './health.ts'
import { runSession, type ConsumeOptions } from './run-session.ts'
import { watchConnection, type Connection } from './watch-connection.ts'

export type { ConsumeOptions }

type ConsumerHealth = Health & {
  /** Whether the consumer is a member of its group and stores what it reads. */
  up: boolean
  topic: string
  connection: Connection
}

export type Consumer = {
  health(): ConsumerHealth
  /** Fetches no more, finishes the slices in hand, commits and leaves the group. */
  stop(): Promise<void>
}

const restart = { firstMs: 250, maxMs: 5_000 }
const unpackedBytesMin = 64 * 1024 * 1024

/**
 * Starts to read the topic into the log. Waits for Kafka and for the topic without limit, with one log line a
 * try. A consumer that crashed is started again, without limit. Each start uses a new client, because
 * kafkajs' own restart forgets pauses and seeks.
 */
export function consume(options: ConsumeOptions): Consumer {
  registerCodecs(Math.max(unpackedBytesMin, 4 * options.maxRecordBytes))
  const stopping = new AbortController()
  const health = newHealth()
  const { topic } = options.kafka
  const connection = watchConnection(health, topic)
  const running = supervise(options, health, stopping.signal)
  return {
    health: () => ({
      ...health,
      up: health.state === 'running' || health.state === 'rebalancing',
      topic,
      connection: connection.read(),
    }),
    stop: async () => {
      stopping.abort()
      await running
      connection.end()
    },
  }
}

async function supervise(options: ConsumeOptions, health: Health, stopping: AbortSignal): Promise<void> {
  const { kafka, logger } = options
  let failures = 0
  while (!stopping.aborted) {
    health.state = 'starting'
    try {
      await runSession(options, health, stopping)
    } catch (error) {
      const reason = health.topicMissing ? explainMissing(kafka.topic) : reasonOf(error)
      const hadJoined = hasJoined(health)
      failures = hadJoined ? 1 : failures + 1
      const restartInMs = retryDelayMs(failures, restart)
      health.lastError = reason
      if (hadJoined) {
        health.state = 'crashed'
        logger.error({ topic: kafka.topic, reason, restart_in_ms: restartInMs }, 'consumer crashed')
      } else {
        logger.warn(
          { topic: kafka.topic, brokers: kafka.brokers, reason, failures, restart_in_ms: restartInMs },
          'waiting for Kafka',
        )
      }
      await wait(restartInMs, stopping)
    }
  }
  health.state = 'stopped'
}

function hasJoined(health: Health): boolean {
  return health.state !== 'starting'
}
